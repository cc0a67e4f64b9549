//! Which workloads are crashed, and for how long.

use std::fmt;
use std::time::Duration;

use wal_core::{Clock, SystemClock};

use super::case::Case;
use super::fates::{self, Density};
use super::sweep::Sweep;
use super::{Outcome, directed, generate, shrink};
use crate::simulation::{Subject, Workload};

/// Explores the crashes of a strategy on a storage.
///
/// Deterministic: with the same seed and a number of [`states`](Self::states) it always does the same
/// and finds the same.
///
/// ```
/// use wal_sync::Batch;
/// use wal_testkit::{Explorer, Subject};
///
/// let batch = Batch::of_records(8)?;
/// let outcome = Explorer::new(Subject::new(batch)).states(2000).run();
/// assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
/// assert_eq!(outcome.power_loss.records, 7);
/// # Ok::<(), wal_core::Error>(())
/// ```
pub struct Explorer {
    pub(super) subject: Subject,
    pub(super) mutant: Option<String>,
    seed: u64,
    states: u64,
    time: Option<Duration>,
    exotic: bool,
    written_first: bool,
    turn: u64,
    shrink: bool,
    progress: Option<Box<dyn FnMut(u64) + Send>>,
}

/// More than any budget allows.
const MOST_WORKLOADS: u64 = 10_000_000;

impl Explorer {
    /// An exploration of 20,000 states with seed 0.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Explorer {
            subject,
            mutant: None,
            seed: 0,
            states: 20_000,
            time: None,
            exotic: false,
            written_first: false,
            turn: 0,
            shrink: true,
            progress: None,
        }
    }

    /// Where the random choices begin.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Ends after the workload with which so many states are reached, not counting those of the
    /// workloads that drive the strategy to its claim: these always run.
    #[must_use]
    pub fn states(mut self, states: u64) -> Self {
        (self.states, self.time) = (states, None);
        self
    }

    /// Ends after this time instead.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Also tries what the default claim excludes: sectors that are torn together with durable
    /// neighbours, and renames that are not atomic. What is lost then is counted apart. A storage that is
    /// explored on a device
    /// [without powersafe overwrite](crate::StorageUnderTest::without_powersafe_overwrite) is held to its
    /// claim under the former, whatever this says.
    #[must_use]
    pub fn exotic(mut self, on: bool) -> Self {
        self.exotic = on;
        self
    }

    /// The name under which a seeded mistake appears in traces. Written workloads come first.
    #[must_use]
    pub fn mutant(mut self, name: impl Into<String>) -> Self {
        self.mutant = Some(name.into());
        self.written_first(true)
    }

    /// Whether all written workloads come before the first random one, as suits code that is known to
    /// be wrong: first all of them with few crashes of each moment, then all of them with many. Otherwise
    /// written and random ones take turns.
    #[must_use]
    pub fn written_first(mut self, on: bool) -> Self {
        self.written_first = on;
        self
    }

    /// With which of the written workloads to begin. Who explores many subjects briefly gives each another
    /// number, so that together they see all of the list.
    #[must_use]
    pub fn turn(mut self, turn: u64) -> Self {
        self.turn = turn;
        self
    }

    /// Whether a failure is made as small as possible before it is reported; it is unless this says
    /// otherwise.
    #[must_use]
    pub fn shrink(mut self, on: bool) -> Self {
        self.shrink = on;
        self
    }

    /// Called now and then with the number of states since the last call.
    #[must_use]
    pub fn progress(mut self, tell: impl FnMut(u64) + Send + 'static) -> Self {
        self.progress = Some(Box::new(tell));
        self
    }

    /// Explores, until it is enough or a promise is broken.
    #[must_use]
    pub fn run(mut self) -> Outcome {
        let strategy = &self.subject.strategy;
        let mut outcome = Outcome::new(
            self.subject.spelling.clone(),
            self.subject.storage.name().into(),
            strategy.claim(),
        );
        let clock = SystemClock::new();
        let mut progress = self.progress.take();
        let pressure = directed::pressure(&strategy.claim());
        let written = directed::written();
        let mut under_pressure = 0;
        for n in 0..MOST_WORKLOADS {
            let (workload, density) = match pressure.get(n as usize) {
                Some(workload) => (workload.clone(), self.density(2)),
                None => self.next(n - pressure.len() as u64, &written),
            };
            let before = outcome.states;
            let seed = self.seed ^ n << 20;
            // Without the pressure no claim could be called tight: that is never cut short.
            let deadline =
                self.time.filter(|_| n >= pressure.len() as u64).map(|time| (clock, time));
            let mut sweep = Sweep::new(&self.subject, &workload, density, seed).until(deadline);
            let broken = sweep.everywhere();
            outcome.merge(&sweep.outcome);
            if let Some((violation, crashes)) = broken {
                let case = Case {
                    strategy: outcome.strategy.clone(),
                    storage: outcome.storage.clone(),
                    mutant: self.mutant.clone(),
                    workload,
                    crashes,
                };
                outcome.failure =
                    Some(shrink::failure(&self.subject, violation, case, self.shrink));
                break;
            }
            if let Some(tell) = &mut progress {
                tell(outcome.states - before);
            }
            let enough = match self.time {
                Some(time) => clock.monotonic() >= time,
                None => outcome.states.saturating_sub(under_pressure) >= self.states,
            };
            // Without these no claim could be called tight.
            if n + 1 < pressure.len() as u64 {
                under_pressure = outcome.states;
            } else if enough {
                break;
            }
        }
        outcome
    }

    /// The workload number `n` behind those that reach the bounds. Written and random ones take turns;
    /// each subject begins elsewhere in the written list, so that a short exploration of many subjects
    /// sees all of it.
    fn next(&self, n: u64, written: &[Workload]) -> (Workload, Density) {
        let all = written.len() as u64;
        // Which of the written ones is due, or how many random ones came before.
        let turn = match self.written_first {
            // What the last of them would show is not kept waiting by all crashes of the others.
            true if n < all => return (written[n as usize].clone(), self.density(0)),
            true if n < 2 * all => Ok(n - all),
            true => Err(n - 2 * all),
            false if n / 2 >= all => Err(n - all),
            false if n.is_multiple_of(2) => Ok(self.turn.wrapping_add(n / 2) % all),
            false => Err(n / 2),
        };
        match turn {
            Ok(turn) => (written[turn as usize].clone(), self.density(4)),
            Err(before) => self.random(before),
        }
    }

    /// How thorough to be, with all subsets of so many atoms.
    fn density(&self, exhaustive: u32) -> Density {
        let samples: usize = match exhaustive {
            0 => 1,
            1..4 => 3,
            _ => 6,
        };
        let torn_sectors = !self.subject.storage.is_powersafe();
        // Where sectors are torn, that is what is looked for.
        let spoiled = if torn_sectors { samples } else { samples.div_ceil(3) };
        Density { exhaustive, samples, spoiled, exotic: self.exotic, torn_sectors }
    }

    /// A random workload; now and then a short one of which everything is tried.
    fn random(&self, before: u64) -> (Workload, Density) {
        let mut workload =
            generate::workload(self.seed.wrapping_mul(0x9e37_79b9).wrapping_add(before));
        // Not the first: it has many more images than the others.
        if before % 8 == 3 {
            workload.steps.truncate(6);
            return (workload, self.density(fates::MOST_EXHAUSTIVE));
        }
        (workload, self.density(4))
    }
}

impl fmt::Debug for Explorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Explorer");
        f.field("subject", &self.subject).field("mutant", &self.mutant);
        f.field("seed", &self.seed).field("states", &self.states).field("time", &self.time);
        f.finish_non_exhaustive()
    }
}
