//! The shared log, record by record, each with the stream it belongs to.

use bytes::Bytes;
use wal_core::{Entry, Error, ErrorKind, Lsn, Result, Timestamp, Wal};

use crate::id::StreamId;
use crate::layout::{self, Lead};
use crate::positions::Standing;

/// One record of the shared log.
pub(crate) enum Step {
    Record(Record),
    Start { stream: StreamId, start: Lsn },
    Checkpoint(Vec<Standing>),
}

/// A record of a stream.
pub(crate) struct Record {
    pub(crate) stream: StreamId,
    pub(crate) lsn: Lsn,
    /// How many records the frame holds that begins with this one; 0 if it begins with an earlier one.
    pub(crate) leads: u64,
    pub(crate) timestamp: Timestamp,
    pub(crate) bytes: Bytes,
}

/// Reads the shared log from the beginning of a frame on.
pub(crate) struct Demux {
    entries: wal_core::Iter<wal_core::RawCodec>,
    /// The rest of the present frame.
    rest: Option<Rest>,
    /// Where the shared log was read last.
    at: Lsn,
    /// Bytes of the record that was read last, as the shared log holds it.
    len: u64,
    /// The last place at which LSNs of the shared log are missing; what stood there is gone.
    hole: Option<Lsn>,
}

struct Rest {
    stream: StreamId,
    next: Lsn,
    left: u64,
}

impl Demux {
    /// `from` is the first record of a frame, or zero for the whole log.
    pub(crate) fn new(wal: &Wal, from: Lsn) -> Result<Self> {
        let entries = wal.iter(from)?;
        Ok(Demux { entries, rest: None, at: Lsn::ZERO, len: 0, hole: None })
    }

    /// The shared log's LSN of the record that came last.
    pub(crate) fn at(&self) -> Lsn {
        self.at
    }

    /// How long that record is in the shared log, its lead included, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether the shared log was cut or salvaged somewhere behind `since`, so that records are missing.
    pub(crate) fn hole_since(&self, since: Lsn) -> bool {
        self.hole.is_some_and(|hole| hole > since)
    }

    pub(crate) fn next(&mut self) -> Option<Result<Step>> {
        let entry = match self.entries.next()? {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        if self.at > Lsn::ZERO && entry.lsn > self.at.next() {
            self.hole = Some(entry.lsn);
            self.rest = None;
        }
        self.at = entry.lsn;
        self.len = entry.record.len() as u64;
        Some(self.step(entry).map_err(|error| error.with_lsn(self.at)))
    }

    fn step(&mut self, entry: Entry<Bytes>) -> Result<Step> {
        let Entry { timestamp, record: mut bytes, .. } = entry;
        if let Some(rest) = &mut self.rest {
            let (stream, lsn) = (rest.stream, rest.next);
            rest.next = lsn.next();
            rest.left -= 1;
            if rest.left == 0 {
                self.rest = None;
            }
            return Ok(Step::Record(Record { stream, lsn, leads: 0, timestamp, bytes }));
        }
        Ok(match layout::take_lead(&mut bytes)? {
            Lead::Records { stream, first, count } => {
                if count > 1 {
                    self.rest = Some(Rest { stream, next: first.next(), left: count - 1 });
                }
                Step::Record(Record { stream, lsn: first, leads: count, timestamp, bytes })
            }
            Lead::Start { stream, start } => Step::Start { stream, start },
            Lead::Checkpoint(standings) => Step::Checkpoint(standings),
        })
    }
}

/// The error for a stream whose records do not follow each other.
pub(crate) fn broken(stream: StreamId, at: Lsn, detail: String) -> Error {
    Error::new(ErrorKind::Corrupt, "read shared log")
        .with_lsn(at)
        .with_detail(format!("stream {stream}: {detail}"))
}
