//! The program: options in, a report out.
//!
//! - `options`: what is asked for
//! - `progress`: how far it is, on standard error
//! - `replay`: one case again
//! - `seams`: mutants one by one, for `cargo xtask mutants`

mod options;
mod progress;
mod replay;
mod seams;

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;

use self::options::Options;

/// Holds every claim against crashes, and the test kit against seeded mistakes.
///
/// Runs workloads on a model disk, crashes them at every change, recovers each image that is left,
/// and checks what comes back. Ends with what each strategy claims to lose and has lost at most; fails
/// if a promise is broken, if no crash reaches a claim, or if a mistake is not found.
#[derive(Parser)]
#[command(name = "cargo xtask faults", bin_name = "cargo xtask faults")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

pub(super) fn main() -> ExitCode {
    match run(&Arguments::parse().options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    if options.seams {
        return Ok(seams::list()?);
    }
    if !options.look.is_empty() {
        return seams::look(&options.look, options.story);
    }
    if let Some(trace) = &options.replay {
        return replay::run(trace);
    }
    let report = options.faults().progress(progress::shown()).run()?;
    print!("{report}");
    if let Some(file) = &options.json {
        report.json(file).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(file) = &options.html {
        report.html(file).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let problems = report.problems();
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}
