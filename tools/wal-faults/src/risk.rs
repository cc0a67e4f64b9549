//! What a strategy risks: claimed, and seen at worst.

use serde::Serialize;
use wal_core::Claim;
use wal_testkit::{Failure, Outcome, Tightness, Worst};

/// A strategy, over all storages that it was explored on.
#[derive(Clone, Debug, Serialize)]
pub struct Risk {
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    process_tightness: Tightness,
    power_tightness: Tightness,
}

/// What was found of a claim.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "whoever acts on a verdict has to know each of them")]
pub enum Verdict<'a> {
    /// It was kept, and some crash took as much as it says.
    Tight,
    /// It was kept, but no crash took as much as it says, and in which unit: it could promise more.
    Loose(String),
    /// It was not kept, or something else that a log promises was not. The failure has the case.
    Broken(&'a Failure),
}

impl Verdict<'_> {
    /// Whether the claim was kept and reached.
    #[must_use]
    pub const fn is_tight(&self) -> bool {
        matches!(self, Verdict::Tight)
    }
}

impl Risk {
    /// Of a strategy, from its explorations on all storages.
    pub(super) fn of(subjects: &[Outcome]) -> Self {
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

    /// The strategy's name, as it was given.
    #[must_use]
    pub fn strategy(&self) -> &str {
        &self.outcome.strategy
    }

    /// What the strategy claims to lose at most.
    #[must_use]
    pub fn claim(&self) -> Claim {
        self.outcome.claim
    }

    /// The most that the death of the process took.
    #[must_use]
    pub fn process_crash(&self) -> Worst {
        self.outcome.process_crash
    }

    /// The most that a power loss took.
    #[must_use]
    pub fn power_loss(&self) -> Worst {
        self.outcome.power_loss
    }

    /// Images of crashes that were built, recovered and held against the claim.
    #[must_use]
    pub fn states(&self) -> u64 {
        self.outcome.states
    }

    /// Whether the claim was kept, and whether it was reached.
    #[must_use]
    pub fn verdict(&self) -> Verdict<'_> {
        match (&self.outcome.failure, self.loose()) {
            (Some(failure), _) => Verdict::Broken(failure),
            (None, Some(why)) => Verdict::Loose(why),
            (None, None) => Verdict::Tight,
        }
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

/// What several explorations of a subject have found.
pub(super) fn merged(outcomes: &[Outcome]) -> Outcome {
    let (first, others) = outcomes.split_first().expect("a subject is explored at least once");
    let mut all = first.clone();
    others.iter().for_each(|other| all.merge(other));
    all
}
