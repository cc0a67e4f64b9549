//! `wal truncate`: give up records at the front or at the back.

use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use clap::Parser;
use wal_core::{Codec, CodecId, Lsn, Wal};
use wal_sync::Policy;

use crate::failure::{Failure, say};
use crate::{help, open};

const EXAMPLES: &str = "\
Examples:
  wal truncate /tmp/log --before 1000    LSN 1000 becomes the first record
  wal truncate /tmp/log --after 2000     LSN 2000 becomes the last record

Numbers are never given out again: after `--after 2000` the next record still gets the number that it
would have got without. Truncating is final, no copy is kept. On a full disk `--before` works by the log's
reserve, and makes room.";

/// Remove the records before or after an LSN
///
/// Recovers the log first and closes it afterwards.
#[derive(Debug, Parser)]
#[command(after_help = help::after_help(EXAMPLES), after_long_help = help::after_help(EXAMPLES))]
pub(crate) struct Args {
    /// The log's directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    #[command(flatten)]
    end: End,

    #[command(flatten)]
    place: open::Place,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct End {
    /// Remove the records before this one
    #[arg(long, value_name = "LSN")]
    before: Option<u64>,

    /// Remove the records after this one
    #[arg(long, value_name = "LSN")]
    after: Option<u64>,
}

/// Truncating looks into no record, so it works with the codec that the log has.
struct Any(CodecId);

impl Codec for Any {
    type Record = [u8];
    type Decoded = Bytes;

    fn id(&self) -> CodecId {
        self.0
    }

    fn encode(&self, record: &[u8], out: &mut BytesMut) -> wal_core::Result<()> {
        out.extend_from_slice(record);
        Ok(())
    }

    fn decode(&self, bytes: Bytes) -> wal_core::Result<Bytes> {
        Ok(bytes)
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let storage = open::to_write(&args.dir, args.place)?;
    let recovered = open::recover_to_truncate(storage, args.end.before.map(Lsn::new))?;
    let codec = Any(recovered.codec().unwrap_or(CodecId::RAW));
    let wal = Wal::builder(Policy::default()).codec(codec).open(recovered)?;
    match args.end {
        End { before: Some(lsn), .. } => wal.truncate_before(Lsn::new(lsn))?,
        End { after: Some(lsn), .. } => wal.truncate_after(Lsn::new(lsn))?,
        End { before: None, after: None } => unreachable!("one of them is required"),
    };
    let (first, last, next) = (wal.first_lsn(), wal.last_lsn(), wal.next_lsn());
    wal.close()?;
    if last < first {
        say(format_args!("the log is empty; the next record gets LSN {next}"));
    } else {
        say(format_args!("the log holds LSN {first} to {last}; the next record gets LSN {next}"));
    }
    Ok(())
}
