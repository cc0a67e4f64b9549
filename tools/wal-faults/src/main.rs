//! `cargo xtask faults`: every claim held against crashes, and the kit against seeded mistakes.
//!
//! - `options`: what is asked for
//! - `explore`: mutants and subjects, spread over threads and over the time there is
//! - `progress`: how far it is, on standard error
//! - `report`: what was found, and whether it is good
//! - `table`: the report as text
//! - `html`: the report as a page
//! - `replay`: one case again
//! - `seams`: mutants one by one, for `cargo xtask mutants`

mod explore;
mod html;
mod options;
mod progress;
mod replay;
mod report;
mod seams;
mod table;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;

use options::Options;

/// The explorer builds and drops many small things: this allocator is quick at it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

fn main() -> ExitCode {
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
    let report = explore::all(options)?;
    print!("{}", table::text(&report));
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&report).context("the report as JSON")?;
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(file) = &options.html {
        fs::write(file, html::page(&report))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let problems = report.problems();
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}
