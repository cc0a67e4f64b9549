//! Runs without libFuzzer: on any toolchain, the same every time.
//!
//! The corpus is replayed, then mutations of it. That finds less than libFuzzer, which sees what an input
//! covers; it keeps what was found from coming back, and it runs wherever the tests run.

mod guard;
mod mutate;
mod program;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::time::Duration;

use wal_core::{Clock, SystemClock};
use wal_testkit::Rng;

use crate::Target;
use guard::Guard;
pub use guard::{INPUT_TIME_MAX, MEMORY_MAX};
pub use program::main;

/// How much is run, beside the corpus.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// So many mutations.
    Mutations(u64),
    /// As many as fit.
    Time(Duration),
}

/// What a run came to, without a failure.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Inputs of the corpus.
    pub corpus: u64,
    /// All inputs.
    pub executions: u64,
    /// The longest that one of them took.
    pub slowest: Duration,
    /// The most heap that was in use at once, in bytes.
    pub peak_bytes: usize,
}

/// The inputs kept for a target: what libFuzzer starts from, and what was ever found.
#[must_use]
pub fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let dir = project().join("corpus").join(target.name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// The directory of this project.
pub(crate) fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the corpus, then mutations of it.
///
/// # Errors
/// What failed, and where the input was put. An input that takes too long, or takes too much memory
/// while it runs, ends the process instead: nothing else can end it.
pub fn replay(target: &Target, budget: Budget) -> Result<Summary, String> {
    let corpus = corpus(target);
    assert!(!corpus.is_empty(), "{} has no corpus", target.name);
    let mut runner = Runner::new(target);
    for input in &corpus {
        runner.run(input)?;
    }
    let mut rng = Rng::new(0x5eed);
    let mut mutations = 0;
    while match budget {
        Budget::Mutations(n) => mutations < n,
        Budget::Time(time) => runner.clock.monotonic() - runner.started < time,
    } {
        runner.run(&mutate::next(&corpus, &mut rng))?;
        mutations += 1;
    }
    Ok(runner.summary(corpus.len()))
}

/// Runs some inputs.
///
/// # Errors
/// As for [`replay`].
pub fn run_all(target: &Target, inputs: &[Vec<u8>]) -> Result<Summary, String> {
    let mut runner = Runner::new(target);
    inputs.iter().try_for_each(|input| runner.run(input))?;
    Ok(runner.summary(inputs.len()))
}

struct Runner<'a> {
    target: &'a Target,
    guard: Guard,
    clock: SystemClock,
    started: Duration,
    executions: u64,
    slowest: Duration,
}

impl<'a> Runner<'a> {
    fn new(target: &'a Target) -> Self {
        let clock = SystemClock::new();
        let started = clock.monotonic();
        let guard = Guard::new(target.name);
        Runner { target, guard, clock, started, executions: 0, slowest: Duration::ZERO }
    }

    fn run(&mut self, input: &[u8]) -> Result<(), String> {
        let before = self.clock.monotonic();
        self.guard.begin(input);
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| (self.target.run)(input)));
        self.guard.end();
        self.slowest = self.slowest.max(self.clock.monotonic() - before);
        self.executions += 1;
        let peak = guard::peak_bytes();
        let failure = match outcome {
            Err(_) => "it panicked, see above".to_owned(),
            Ok(()) if peak > MEMORY_MAX => format!("it took {peak} bytes of {MEMORY_MAX}"),
            Ok(()) => return Ok(()),
        };
        Err(format!("{}: {failure}; {}", self.target.name, guard::keep(self.target.name, input)))
    }

    fn summary(&self, corpus: usize) -> Summary {
        let Runner { executions, slowest, .. } = *self;
        Summary { corpus: corpus as u64, executions, slowest, peak_bytes: guard::peak_bytes() }
    }
}
