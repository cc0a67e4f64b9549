//! Explores the crashes of one strategy on one storage, and says what it found.
//!
//! `cargo run -p wal-testkit --example explore -- --strategy batch:8 --storage file --states 20000`
//!
//! The first line says `held`, or the oracle that was violated (`tightness` for a claim that no crash
//! reached), then the states examined and the seconds that took, separated by tabs. With `--story`,
//! the shortest case found follows. Exits with 1 if something was violated.

use std::process::ExitCode;

use wal_core::{Clock, SystemClock};
use wal_sync::Policy;
use wal_testkit::{Explorer, StorageUnderTest, Subject};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Default)]
struct Options {
    strategy: Option<String>,
    storage: Option<String>,
    states: Option<u64>,
    seed: u64,
    story: bool,
}

fn options() -> Result<Options> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--strategy" => options.strategy = Some(value()?),
            "--storage" => options.storage = Some(value()?),
            "--states" => options.states = Some(value()?.parse()?),
            "--seed" => options.seed = value()?.parse()?,
            "--story" => options.story = true,
            _ => return Err(format!("{word} is no option").into()),
        }
    }
    Ok(options)
}

fn subject(options: &Options) -> Result<Subject> {
    let strategy = options.strategy.as_deref().unwrap_or("always");
    let storage = options.storage.as_deref().unwrap_or("file");
    let storage = StorageUnderTest::named(storage).ok_or("no such storage is shipped")?;
    Ok(Subject::new(strategy.parse::<Policy>()?).spelled(strategy).on(storage))
}

fn main() -> Result<ExitCode> {
    let options = options()?;
    let subject = subject(&options)?;
    let explorer = || {
        let states = options.states.unwrap_or(20_000);
        Explorer::new(subject.clone()).states(states).seed(options.seed).written_first(true)
    };
    // A panic of the code under test is a finding; its message belongs there.
    std::panic::set_hook(Box::new(|_| ()));
    let clock = SystemClock::new();
    let outcome = explorer().shrink(false).run();
    let seconds = clock.monotonic().as_secs_f64();
    let found = match &outcome.failure {
        Some(failure) => failure.violation.oracle.as_str(),
        None if outcome.holds() => "held",
        None => "tightness",
    };
    println!("{found}\t{}\t{seconds:.2}", outcome.states);
    if found == "held" {
        return Ok(ExitCode::SUCCESS);
    }
    if options.story {
        match explorer().run().failure {
            Some(failure) => println!("{failure}"),
            None => println!("{:?}", outcome.tightness()),
        }
    }
    Ok(ExitCode::FAILURE)
}
