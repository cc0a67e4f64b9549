//! `wal stat`: segments, LSNs, sizes.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Parser;
use wal_recovery::{Report, Verify};

use crate::failure::{Code, Failure};
use crate::{help, output, size, time, verify};

const EXAMPLES: &str = "\
Examples:
  wal stat /tmp/log
  wal stat /tmp/log --json | jq .last_lsn

The exit code says only whether the log could be looked at; `wal verify` judges it.";

/// Show segments, LSN range, sizes, codec, and whether the log was closed
///
/// Changes nothing, and works while a writer runs.
#[derive(Debug, Parser)]
#[command(after_help = help::after_help(EXAMPLES), after_long_help = help::after_help(EXAMPLES))]
pub(crate) struct Args {
    /// The log's directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let report = verify::inspect(&args.dir, Verify::Footers)?;
    if args.json {
        verify::print(&args.dir, &report, true)?;
    } else {
        output::report(&table(&report))?;
    }
    Ok(Code::Ok)
}

fn table(report: &Report) -> String {
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        writeln!(out, "{text}").expect("a string takes every write");
    };
    match (&report.log_id, report.codec) {
        (Some(id), Some(codec)) if report.layers.is_empty() => {
            line(format_args!("log       {id}, codec {codec}"));
        }
        (Some(id), Some(codec)) => {
            line(format_args!("log       {id}, codec {codec}, layers {}", report.layers));
        }
        _ => line(format_args!("log       empty: no segment yet")),
    }
    match report.records {
        0 => line(format_args!("records   none; the next is LSN {}", report.next_lsn)),
        n => line(format_args!(
            "records   {n}: LSN {} to {}; the next is LSN {}",
            report.first_lsn, report.last_lsn, report.next_lsn
        )),
    }
    let bytes: u64 = report.segments.iter().map(|segment| segment.bytes).sum();
    let data: u64 = report.segments.iter().map(|segment| segment.data_bytes).sum();
    line(format_args!(
        "size      {} in {}, {} of it records with their frames",
        size::show(bytes),
        match report.segments.len() {
            1 => "1 segment".into(),
            n => format!("{n} segments"),
        },
        size::show(data)
    ));
    line(format_args!("reserve   {} for when the disk is full", size::show(report.reserve_bytes)));
    let closed = if report.clean { "closed cleanly" } else { "not closed, or in use" };
    line(format_args!("state     {}, {closed}", report.verdict()));
    for finding in &report.findings {
        line(format_args!("finding   {finding}"));
    }
    if !report.foreign.is_empty() {
        line(format_args!("foreign   {}", report.foreign.join(", ")));
    }
    if !report.segments.is_empty() {
        line(format_args!(
            "\n{:>12} {:>12} {:>9} {:>11} {:>11} {:>6} {:>7}  {:27}  last record",
            "first LSN", "last LSN", "records", "used", "length", "sealed", "state", "created"
        ));
    }
    for s in &report.segments {
        let last = if s.records == 0 { "-".into() } else { time::show(s.last_time) };
        line(format_args!(
            "{:>12} {:>12} {:>9} {:>11} {:>11} {:>6} {:>7}  {:27}  {last}",
            s.first_lsn,
            s.last_lsn,
            s.records,
            size::show(s.data_bytes),
            size::show(s.bytes),
            if s.sealed { "yes" } else { "no" },
            s.state.as_str(),
            time::show(s.created),
        ));
    }
    out
}
