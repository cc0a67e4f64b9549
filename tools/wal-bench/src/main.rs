//! `cargo xtask bench`: the log beside the raw device and its peers, in turns.
//!
//! - `options`: what is asked for
//! - `suites`: what is measured, made of a `choice`, `pace` among them; `bars`: what has to be reached
//! - `cell`: one thing that is measured, as one of
//!   - `raw`: what the machine itself can do
//!   - `ours`: the log, on one of the `storages`, with or without a `mechanism`; `many`: several logs
//!   - `recovery`, `open`: reading and opening what was written
//!   - `peers`: other logs
//!   - `measure`: what all of these have: whom it is of, and what came of it
//! - `rounds`: the cells in turns, and the best of them one against one, with `progress` on standard error
//! - `report`: what was measured, and on which `machine`; `table`, `html` and `doc` show it
//!
//! How a call is timed is told by the crate `wal-load`.

mod bars;
mod cell;
mod choice;
mod doc;
mod html;
mod machine;
mod many;
mod measure;
mod mechanism;
mod number;
mod open;
mod options;
mod ours;
mod pace;
mod peers;
mod progress;
mod raw;
mod recovery;
mod report;
mod rounds;
mod storages;
mod suites;
mod table;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use machine::Times;
use options::Options;
use peers::{Peers, Which};
use progress::Progress;
use report::{Machine, Report};
use rounds::Rounds;
use suites::Suite;

/// The test kit's tools and `bench/peers` have it, too, so that it decides no comparison.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the log beside the raw device and its peers, in turns, and prints ratios.
///
/// Figures of different runs do not compare: quiet the machine, and look at the ratios. Takes up to
/// 5 GiB of the disk at a time, with `--full` 12, and gives them back.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
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
    if let Some(dir) = &options.replay {
        println!("{}", serde_json::to_string(&recovery::replay(dir, options.given)?)?);
        return Ok(());
    }
    let report = match &options.from {
        Some(file) => read(file)?,
        None => measure(options)?,
    };
    print!("{}", table::text(&report));
    let write = |file: &Path, text: String| {
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    };
    if let Some(file) = &options.json {
        write(file, serde_json::to_string_pretty(&report).context("the report as JSON")?)?;
    }
    if let Some(file) = &options.html {
        write(file, html::page(&report))?;
    }
    if let Some(file) = &options.doc {
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let filled = doc::fill(&text, &report);
        write(file, filled.with_context(|| format!("in {}", file.display()))?)?;
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Report> {
    let told = || format!("cannot read {}", file.display());
    let json = fs::read_to_string(file).with_context(told)?;
    serde_json::from_str(&json).with_context(told)
}

fn measure(options: &Options) -> anyhow::Result<Report> {
    ensure!(
        !cfg!(debug_assertions),
        "this build is not optimised; `cargo xtask bench` runs one that is"
    );
    let dir = &options.dir;
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let peers = match options.peers {
        Which::None => None,
        Which::Fast | Which::All => Some(Peers::build()?),
    };
    let choice = options.choice();
    let chosen = options.suites();
    let makes = suites::SUITES.iter().filter(|(name, _)| chosen.contains(name));
    let suites: Vec<_> = makes.map(|(_, make)| make(&choice).only(&options.only)).collect();
    let (rounds, duels) = (options.rounds(), options.duels());
    let count = |suite: &Suite| suite.measurements(rounds, duels);
    let progress = Progress::new(suites.iter().map(count).sum());
    let rounds = Rounds {
        dir,
        rounds,
        duels,
        timing: options.timing(),
        peers: peers.as_ref(),
        progress: &progress,
    };
    let then = Times::now();
    let suites = suites.iter().map(|suite| rounds.run(suite)).collect::<anyhow::Result<_>>()?;
    let others = then.zip(Times::now()).map(|(then, now)| now.others_since(then));
    Ok(Report {
        machine: Machine { others, ..machine::describe(dir) },
        rounds: rounds.rounds,
        duels: rounds.duels,
        seconds: options.timing().measured.as_secs_f64(),
        suites,
    })
}
