//! `cargo xtask faults`: every claim held against crashes, and the kit against seeded mistakes.
//!
//! - `options`: what is asked for
//! - `explore`: mutants and subjects, spread over threads and over the time there is
//! - `progress`: how far it is, on standard error
//! - `report`: what was found, and whether it is good
//! - `table`: the report as text
//! - `html`: the report as a page
//! - `replay`: one case again

mod explore;
mod html;
mod options;
mod progress;
mod replay;
mod report;
mod table;

use std::fs;

use anyhow::{Context, bail};

pub(crate) use options::Options;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    crate::release::ensure()?;
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
