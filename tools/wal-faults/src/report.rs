//! What was found, and whether it is good.

use std::collections::BTreeMap;

use serde::Serialize;
use wal_testkit::mutants::Mutant;
use wal_testkit::{Failure, FaultKind, Outcome, Tightness};

use wal_tool::number::grouped;

/// Everything that was found.
#[derive(Serialize)]
pub(super) struct Report {
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
}

/// How long it took.
#[derive(Serialize)]
pub(super) struct Timing {
    pub(super) threads: usize,
    /// For the subjects, on the wall.
    pub(super) seconds: f64,
    /// For the mutants.
    pub(super) mutants: f64,
}

/// What a strategy risks: claimed, and seen at worst.
#[derive(Serialize)]
pub(super) struct Risk {
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    pub(super) process_tightness: Tightness,
    pub(super) power_tightness: Tightness,
}

/// What became of a mutant.
#[derive(Serialize)]
pub(super) struct Trial {
    pub(super) name: &'static str,
    pub(super) bug: &'static str,
    /// Its number in the list of mistakes seen in real systems.
    pub(super) fault: Option<u8>,
    pub(super) strategy: String,
    pub(super) storage: String,
    /// The oracle that found it, or `tightness`; none if it survived.
    pub(super) caught_by: Option<String>,
    /// States until then.
    pub(super) states: u64,
    /// What was found.
    pub(super) finding: Option<String>,
    /// How to see it. A claim that is merely too wide breaks nothing.
    pub(super) failure: Option<Failure>,
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
        }
    }

    /// The failures of subjects.
    pub(super) fn failures(&self) -> impl Iterator<Item = &Failure> {
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

    /// Whatever makes the run fail, a line for each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for failure in self.failures() {
            let (case, violation) = (&failure.case, &failure.violation);
            problems.push(format!("{} on {} breaks {violation}", case.strategy, case.storage));
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

impl Risk {
    /// Of a strategy, from its explorations on all storages.
    fn of(subjects: &[Outcome]) -> Self {
        let mut outcome = merged(subjects);
        let storages: Vec<_> = subjects.iter().map(|subject| subject.storage.as_str()).collect();
        outcome.storage = storages.join(", ");
        // On each storage: a crash on another one says nothing.
        let on = |side: fn(&Outcome) -> Tightness| {
            let loose = subjects.iter().map(side).find(|tightness| !tightness.is_tight());
            loose.unwrap_or(Tightness::Tight)
        };
        let process_tightness = on(|subject| subject.tightness().0);
        let power_tightness = on(|subject| subject.tightness().1);
        Risk { outcome, process_tightness, power_tightness }
    }

    pub(super) fn is_tight(&self) -> bool {
        self.process_tightness.is_tight() && self.power_tightness.is_tight()
    }

    /// Why the claim is loose, if it is.
    pub(super) fn loose(&self) -> Option<String> {
        let sides =
            [("process crash", &self.process_tightness), ("power loss", &self.power_tightness)];
        let loose: Vec<_> = sides
            .into_iter()
            .filter_map(|(crash, tightness)| match tightness {
                Tightness::Loose(why) => Some(format!("by a {crash}, {why}")),
                Tightness::Tight => None,
            })
            .collect();
        (!loose.is_empty()).then(|| format!("the claim is loose: {}", loose.join("; ")))
    }
}

impl Trial {
    pub(super) fn of(mutant: &Mutant, outcome: Outcome) -> Self {
        let subject = Risk::of(std::slice::from_ref(&outcome));
        let (caught_by, finding) = match (&outcome.failure, subject.loose()) {
            (Some(failure), _) => {
                (Some(failure.violation.oracle.clone()), Some(failure.violation.what.clone()))
            }
            (None, Some(loose)) => (Some("tightness".into()), Some(loose)),
            (None, None) => (None, None),
        };
        Trial {
            name: mutant.name,
            bug: mutant.bug,
            fault: mutant.fault,
            strategy: outcome.strategy,
            storage: outcome.storage,
            caught_by,
            states: outcome.states,
            finding,
            failure: outcome.failure,
        }
    }
}

/// What several explorations of a subject have found.
pub(super) fn merged(outcomes: &[Outcome]) -> Outcome {
    let (first, others) = outcomes.split_first().expect("a subject is explored at least once");
    let mut all = first.clone();
    others.iter().for_each(|other| all.merge(other));
    all
}

/// The name of a kind of fault, and what it means.
pub(super) fn kind_told(kind: FaultKind) -> (String, &'static str) {
    let name = serde_json::to_value(kind).ok();
    let name = name.and_then(|name| name.as_str().map(|name| name.replace('-', " ")));
    let means = match kind {
        FaultKind::ProcessCrash => "the process died; the cache survived",
        FaultKind::PowerLoss => "unsynced changes were lost",
        FaultKind::ByteTears => "writes tore into single bytes",
        FaultKind::Zeroed => "lost bytes came back as zeros",
        FaultKind::Garbage => "lost bytes came back as nonsense",
        FaultKind::Stale => "lost bytes came back as those of a removed file",
        FaultKind::LengthApart => "a length without its bytes, or bytes without their length",
        FaultKind::LostEntry => "a creation, rename or removal was lost",
        FaultKind::CrashInRecovery => "a second crash, during recovery",
        FaultKind::CrashInSecondRecovery => "a third crash, during the recovery of the second",
        FaultKind::FaultInRecovery => "recovery met a failing call first",
        FaultKind::SlowSync => "appends came beside a sync that took its time",
        FaultKind::LiveFault => "calls were made short, interrupted, failing, or without space",
        FaultKind::FailedSync => "a sync was made to fail",
        FaultKind::Restart => "the process died and started again",
        FaultKind::Clock => "the clock jumped, or the timer starved",
        FaultKind::AllSubsets => "one of all combinations of up to 8 changes",
        FaultKind::TornSectors => "a sector was torn together with its neighbours",
        FaultKind::TornRename => "a rename was not atomic",
        _ => "",
    };
    (name.unwrap_or_else(|| format!("{kind:?}")), means)
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
            let batch = Batch::new(Some(8), None, None).unwrap();
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

    pub(in super::super) fn report(subjects: Vec<Outcome>, mutants: Option<Vec<Trial>>) -> Report {
        Report::new(3, false, None, subjects, mutants)
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
        let problems = report(vec![failed(), loose], Some(trials)).problems();
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
