//! What an exploration found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use wal_core::{Claim, Loss};

use super::Case;
use crate::promise::{FaultKind, Lost, Violation};

/// The worst loss seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Worst {
    /// Acknowledged records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Microseconds of the logical clock between the first and the last, within one group
    /// ([`Loss::window`]).
    pub micros: u64,
}

impl Worst {
    pub(crate) fn see(&mut self, lost: &Lost) {
        self.records = self.records.max(lost.records);
        self.bytes = self.bytes.max(lost.bytes);
        self.micros = self.micros.max(lost.span.as_micros() as u64);
    }

    fn merge(&mut self, other: &Worst) {
        self.records = self.records.max(other.records);
        self.bytes = self.bytes.max(other.bytes);
        self.micros = self.micros.max(other.micros);
    }
}

/// Whether some crash reached a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[expect(clippy::exhaustive_enums, reason = "a claim is tight or it is not")]
pub enum Tightness {
    /// Every bound was reached; where there is none, something was lost.
    Tight,
    /// This bound was not.
    Loose(String),
}

impl Tightness {
    /// Holds a claim against the worst loss seen.
    #[must_use]
    pub fn of(claim: &Loss, worst: &Worst) -> Self {
        let mut loose = Vec::new();
        if let Some(records) = claim.records.filter(|n| worst.records < *n) {
            loose.push(format!("{records} records claimed, {} lost at most", worst.records));
        }
        if let Some(bytes) = claim.bytes.filter(|n| worst.bytes < *n) {
            loose.push(format!("{bytes} bytes claimed, {} lost at most", worst.bytes));
        }
        let micros = |window: Duration| window.as_micros() as u64;
        // Records are appended at whole microseconds, and the last of a window just before its end.
        if let Some(window) = claim.window.filter(|w| worst.micros + 1 < micros(*w)) {
            let seen = Duration::from_micros(worst.micros);
            loose.push(format!("a window of {window:?} claimed, {seen:?} lost at most"));
        }
        let unbounded = claim.records.is_none() && claim.bytes.is_none() && claim.window.is_none();
        if unbounded && worst.records == 0 {
            loose.push("an unbounded loss claimed, nothing was ever lost".into());
        }
        if loose.is_empty() { Tightness::Tight } else { Tightness::Loose(loose.join("; ")) }
    }

    /// Whether it is tight.
    #[must_use]
    pub const fn is_tight(&self) -> bool {
        matches!(self, Tightness::Tight)
    }
}

/// A promise that was not kept, and how to see it.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Failure {
    /// What was violated.
    pub violation: Violation,
    /// The shortest case found that shows it.
    pub case: Case,
    /// The case told step by step.
    pub story: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.violation)?;
        self.story.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        write!(f, "replay: {}", self.case)
    }
}

/// What an exploration found.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Outcome {
    /// The strategy, as it is spelled.
    pub strategy: String,
    /// The storage.
    pub storage: String,
    /// What the strategy claims.
    pub claim: Claim,
    /// Images that were built, recovered and held against all oracles.
    pub states: u64,
    /// Recoveries that ran for it.
    pub recoveries: u64,
    /// Moments of workloads at which a crash was looked at.
    pub crash_points: u64,
    /// Workloads that were run.
    pub workloads: u64,
    /// Pieces of damage to durable bytes that were tried, each on an image of its own (O6). They do not
    /// count as states.
    pub damages: u64,
    /// Moments at which the process died on a disk that was full from then on, while the
    /// [reserve](wal_core::LogStorage::fill_reserve) was whole. They do not count as states.
    pub full_disks: u64,
    /// How many states contained each kind of fault.
    pub kinds: BTreeMap<FaultKind, u64>,
    /// The worst loss by the death of the process.
    pub process_crash: Worst,
    /// The worst loss by a power loss.
    pub power_loss: Worst,
    /// The first promise that was not kept. Exploration ends there.
    pub failure: Option<Failure>,
    /// States under faults that the default claim excludes, in which it did not hold.
    pub outside_claim: u64,
}

impl Outcome {
    pub(crate) fn new(strategy: String, storage: String, claim: Claim) -> Self {
        Outcome {
            strategy,
            storage,
            claim,
            states: 0,
            recoveries: 0,
            crash_points: 0,
            workloads: 0,
            damages: 0,
            full_disks: 0,
            kinds: BTreeMap::new(),
            process_crash: Worst::default(),
            power_loss: Worst::default(),
            failure: None,
            outside_claim: 0,
        }
    }

    /// Whether crashes reached the claim: for the death of the process, and for a power loss.
    #[must_use]
    pub fn tightness(&self) -> (Tightness, Tightness) {
        (
            Tightness::of(&self.claim.process_crash, &self.process_crash),
            Tightness::of(&self.claim.power_loss, &self.power_loss),
        )
    }

    /// Whether nothing is wrong: no violation, and no claim that is too modest.
    #[must_use]
    pub fn holds(&self) -> bool {
        let (process, power) = self.tightness();
        self.failure.is_none() && process.is_tight() && power.is_tight()
    }

    /// Adds what was found for the same strategy elsewhere.
    pub fn merge(&mut self, other: &Outcome) {
        self.states += other.states;
        self.recoveries += other.recoveries;
        self.crash_points += other.crash_points;
        self.workloads += other.workloads;
        self.damages += other.damages;
        self.full_disks += other.full_disks;
        self.outside_claim += other.outside_claim;
        other.kinds.iter().for_each(|(kind, n)| *self.kinds.entry(*kind).or_default() += n);
        self.process_crash.merge(&other.process_crash);
        self.power_loss.merge(&other.power_loss);
        if self.failure.is_none() {
            self.failure.clone_from(&other.failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_tight_only_if_every_bound_was_reached() {
        let worst = Worst { records: 7, bytes: 100, micros: 999 };
        let claim = Loss::UNBOUNDED.records(7).bytes(100).window(Duration::from_millis(1));
        assert!(Tightness::of(&claim, &worst).is_tight());
        let Tightness::Loose(why) = Tightness::of(&claim.records(8), &worst) else { panic!() };
        assert_eq!(why, "8 records claimed, 7 lost at most");
        assert!(!Tightness::of(&claim.bytes(101), &worst).is_tight());
        assert!(!Tightness::of(&claim.window(Duration::from_millis(2)), &worst).is_tight());
        assert!(Tightness::of(&Loss::NOTHING, &Worst::default()).is_tight());
        assert!(!Tightness::of(&Loss::UNBOUNDED, &Worst::default()).is_tight());
    }
}
