//! `wal verify`: is every byte as it was written?

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::Parser;
use serde::Serialize;
use wal_recovery::{Inspect, Report, Verdict, Verify};

use crate::failure::{Code, Failure};
use crate::{help, open, output, progress};

const EXAMPLES: &str = "\
Examples:
  wal verify /tmp/log
  wal verify /tmp/log --json | jq .damages
  wal verify /tmp/log > /dev/null && echo sound

Works while a writer runs: what it is writing at the moment may then look like a torn tail, and a segment that
it is about to begin like one that is missing. A log whose writer was killed is sound, if it was not killed in the
middle of a write, or between two segments.";

/// Check every byte, change none
///
/// Says in which segment, at which offset and LSN what is wrong, and why.
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
    let report = match inspect(&args.dir, Verify::All) {
        Err(failure) if args.json => {
            print_failure(&args.dir, &failure)?;
            return Err(failure);
        }
        outcome => outcome?,
    };
    print(&args.dir, &report, args.json)?;
    Ok(code(report.verdict()))
}

/// Scans the log and changes nothing.
pub(crate) fn inspect(dir: &Path, closely: Verify) -> Result<Report, Failure> {
    let inspect = Inspect::new(open::existing(dir)?).verify(closely);
    let mut inspect = inspect.memory_limit(open::memory_limit());
    if let Some(bar) = progress::bar("verify") {
        inspect = inspect.progress(bar);
    }
    Ok(inspect.run()?)
}

pub(crate) fn code(verdict: Verdict) -> Code {
    match verdict {
        Verdict::Clean => Code::Ok,
        Verdict::Incomplete => Code::Incomplete,
        Verdict::TornTail => Code::TornTail,
        Verdict::Corrupt => Code::Corrupt,
    }
}

#[derive(Serialize)]
struct Json<'a> {
    /// JSON is Unicode. In a name that is not, U+FFFD stands for what is not.
    dir: Cow<'a, str>,
    verdict: Verdict,
    codec_name: Option<String>,
    /// The length of all segments.
    bytes: u64,
    #[serde(flatten)]
    report: &'a Report,
}

/// The report, for people or as one JSON object.
pub(crate) fn print(dir: &Path, report: &Report, json: bool) -> Result<(), Failure> {
    let text = if json {
        let json = Json {
            dir: dir.to_string_lossy(),
            verdict: report.verdict(),
            codec_name: report.codec.map(|codec| codec.to_string()),
            bytes: report.segments.iter().map(|segment| segment.bytes).sum(),
            report,
        };
        serde_json::to_string(&json).map_err(|error| Failure::new(error.to_string()))? + "\n"
    } else {
        report.to_string()
    };
    output::report(&text)
}

#[derive(Serialize)]
struct NoReport<'a> {
    dir: Cow<'a, str>,
    verdict: &'static str,
    error: String,
}

/// Nothing could be scanned at all. A reader of the JSON wants to know why, too.
fn print_failure(dir: &Path, failure: &Failure) -> Result<(), Failure> {
    let verdict = if failure.code == Code::Corrupt { "corrupt" } else { "unknown" };
    let json = NoReport { dir: dir.to_string_lossy(), verdict, error: failure.to_string() };
    let text = serde_json::to_string(&json).map_err(|error| Failure::new(error.to_string()))?;
    output::report(&(text + "\n"))
}
