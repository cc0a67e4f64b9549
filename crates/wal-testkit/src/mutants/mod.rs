//! The kit's own proof: real code with one seeded mistake, which the explorer must find.
//!
//! Production code has no switches for them. These are the mistakes that can be put at a seam: a file
//! system below the real [`FileStorage`](wal_fs::FileStorage), a storage, or a strategy lies in one point
//! and is honest in all others. Mistakes inside the engine, the recovery and the formats are patches
//! in `mutants/`; `cargo xtask mutants` runs both.
//!
//! | file | idea |
//! | --- | --- |
//! | `list` | all of them, by seam |
//! | `file_system`, `lies` | a file system that lies, and in what |
//! | `storage` | a storage that lies, and segments |
//! | `strategy` | a strategy that sees, says or claims something wrong |
//!
//! ```
//! use wal_testkit::mutants::{Status, seam_mutants};
//!
//! let mutants = seam_mutants();
//! let early = mutants.iter().find(|mutant| mutant.name == "acknowledged-when-written").unwrap();
//! let Status::Caught { by, .. } = early.run() else { panic!("it survived") };
//! assert_eq!(by, "O3");
//! ```

mod file_system;
mod lies;
mod list;
mod storage;
mod strategy;

use wal_sync::Policy;

use self::file_system::Lying;
use self::lies::Lie;
use self::storage::StorageBug;
use self::strategy::{Bend, Bent};
use crate::{Explorer, Failure, Outcome, StorageUnderTest, Subject};

/// A seeded mistake at a seam.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Mutant {
    /// Its name, for reports and traces.
    pub name: &'static str,
    /// What is wrong, in one sentence.
    pub bug: &'static str,
    /// Its number in the list of mistakes seen in real systems, if it is one of those.
    pub fault: Option<u8>,
    /// The strategy, as it is spelled.
    strategy: &'static str,
    /// The name of the storage.
    storage: &'static str,
    seam: Seam,
}

/// Where the mistake is.
#[derive(Clone, Debug)]
enum Seam {
    FileSystem(Lie),
    Storage(StorageBug),
    Strategy(Bend),
}

/// What became of a mutant.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a mutant is caught or it is not")]
pub enum Status {
    /// It was found.
    Caught {
        /// The oracle that found it: the one of the failure, or `tightness` for a claim that no crash
        /// reaches.
        by: String,
        /// States that were examined until then.
        states: u64,
        /// How to see it. Nothing fails where a claim is merely too wide.
        failure: Option<Box<Failure>>,
    },
    /// It was not, in so many states.
    Survived {
        /// All that the budget allowed.
        states: u64,
    },
}

/// More states than any of them needs: enough for all workloads that are written down.
const STATES: u64 = 120_000;

/// Enough to say that no crash reaches a claim: what drives a strategy to its claim comes first.
const CLAIM_STATES: u64 = 2_000;

impl Mutant {
    /// What is explored: the original with the mistake in it.
    #[must_use]
    pub fn subject(&self) -> Subject {
        let original = self.original();
        match self.seam.clone() {
            Seam::FileSystem(lie) => {
                let files = Lying::under_files(
                    self.storage,
                    StorageUnderTest::settings_of(self.storage),
                    lie,
                );
                original.on(files)
            }
            Seam::Storage(bug) => {
                let storage = original.storage.wrapped(move |inner| bug.put_into(inner));
                original.on(storage)
            }
            Seam::Strategy(bend) => {
                let spelling = original.spelling.clone();
                Subject::new(Bent::new(original.strategy, bend))
                    .spelled(spelling)
                    .on(original.storage)
            }
        }
    }

    /// The same without the mistake, which must hold.
    #[must_use]
    pub fn original(&self) -> Subject {
        let policy: Policy = self.strategy.parse().expect("the list spells strategies correctly");
        Subject::new(policy)
            .spelled(self.strategy)
            .on(StorageUnderTest::named(self.storage).expect("the list names storages correctly"))
    }

    /// An exploration of it, ready to run.
    #[must_use]
    pub fn explorer(&self) -> Explorer {
        let states = match self.seam {
            Seam::Strategy(Bend::Claims(_)) => CLAIM_STATES,
            _ => STATES,
        };
        Explorer::new(self.subject()).mutant(self.name).states(states)
    }

    /// Explores it, and shrinks what is found.
    #[must_use]
    pub fn run(&self) -> Status {
        Self::status(self.explorer().run())
    }

    /// Explores it, and takes what is found as it is, which is faster.
    #[must_use]
    pub fn look(&self) -> Status {
        Self::status(self.explorer().shrink(false).run())
    }

    fn status(outcome: Outcome) -> Status {
        let states = outcome.states;
        match outcome.failure {
            Some(failure) => Status::Caught {
                by: failure.violation.oracle.clone(),
                states,
                failure: Some(Box::new(failure)),
            },
            None if outcome.holds() => Status::Survived { states },
            None => Status::Caught { by: "tightness".into(), states, failure: None },
        }
    }
}

/// Every mutant at a seam.
#[must_use]
pub fn seam_mutants() -> Vec<Mutant> {
    list::all()
}
