//! A promise that was not kept.

use std::fmt;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
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
