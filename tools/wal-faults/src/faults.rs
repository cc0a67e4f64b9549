//! What to explore, and for how long.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use wal_core::SyncStrategy;
use wal_testkit::{StorageUnderTest, Subject};

use crate::explore::{self, Effort, Plan, Tell};
use crate::owners::Owners;
use crate::progress::Progress;
use crate::replay::{self, Replay};
use crate::report::Report;
use crate::subjects::{self, Named};

/// States of each strategy on each storage, if nobody says it.
const STATES: u64 = 20_000;

/// An exploration of strategies on storages, to be run.
///
/// Without strategies it explores those of `wal-sync`; without storages, those of `wal-fs`. The
/// [crate's page](crate) has an example.
///
/// ```no_run
/// use std::time::Duration;
///
/// // What `cargo xtask faults --budget 60s --html faults.html` does.
/// let report = wal_faults::Faults::new().budget(Duration::from_secs(60)).mutants(true).run()?;
/// print!("{report}");
/// report.html("faults.html")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "nothing is explored before it runs"]
pub struct Faults {
    strategies: Vec<Named>,
    storages: Vec<StorageUnderTest>,
    effort: Effort,
    seed: u64,
    threads: Option<NonZeroUsize>,
    exotic: bool,
    mutants: bool,
    owners: Owners,
    command: Option<String>,
    tell: Tell,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

impl Faults {
    /// 20,000 states of each strategy on each storage, from seed 0, on all processors.
    pub fn new() -> Self {
        Faults {
            strategies: Vec::new(),
            storages: Vec::new(),
            effort: Effort::States(STATES),
            seed: 0,
            threads: None,
            exotic: false,
            mutants: false,
            owners: Owners::None,
            command: None,
            tell: Arc::new(|_| {}),
        }
    }

    /// Explores this strategy. May be called again for further ones, each with a name of its own: reports, and
    /// lines that [`replay`](Self::replay) reads, call it so.
    ///
    /// Bounds should be small: a strategy that may lose a thousand records needs a thousand appends to be
    /// driven there, and each is a place to crash.
    pub fn strategy(mut self, name: impl Into<String>, strategy: impl SyncStrategy) -> Self {
        self.strategies.push(Named { spelling: name.into(), strategy: Arc::new(strategy) });
        self
    }

    /// Explores on this storage. May be called again for further ones. One of your own is a
    /// [`StorageUnderTest::new`].
    pub fn storage(mut self, storage: StorageUnderTest) -> Self {
        self.storages.push(storage);
        self
    }

    /// So many states of each strategy on each storage, besides those that drive the strategy to its claim.
    /// The same seed then finds the same.
    pub fn states(mut self, states: u64) -> Self {
        self.effort = Effort::States(states);
        self
    }

    /// Instead of a number of states: for so long, all together. The [`mutants`](Self::mutants) come on top.
    /// How many states that is differs from run to run.
    pub fn budget(mut self, time: Duration) -> Self {
        self.effort = Effort::Budget(time);
        self
    }

    /// Where the random choices begin.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Threads that explore; all that the machine runs at once unless this says otherwise.
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Also tries what no claim covers: sectors torn together with durable neighbours, renames that are
    /// not atomic. What is lost then is counted apart.
    pub fn exotic(mut self, on: bool) -> Self {
        self.exotic = on;
        self
    }

    /// Whether the test kit is proven as well: each [mistake at a seam](wal_testkit::mutants) must be found.
    /// This is about the kit, not about your strategy, and takes some seconds.
    pub fn mutants(mut self, on: bool) -> Self {
        self.mutants = on;
        self
    }

    /// Whether several owners of one log are run as well, in every order of their calls or in some, under a lock that is
    /// granted to everybody. This is about the log and its fence, not about your strategy.
    pub fn owners(mut self, which: Owners) -> Self {
        self.owners = which;
        self
    }

    /// The command that people type to get here, if there is one: pages name it, and with
    /// ` --replay 'CASE'` behind it they say how to see a failure again.
    pub fn command(mut self, words: impl Into<String>) -> Self {
        self.command = Some(words.into());
        self
    }

    /// Is called from the threads that explore.
    pub fn progress(mut self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.tell = Arc::new(tell);
        self
    }

    /// What is explored: each strategy on each storage.
    #[must_use]
    pub fn subjects(&self) -> Vec<Subject> {
        subjects::subjects(&self.strategies, &self.storages)
    }

    /// Explores, on threads of its own, and returns when it is enough. What was found is in the report,
    /// broken promises too: they are no errors here.
    ///
    /// A panic of the code under test is a finding like any other. For the sake of these, the first
    /// run sets a panic hook that is silent on the threads that explore, and passes on all others.
    ///
    /// # Errors
    /// `InvalidInput` if the name of a strategy or storage could not be read back from a line: it is empty,
    /// begins or ends with a blank, or has a `|` or a line break in it. Otherwise if no thread can be started,
    /// or the explorer itself panics.
    pub fn run(self) -> io::Result<Report> {
        for Subject { spelling, storage, .. } in self.subjects() {
            [&spelling, storage.name()].into_iter().try_for_each(check_name)?;
        }
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok());
        let plan = Plan {
            subjects: self.subjects(),
            effort: self.effort,
            seed: self.seed,
            threads: threads.map_or(1, NonZeroUsize::get),
            exotic: self.exotic,
            mutants: self.mutants,
            owners: self.owners,
            tell: self.tell,
        };
        Ok(explore::all(&plan)?.called_by(self.command))
    }

    /// Runs one case again, given as the line that a report has printed. Nothing else is explored.
    ///
    /// # Errors
    /// `InvalidInput` if the line cannot be read, or speaks of a strategy, storage or mutant that is not
    /// here; `InvalidData` if the case does not fit the code any more.
    pub fn replay(&self, case: &str) -> io::Result<Replay> {
        replay::replay(&self.subjects(), case)
    }
}

fn check_name(name: &str) -> io::Result<()> {
    if name.is_empty() || name.trim() != name || name.contains(['|', '\n']) {
        let told = format!("{name:?} cannot be the name of a strategy or storage");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, told));
    }
    Ok(())
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("subjects", &self.subjects())
            .field("effort", &self.effort)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use wal_sync::Always;

    use super::*;

    #[test]
    fn names_that_no_line_could_hold_are_refused() {
        for bad in ["", " a", "a|b", "a\nb"] {
            let error = Faults::new().strategy(bad, Always).states(1).run().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bad:?}");
        }
        assert!(check_name("batch:8,400,3ms").is_ok() && check_name("two words").is_ok());
    }
}
