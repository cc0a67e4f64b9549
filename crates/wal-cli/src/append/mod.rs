//! `wal append`: records from standard input into a log.

mod acks;
mod pipeline;
mod queues;
mod summary;

use std::io;
use std::path::PathBuf;

use clap::{ArgAction, Parser, ValueEnum};
use wal_core::{Durability, MemoryStorage, Settings, Wal};
use wal_fs::{DirectSettings, DirectStorage, FileSettings, FileStorage, MmapSettings, MmapStorage};
use wal_sync::Policy;

use crate::failure::Failure;
use crate::input::{InputFormat, RecordReader};
use crate::{help, open, size};
use acks::Acks;

const EXAMPLES: &str = "\
Examples:
  seq 1 1000 | wal append /tmp/log
  wal append /tmp/log --input jsonl --sync batch:1000,1MiB,10ms < events.jsonl
  seq 1 200000 | wal append /tmp/log --sync group --writers 16 --ack
  wal dump /tmp/log --output len32 | wal append /tmp/copy --input len32 --batch 100

Strategies (--sync), and what a crash may lose of the acknowledged records:
  always               one sync per append                       nothing
  group[:WAIT,MAX]     writers share syncs; may wait for others   nothing
  adaptive             group, with a wait that tunes itself       nothing
  batch:RECORDS[,BYTES][,DELAY]
                       a power loss: less than a batch; the death of the process: nothing
  interval:T           a power loss: the last T; the death of the process: nothing
  os                   a power loss: anything; the death of the process: nothing

The log is recovered first: a torn tail, as a crash leaves it, is cut, and that is said on standard
error. At the end of the input everything is synced and the log is closed.";

/// Append records from standard input
///
/// Creates the log if there is none. A summary goes to standard error.
#[derive(Debug, Parser)]
#[command(after_help = help::after_help(EXAMPLES), after_long_help = help::after_help(EXAMPLES))]
pub(crate) struct Args {
    /// The log's directory; not used with --storage memory
    #[arg(value_name = "DIR", required_unless_present = "storage")]
    dir: Option<PathBuf>,

    /// How records lie in the input
    #[arg(long, value_enum, default_value_t = InputFormat::Lines, value_name = "FORMAT")]
    input: InputFormat,

    /// When records are synced and acknowledged
    #[arg(long, default_value = "group", value_name = "STRATEGY", value_parser = policy)]
    sync: Policy,

    /// Append from this many threads at once; records are dealt to them in turn
    #[arg(long, default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    writers: u16,

    /// Append this many records at a time, as one atomic batch
    #[arg(long, default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,

    /// When a segment is full, such as 64k or 1MiB [default: 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = segment_size)]
    segment_size: Option<u64>,

    /// Where the log lives, and how it is written; one in memory ends with the process
    #[arg(long, value_enum, default_value_t = Storage::File, value_name = "WHERE")]
    storage: Storage,

    /// With --storage direct: what becomes of a last block that the records of a write fill only in part
    /// [default: rewritten]
    #[arg(long, value_enum, value_name = "WHAT")]
    last_block: Option<LastBlock>,

    /// How safe a record is when it is acknowledged
    #[arg(long, value_enum, default_value_t = Level::Strategy, value_name = "LEVEL")]
    durability: Level,

    /// Print the LSN of each record once it is acknowledged, unbuffered and in order
    #[arg(long, action = ArgAction::SetTrue)]
    ack: bool,

    #[command(flatten)]
    place: open::Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Storage {
    /// In files in DIR
    File,
    /// In files in DIR, written past the cache (Linux): durable by one call
    Direct,
    /// In files in DIR, mapped into memory: survives the process without a call
    Mmap,
    /// In files in DIR, synced by io_uring (Linux, where it is allowed)
    Uring,
    /// In memory, to measure or to try out
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LastBlock {
    /// The next commit begins in it and writes it again
    Rewritten,
    /// It is filled up: no block with an acknowledged record is written again, at the cost of space
    Padded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    /// In the process's memory: its death may lose the record
    Buffered,
    /// Handed to the operating system: a power loss may lose the record
    Written,
    /// Synced
    Durable,
    /// As the strategy decides
    Strategy,
}

impl From<LastBlock> for wal_fs::LastBlock {
    fn from(last_block: LastBlock) -> Self {
        match last_block {
            LastBlock::Rewritten => wal_fs::LastBlock::Rewritten,
            LastBlock::Padded => wal_fs::LastBlock::Padded,
        }
    }
}

impl From<Level> for Option<Durability> {
    fn from(level: Level) -> Self {
        match level {
            Level::Buffered => Some(Durability::Buffered),
            Level::Written => Some(Durability::Written),
            Level::Durable => Some(Durability::Durable),
            Level::Strategy => None,
        }
    }
}

fn policy(text: &str) -> Result<Policy, String> {
    text.parse().map_err(|error: wal_core::Error| error.detail().to_owned())
}

fn segment_size(text: &str) -> Result<u64, String> {
    let bytes = size::parse(text)?;
    let checked = Settings::default().segment_size(bytes).validate();
    checked.map(|()| bytes).map_err(|error| error.detail().to_owned())
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    if args.last_block.is_some() && args.storage != Storage::Direct {
        return Err(Failure::usage("--last-block is for --storage direct"));
    }
    let mut settings = Settings::default();
    if let Some(bytes) = args.segment_size {
        settings = settings.segment_size(bytes);
    }
    // No record beyond this fits; whether a smaller one does is for the log to say.
    let limit = settings.segment_size.min(settings.buffer_bytes);
    let wal = open(&args, settings)?;
    let acks = args.ack.then(|| Acks::new(wal.next_lsn(), io::stdout()));
    let plan = pipeline::Plan {
        writers: usize::from(args.writers),
        batch: args.batch as usize,
        batch_bytes: limit,
        durability: args.durability.into(),
    };
    let reader = move || RecordReader::new(io::stdin().lock(), args.input, limit);
    let (summary, failure) = pipeline::run(&plan, reader, &wal, acks.as_ref());
    let closed = wal.close().map_err(Failure::from);
    summary.print(&wal.stats());
    match failure {
        // That closing failed, too, is its consequence.
        Some(failure) => Err(failure),
        None => closed,
    }
}

fn open(args: &Args, settings: Settings) -> Result<Wal, Failure> {
    let (unsynced, reserve) = (args.place.allow_unsynced_names, args.place.reserve);
    let recovered = match (args.storage, &args.dir) {
        (Storage::Memory, _) => MemoryStorage::new().into_empty_log()?,
        (_, None) => return Err(Failure::usage("DIR is required")),
        (Storage::File, Some(dir)) => {
            let settings = FileSettings::default();
            let settings = settings.allow_unsynced_names(unsynced).reserve_bytes(reserve);
            open::recover_raw(FileStorage::create_with(dir, settings)?)?
        }
        (Storage::Direct, Some(dir)) => {
            let last_block = args.last_block.map(Into::into).unwrap_or_default();
            let settings = DirectSettings::default()
                .last_block(last_block)
                .allow_unsynced_names(unsynced)
                .reserve_bytes(reserve);
            open::recover_raw(DirectStorage::create_with(dir, settings)?)?
        }
        (Storage::Mmap, Some(dir)) => {
            let settings = MmapSettings::default();
            let settings = settings.allow_unsynced_names(unsynced).reserve_bytes(reserve);
            open::recover_raw(MmapStorage::create_with(dir, settings)?)?
        }
        (Storage::Uring, Some(dir)) => open::recover_raw(open::uring(dir, args.place)?)?,
    };
    Ok(Wal::builder(args.sync).settings(settings).open(recovered)?)
}
