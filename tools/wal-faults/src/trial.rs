//! What became of a mutant.

use serde::Serialize;
use wal_testkit::mutants::Mutant;
use wal_testkit::{Failure, Outcome};

use super::risk::Risk;

/// A seeded mistake, and whether the kit has found it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Trial {
    /// The mutant's name.
    pub name: &'static str,
    /// What is wrong.
    pub bug: &'static str,
    /// Its number in the list of mistakes seen in real systems.
    pub fault: Option<u8>,
    /// The strategy, as it is spelled.
    pub strategy: String,
    /// The storage.
    pub storage: String,
    /// The oracle that found it, or `tightness`; none if it survived.
    pub caught_by: Option<String>,
    /// States until then.
    pub states: u64,
    /// What was found.
    pub finding: Option<String>,
    /// How to see it. A claim that is merely too wide breaks nothing.
    pub failure: Option<Failure>,
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
