//! What was found, and whether it is good.

use std::collections::BTreeMap;

use serde::Serialize;
use wal_testkit::{Failure, FaultKind, Outcome};
use wal_tool::number::grouped;

use super::owners::Owned;
use super::risk::Risk;
use super::trial::Trial;

/// Everything that an exploration has found.
///
/// Its text is a table with claim and worst loss of each strategy, behind the story of each broken
/// promise; [`html`](Self::html) and [`json`](Self::json) write it into files.
#[derive(Clone, Debug, Serialize)]
#[must_use]
pub struct Report {
    pub(super) seed: u64,
    pub(super) exotic: bool,
    /// None if the number of states was given: then two runs write the same.
    pub(super) timing: Option<Timing>,
    /// Images that were built, recovered and held against all oracles; without those of mutants.
    pub(super) states: u64,
    pub(super) violations: usize,
    /// One for each strategy, over all storages.
    pub(super) strategies: Vec<Risk>,
    /// States by what was in them.
    pub(super) kinds: BTreeMap<FaultKind, u64>,
    /// One for each strategy on each storage.
    pub(super) subjects: Vec<Outcome>,
    /// None if no mutants were asked for.
    pub(super) mutants: Option<Vec<Trial>>,
    /// Several owners of one log; empty if they were not asked for.
    pub(super) owners: Vec<Owned>,
    /// What people type to get here.
    #[serde(skip)]
    pub(super) command: Option<String>,
}

/// How long it took.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Timing {
    pub(super) threads: usize,
    /// For the subjects, on the wall.
    pub(super) seconds: f64,
    /// For the mutants.
    pub(super) mutants: f64,
}

impl Report {
    pub(super) fn new(
        seed: u64,
        exotic: bool,
        timing: Option<Timing>,
        subjects: Vec<Outcome>,
        mutants: Option<Vec<Trial>>,
    ) -> Self {
        // A kind that never came up is a row of the table, too.
        let asked = FaultKind::ALL.iter().filter(|kind| exotic || !kind.is_exotic());
        let mut kinds: BTreeMap<_, _> = asked.map(|kind| (*kind, 0)).collect();
        for (kind, states) in subjects.iter().flat_map(|subject| &subject.kinds) {
            *kinds.entry(*kind).or_default() += states;
        }
        let by_strategy = subjects.chunk_by(|a, b| a.strategy == b.strategy);
        Report {
            seed,
            exotic,
            timing,
            states: subjects.iter().map(|subject| subject.states).sum(),
            violations: subjects.iter().filter(|subject| subject.failure.is_some()).count(),
            strategies: by_strategy.map(Risk::of).collect(),
            kinds,
            subjects,
            mutants,
            owners: Vec::new(),
            command: None,
        }
    }

    /// With what became of several owners of one log.
    pub(super) fn with_owners(self, owners: Vec<Owned>) -> Self {
        Report { owners, ..self }
    }

    /// With the command that people type to get here.
    pub(super) fn called_by(self, command: Option<String>) -> Self {
        Report { command, ..self }
    }

    /// The promises that were not kept: what was seen, and the case, which is one line. At most one of each
    /// strategy on each storage: an exploration ends with it.
    pub fn violations(&self) -> impl Iterator<Item = &Failure> {
        self.subjects.iter().filter_map(|subject| subject.failure.as_ref())
    }

    /// How many mutants were caught, and of how many.
    pub(super) fn caught(&self) -> Option<(usize, usize)> {
        let mutants = self.mutants.as_ref()?;
        Some((mutants.iter().filter(|m| m.caught_by.is_some()).count(), mutants.len()))
    }

    /// States each second, if that was measured.
    pub(super) fn rate(&self) -> Option<u64> {
        let seconds = self.timing.as_ref()?.seconds;
        Some((self.states as f64 / seconds.max(1e-3)) as u64)
    }

    /// Whatever is not well, a line for each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for failure in self.violations() {
            let (case, violation) = (&failure.case, &failure.violation);
            problems.push(format!("{} on {} breaks {violation}", case.strategy, case.storage));
        }
        for owned in &self.owners {
            let told = |wrong| format!("several owners, {}: {wrong}", owned.scenario);
            problems.extend(owned.failure.as_deref().map(told));
        }
        for risk in &self.strategies {
            // An exploration that was cut short by a failure says nothing about the claim.
            if risk.outcome.failure.is_none() {
                let loose = risk.loose().map(|why| format!("{}: {why}", risk.outcome.strategy));
                problems.extend(loose);
            }
        }
        for mutant in self.mutants.iter().flatten().filter(|m| m.caught_by.is_none()) {
            let (name, states) = (mutant.name, grouped(mutant.states));
            problems.push(format!("mutant {name} survived {states} states: {}", mutant.bug));
        }
        problems
    }
}

/// What was found, for those who asked.
impl Report {
    /// Whether all is well: every promise kept, every claim reached, every mutant found.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.problems().is_empty()
    }

    /// How many images of crashes were built, recovered and held against all oracles.
    #[must_use]
    pub fn states(&self) -> u64 {
        self.states
    }

    /// Each strategy, in the order in which they were named.
    #[must_use]
    pub fn strategies(&self) -> &[Risk] {
        &self.strategies
    }

    /// The strategy of this name.
    #[must_use]
    pub fn strategy(&self, name: &str) -> Option<&Risk> {
        self.strategies.iter().find(|risk| risk.strategy() == name)
    }

    /// Each strategy on each storage.
    #[must_use]
    pub fn subjects(&self) -> &[Outcome] {
        &self.subjects
    }

    /// How many states contained each kind of fault.
    #[must_use]
    pub fn kinds(&self) -> &BTreeMap<FaultKind, u64> {
        &self.kinds
    }

    /// Several owners of one log; none if they were not asked for.
    #[must_use]
    pub fn owners(&self) -> &[Owned] {
        &self.owners
    }

    /// Each mutant; none if they were not asked for.
    #[must_use]
    pub fn mutants(&self) -> &[Trial] {
        self.mutants.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::LazyLock;

    use wal_sync::Batch;
    use wal_testkit::{Explorer, Subject};

    use super::*;

    /// The least exploration of a strategy that keeps its promise.
    pub(in super::super) fn explored() -> Outcome {
        static EXPLORED: LazyLock<Outcome> = LazyLock::new(|| {
            let batch = Batch::of_records(8).unwrap();
            Explorer::new(Subject::new(batch).spelled("batch:8")).states(1).run()
        });
        EXPLORED.clone()
    }

    pub(in super::super) fn trial(name: &'static str, caught_by: Option<&str>) -> Trial {
        Trial {
            name,
            bug: "a < b & \"c\"",
            fault: Some(7),
            strategy: "always".into(),
            storage: "file".into(),
            caught_by: caught_by.map(str::to_owned),
            states: 1234,
            finding: None,
            failure: None,
        }
    }

    pub(in super::super) fn owned(failure: Option<&str>) -> Owned {
        Owned {
            scenario: "take over",
            acts: "open, append | open".into(),
            records: 2,
            orders: 1237,
            left_off: 8,
            states: 30,
            ends: 7,
            all: true,
            failure: failure.map(str::to_owned),
        }
    }

    pub(in super::super) fn report(subjects: Vec<Outcome>, mutants: Option<Vec<Trial>>) -> Report {
        let command = Some("cargo xtask faults".into());
        Report::new(3, false, None, subjects, mutants).called_by(command)
    }

    /// The failure of a strategy that breaks its promise.
    pub(in super::super) fn failed() -> Outcome {
        let mutants = wal_testkit::mutants::seam_mutants();
        let mutant = mutants.iter().find(|m| m.name == "acknowledged-when-written").unwrap();
        let mut outcome = mutant.explorer().run();
        outcome.failure.as_mut().unwrap().case.mutant = None;
        outcome
    }

    #[test]
    fn storages_of_a_strategy_are_one_line() {
        let mut plain = explored();
        plain.storage = "file-plain".into();
        let report = report(vec![explored(), plain], None);
        assert_eq!(report.strategies.len(), 1);
        assert_eq!(report.strategies[0].outcome.storage, "file, file-plain");
        assert_eq!(report.strategies[0].outcome.states, report.states);
        assert_eq!(report.states, 2 * explored().states);
        assert!(report.problems().is_empty(), "{:?}", report.problems());
    }

    #[test]
    fn a_violation_a_loose_claim_and_a_survivor_are_problems() {
        let mut loose = explored();
        loose.claim.power_loss.records = Some(10);
        let trials = vec![trial("caught", Some("O3")), trial("alive", None)];
        let owners = vec![owned(None), owned(Some("a record is gone"))];
        let report = report(vec![failed(), loose], Some(trials)).with_owners(owners);
        let mut problems = report.problems();
        assert_eq!(problems.remove(1), "several owners, take over: a record is gone");
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].starts_with("always on file breaks O3: "), "{problems:?}");
        assert!(problems[1].contains("10 records claimed, 7 lost at most"), "{problems:?}");
        assert!(problems[2].starts_with("mutant alive survived 1,234 states"), "{problems:?}");
    }

    #[test]
    fn what_is_known_of_a_report_can_be_read_by_programs() {
        let report = report(vec![failed()], Some(vec![trial("caught", Some("O3"))]));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["violations"], 1);
        assert_eq!(json["strategies"][0]["strategy"], "always");
        let case = json["subjects"][0]["failure"]["case"].as_str().unwrap();
        assert!(case.starts_with("always | file | - | "), "{case}");
        assert_eq!(json["mutants"][0]["caught_by"], "O3");
        assert!(json["kinds"]["power-loss"].as_u64() > Some(0));
    }
}
