//! What became of a check: passed, skipped, or a promise that was broken.

use std::fmt;
use std::io::{self, Write};

use wal_core::Error;

/// How a check ended that found nothing wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a check that was skipped has shown nothing"]
#[non_exhaustive]
pub enum Checked {
    /// The promise was kept wherever the check looked.
    Passed,
    /// The check does not apply, or cannot be run, for this reason.
    Skipped(String),
}

/// A promise that was broken. Its `Display` is the message of the failing test.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Breach {
    /// Who broke it: what the storage or codec calls itself.
    pub who: String,
    /// The sentence of the contract.
    pub promise: &'static str,
    /// What was seen instead.
    pub seen: String,
    /// The calls that led there, oldest first.
    pub calls: Vec<String>,
}

/// So many calls are shown: the last ones.
const CALLS_SHOWN: usize = 40;

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} breaks its contract", self.who)?;
        writeln!(f, "  promised: {}", self.promise)?;
        write!(f, "  seen:     {}", self.seen)?;
        if self.calls.is_empty() {
            return Ok(());
        }
        write!(f, "\n  after these calls:")?;
        let hidden = self.calls.len().saturating_sub(CALLS_SHOWN);
        if hidden > 0 {
            write!(f, "\n    ({hidden} earlier calls)")?;
        }
        for call in &self.calls[hidden..] {
            write!(f, "\n    {call}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Breach {}

/// Why a check ends early. `?` turns an error of the storage into one.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stop {
    /// It cannot be run.
    Skip(String),
    /// It saw this, which the contract forbids.
    Broken(String),
    /// Only its needs were asked for.
    Dry,
}

impl Stop {
    /// A promise was broken, as seen by this.
    pub fn broken(seen: impl Into<String>) -> Self {
        Stop::Broken(seen.into())
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Broken(format!("a call failed that nothing stood in the way of: {}", error.chain()))
    }
}

/// `Err` with what was seen, unless `kept`.
pub(super) fn ensure(kept: bool, seen: impl FnOnce() -> String) -> Result<(), Stop> {
    if kept { Ok(()) } else { Err(Stop::Broken(seen())) }
}

/// Ends a test: says aloud that it was skipped, or panics with the breach.
///
/// # Panics
/// If a promise was broken.
pub fn report(module: &str, test: &str, outcome: Result<Checked, Breach>) {
    match outcome {
        Ok(Checked::Passed) => {}
        Ok(Checked::Skipped(why)) => aloud(&format!("skipped {module}::{test}: {why}\n")),
        Err(breach) => panic!("{breach}"),
    }
}

/// Says which tests of a module were skipped and why, and holds that against what was expected.
///
/// # Panics
/// If other tests are skipped than `expected`, or one that does not exist.
pub fn report_skips(module: &str, tests: &[(&str, Option<String>)], expected: Option<&[&str]>) {
    let skipped = tests.iter().filter_map(|(test, why)| Some((*test, why.as_ref()?)));
    let skipped: Vec<(&str, &String)> = skipped.collect();
    let mut text = format!("{module}: {} checks, {} skipped\n", tests.len(), skipped.len());
    for (test, why) in &skipped {
        text += &format!("  {test}: {why}\n");
    }
    aloud(&text);
    if let Some(expected) = expected {
        let mut seen: Vec<&str> = skipped.iter().map(|(test, _)| *test).collect();
        let mut expected = expected.to_vec();
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected, "skipped (left), and expected to be skipped (right)");
    }
}

/// Writes past the capture of the test harness, which hides what passing tests print.
fn aloud(text: &str) {
    // In one piece, as tests run side by side. Nobody may be listening, which is no failure.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
