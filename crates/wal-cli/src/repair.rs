//! `wal repair`: make a log that can be appended to, and keep what is cut.

use std::path::PathBuf;

use clap::Parser;
use wal_core::Lsn;
use wal_recovery::{Mode, Recovery, Until, Verify};

use crate::failure::{Code, Failure};
use crate::{help, open, progress, time, verify};

const EXAMPLES: &str = "\
Examples:
  wal repair /tmp/log                             cut a torn tail
  wal repair /tmp/log --mode salvage              keep everything readable, report every hole
  wal repair /tmp/log --until 1000                end the log at LSN 1000
  wal repair /tmp/log --until 2026-01-31T12:00:00Z

Modes (--mode):
  strict         anything wrong is an error (exit code 3 or 4), and nothing is changed
  torn-tail      cut an incomplete write at the end; damage is an error, and nothing is changed
  point-in-time  end the log before its first damage
  salvage        skip damage; the LSNs have holes then, and each is reported

Whatever is cut or found damaged is kept in the directory, in files named *.cut, each of 16 MiB at most.";

/// Cut what a crash or damage left, and keep a copy of it
///
/// Prints what was found and what was done. The log can be opened afterwards.
#[derive(Debug, Parser)]
#[command(after_help = help::after_help(EXAMPLES), after_long_help = help::after_help(EXAMPLES))]
pub(crate) struct Args {
    /// The log's directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// What to do about damage: strict, torn-tail, point-in-time or salvage
    #[arg(long, default_value = "torn-tail", value_name = "MODE", value_parser = mode)]
    mode: Mode,

    /// End the log at this record, or in front of the first one whose time is later than this
    #[arg(long, value_name = "LSN|TIME", value_parser = until)]
    until: Option<Until>,

    /// End the log at a time although its records have times ahead of the clock
    ///
    /// If the clock was ahead when they were appended, a time says nothing about them: `--until` with the present time would
    /// take all of them out. So that is an error without this option. An LSN is better: `wal dump DIR` shows both.
    #[arg(long)]
    allow_times_ahead: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: open::Place,
}

fn mode(name: &str) -> Result<Mode, String> {
    name.parse().map_err(|error: wal_core::Error| error.detail().to_owned())
}

fn until(text: &str) -> Result<Until, String> {
    if let Ok(lsn) = text.parse() {
        return Ok(Until::Lsn(Lsn::new(lsn)));
    }
    time::parse(text).map(Until::Time).map_err(|error| format!("neither an LSN: {error}"))
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let storage = open::to_write(&args.dir, args.place)?;
    open::warn(&storage);
    let recovery = Recovery::new(storage).mode(args.mode).verify(Verify::All).save_cut(true);
    let recovery = recovery.memory_limit(open::memory_limit());
    let mut recovery = recovery.allow_times_ahead(args.allow_times_ahead);
    if let Some(until) = args.until {
        recovery = recovery.until(until);
    }
    if let Some(bar) = progress::bar("repair") {
        recovery = recovery.progress(bar);
    }
    let (_recovered, report) = recovery.run().map_err(|error| {
        let failure = Failure::from(error);
        if args.mode == Mode::Salvage { failure.of_salvage() } else { failure }
    })?;
    verify::print(&args.dir, &report, args.json)?;
    Ok(Code::Ok)
}
