//! What every measurement has: whom it is of, and what came of it.

use serde::{Deserialize, Serialize};
use wal_core::ErrorKind;
use wal_load::Sample;
use wal_sync::Policy;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// The machine itself.
    Raw,
    /// Another log.
    Peer,
    /// The log.
    Ours,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Measured {
    Sample(Sample),
    /// It cannot be done here, and why.
    Skipped(String),
}

pub(super) fn measured(sample: anyhow::Result<Sample>) -> anyhow::Result<Measured> {
    sample.map(Measured::Sample)
}

/// What this system cannot do is left out, and said.
pub(super) fn measured_if_possible(sample: anyhow::Result<Sample>) -> anyhow::Result<Measured> {
    let unsupported = |error: &wal_core::Error| error.kind() == ErrorKind::Unsupported;
    match sample {
        Err(error) if error.downcast_ref().is_some_and(unsupported) => {
            Ok(Measured::Skipped(error.to_string()))
        }
        sample => measured(sample),
    }
}

/// A strategy by its name; the names here are the program's own.
pub(super) fn strategy(name: &str) -> Policy {
    name.parse().expect("a strategy of the bench is spelled well")
}
