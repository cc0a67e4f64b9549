//! `wal dump`: print records.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use wal_core::Lsn;
use wal_fs::FileStorage;
use wal_recovery::{DamageKind, Inspect, Verify, View};

use crate::failure::{Failure, say};
use crate::output::{self, OutputFormat};
use crate::{help, open};

const EXAMPLES: &str = "\
Examples:
  wal dump /tmp/log
  wal dump /tmp/log --from 100 --to 200 --output jsonl
  wal dump /tmp/log --follow --output jsonl | jq -r .record
  wal dump /tmp/log --output len32 > records.bin

Works while a writer runs, and shows every record that it has handed to the operating system; a power
loss may still take those that are not synced. The bytes are shown as they are, whatever the codec.
A torn tail at the end of the log is mentioned on standard error; it is no record, and no failure.";

/// How long to wait at most before looking for new records again.
const LOOK: Duration = Duration::from_secs(1);

/// Print records
#[derive(Debug, Parser)]
#[command(after_help = help::after_help(EXAMPLES), after_long_help = help::after_help(EXAMPLES))]
pub(crate) struct Args {
    /// The log's directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Begin with this record [default: the first]
    #[arg(long, value_name = "LSN")]
    from: Option<u64>,

    /// End with this record [default: the last]
    #[arg(long, value_name = "LSN")]
    to: Option<u64>,

    /// How records are printed
    #[arg(long, value_enum, default_value_t = OutputFormat::Lines, value_name = "FORMAT")]
    output: OutputFormat,

    /// Go on printing records as they are appended
    #[arg(long)]
    follow: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let storage = Arc::new(open::existing(&args.dir)?);
    let view = View::open(storage.clone())?;
    let mut records = view.records(Lsn::new(args.from.unwrap_or(0)));
    let to = Lsn::new(args.to.unwrap_or(u64::MAX));
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let written = |outcome: io::Result<()>| outcome.map_err(|error| Failure::output(&error));
    loop {
        match records.next() {
            Some(Ok(entry)) if entry.lsn > to => break,
            Some(Ok(entry)) => {
                written(output::write(&mut out, args.output, &entry))?;
                if entry.lsn == to {
                    break;
                }
            }
            Some(Err(error)) => {
                // What could be read comes first.
                written(out.flush())?;
                return Err(error.into());
            }
            None if args.follow => {
                written(out.flush())?;
                records.wait(LOOK);
            }
            None => {
                written(out.flush())?;
                mention_torn_tail(storage);
                break;
            }
        }
    }
    written(out.flush())
}

/// Records end before a torn tail without a word. That it is there, this says.
fn mention_torn_tail(storage: Arc<FileStorage>) {
    let inspect = Inspect::new(storage).verify(Verify::Footers);
    let report = inspect.memory_limit(open::memory_limit()).run();
    report.iter().for_each(open::mention);
    for damage in report.iter().flat_map(|report| &report.damages) {
        if damage.kind == DamageKind::TornTail {
            say(format_args!("the log ends here, in an unfinished write: {damage}"));
        }
    }
}
