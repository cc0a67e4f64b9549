//! The crash explorer: every claim of a strategy on a storage, held against every crash.
//!
//! A workload runs once ([`crate::simulation`]). For every state that it left behind, images of the
//! disk are built as a power loss or the death of the process may leave them; on each the real
//! recovery runs, and all oracles are checked; and again inside that recovery.
//!
//! - `oracle`: what must hold of the records that come back
//! - `examine`: one image: recover, check, crash again, append, crash again
//! - `images`: which fates of the pending changes are tried
//! - `explorer`: which workloads, and for how long
//! - `walk`: all crashes of one workload; counts, and the worst loss seen
//! - `directed`, `generate`: written and random workloads
//! - `at_rest`: damage to bytes that were durable
//! - `case`: one crash of one workload as a line of text that can be replayed
//! - `shrink`: the smallest case that still fails
//! - `outcome`: what was found

mod at_rest;
mod case;
mod directed;
mod examine;
mod explorer;
mod generate;
mod images;
pub(crate) mod oracle;
mod outcome;
mod shrink;
mod walk;

use std::fmt;

use serde::Serialize;

pub use case::{Case, CrashSpec};
pub use explorer::Explorer;
pub use generate::any_workload;
pub use outcome::{Failure, FaultKind, Outcome, Tightness, Worst};

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The oracle: `O1` to `O10`, `lock`, `progress`, `panic`.
    pub oracle: String,
    /// What was promised, and what was seen.
    pub what: String,
}

impl Violation {
    pub(crate) fn new(oracle: &str, what: impl Into<String>) -> Self {
        Violation { oracle: oracle.into(), what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.oracle, self.what)
    }
}
