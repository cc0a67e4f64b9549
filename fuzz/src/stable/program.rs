//! What the targets are without libFuzzer: programs that replay.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use super::{Budget, Summary, replay, run_all};
use crate::Target;

const USAGE: &str = "usage: TARGET [--seconds N] [FILE...]";

/// Runs the files that are named, or, without one, the corpus and mutations of it.
#[must_use]
pub fn main(target: &Target) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(target, &arguments) {
        Ok(Summary { corpus, executions, slowest, peak_bytes }) => {
            println!(
                "{}: {executions} executions ({corpus} of them kept inputs), 0 crashes, slowest {:.1} ms, \
                 peak {:.1} MiB",
                target.name,
                slowest.as_secs_f64() * 1e3,
                peak_bytes as f64 / f64::from(1 << 20),
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(target: &Target, arguments: &[String]) -> Result<Summary, String> {
    match arguments {
        [] => replay(target, Budget::Mutations(10_000)),
        [option, seconds] if option == "--seconds" => {
            let seconds = seconds.parse().map_err(|_| format!("{seconds:?}: {USAGE}"))?;
            replay(target, Budget::Time(Duration::from_secs(seconds)))
        }
        files if files.iter().all(|file| !file.starts_with('-')) => {
            let read = |file: &String| fs::read(file).map_err(|error| format!("{file}: {error}"));
            run_all(target, &files.iter().map(read).collect::<Result<Vec<_>, _>>()?)
        }
        _ => Err(USAGE.into()),
    }
}
