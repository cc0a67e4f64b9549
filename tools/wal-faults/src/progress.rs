//! What a run tells while it goes on.

use std::time::Duration;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A part of the work begins: `owners`, `mutants` or `claims`.
    Begun {
        /// Its name.
        part: &'static str,
        /// How much there is to do.
        length: Length,
    },
    /// So many states more were examined; of owners, so many orders.
    States(u64),
    /// One job more has ended.
    JobDone,
}

/// What is to be done before a part is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a part of a run ends by number or by time")]
pub enum Length {
    /// Jobs that end.
    Jobs(usize),
    /// Time that passes.
    Time(Duration),
}
