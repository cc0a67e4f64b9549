//! A position in an open log, from which records are read in order.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{FrameReader, FrameStep};
use crate::engine::{Engine, SegmentEntry, Waiting};
use crate::format::{Records, SegmentSummary};
use crate::{Codec, Entry, Error, ErrorKind, Lsn, Result, Timestamp};

/// Reads the records of an open log in order, across segments, beside the writer.
pub(crate) struct Cursor {
    engine: Arc<Engine>,
    next: Lsn,
    open: Option<Open>,
    /// Set after an error: nothing more comes.
    ended: bool,
    read_size: usize,
}

struct Open {
    entry: Arc<SegmentEntry>,
    reader: FrameReader,
    /// Records in front of the reader.
    records: u32,
    /// What is left of the present frame, and the LSN of its next record.
    frame: Option<(Lsn, Timestamp, Records)>,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Cursor {
    pub(crate) fn new(engine: Arc<Engine>, from: Lsn) -> Self {
        Cursor { engine, next: from, open: None, ended: false, read_size: FrameReader::WINDOW }
    }

    /// For reading a single record: from the sparse index on, not a whole window.
    pub(crate) fn for_one(engine: Arc<Engine>, lsn: Lsn) -> Self {
        Cursor { read_size: SegmentSummary::INDEX_STEP as usize, ..Self::new(engine, lsn) }
    }

    /// Every record up to here is durable.
    pub(crate) fn durable_lsn(&self) -> Lsn {
        self.engine.durable_lsn()
    }

    /// Decodes what was read. An error ends the reading, so that no record is skipped.
    pub(crate) fn decode<C: Codec>(
        &mut self,
        raw: Result<Entry<Bytes>>,
        codec: &C,
    ) -> Result<Entry<C::Decoded>> {
        let decoded = raw.and_then(|entry| Entry::decode(entry, codec));
        self.ended |= decoded.is_err();
        decoded
    }

    /// Whether nothing more comes, because of an error.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// A future for "there is something to read behind `upto`, where the log was durable so far".
    /// After a truncation at the back the position may lie before `upto` and have no record.
    pub(crate) fn news(&self, upto: Lsn) -> Waiting<'_> {
        self.engine.followed_future(self.next.max(upto.next()))
    }

    /// The next record up to and including `upto`, which must have been written; `None` if there is
    /// none, or after an error.
    pub(crate) async fn next(&mut self, upto: Lsn) -> Option<Result<Entry<Bytes>>> {
        if self.ended {
            return None;
        }
        let outcome = self.read(upto).await.transpose();
        self.ended = matches!(outcome, Some(Err(_)));
        outcome
    }

    async fn read(&mut self, upto: Lsn) -> Result<Option<Entry<Bytes>>> {
        while self.next <= upto {
            let Some(open) = &mut self.open else {
                if !self.open_segment()? {
                    return Ok(None);
                }
                continue;
            };
            if let Some((lsn, timestamp, records)) = &mut open.frame {
                let limit = open.entry.last_lsn();
                match records.next() {
                    Some(record) => {
                        let this = *lsn;
                        *lsn = lsn.next();
                        if this < self.next {
                            continue;
                        }
                        if this > limit {
                            self.leave(limit);
                            continue;
                        }
                        self.next = this.next();
                        return Ok(Some(Entry::new(this, *timestamp, record)));
                    }
                    None => open.frame = None,
                }
                continue;
            }
            let limit = open.entry.last_lsn();
            if self.next > limit {
                self.leave(limit);
                continue;
            }
            self.read_frame().await?;
        }
        Ok(None)
    }

    /// This segment has no more valid records.
    fn leave(&mut self, limit: Lsn) {
        self.next = self.next.max(limit.next());
        self.open = None;
    }

    fn open_segment(&mut self) -> Result<bool> {
        let log_start = self.engine.log_start();
        if self.next < log_start {
            return Err(Error::new(ErrorKind::NotInLog, "read")
                .with_lsn(self.next)
                .with_detail(format!("truncated; the log starts at LSN {log_start}")));
        }
        let Some(entry) = self.engine.segments.locate(self.next) else { return Ok(false) };
        self.next = self.next.max(entry.header.first_lsn);
        let start = entry.seek(self.next);
        let at = start.map_or(u64::from(entry.header.data_offset), |e| u64::from(e.offset));
        let records = start.map_or(0, |e| e.lsn_delta);
        let segment = match self.engine.segments.handle(&entry) {
            Ok(segment) => segment,
            Err(error) => return Err(self.explain(&entry, error)),
        };
        let reader = FrameReader::new(segment, &entry.header, at, entry.data_end())
            .read_size(self.read_size);
        self.open = Some(Open { entry, reader, records, frame: None });
        Ok(true)
    }

    async fn read_frame(&mut self) -> Result<()> {
        let open = self.open.as_mut().expect("a segment is open");
        open.reader.set_end(open.entry.data_end());
        let offset = open.reader.offset();
        let header = &open.entry.header;
        let damage = match open.reader.next().await {
            // A sector that went astray may begin with a frame, whose checksum holds in any place.
            Ok(FrameStep::Frame(frame)) if frame.header.lsn_delta != open.records => {
                let (is, was) = (frame.header.lsn_delta, open.records);
                Error::new(ErrorKind::Corrupt, "read").with_detail(format!(
                    "a valid frame of LSN {}, expected was LSN {}",
                    header.first_lsn.advance(is.into()),
                    header.first_lsn.advance(was.into())
                ))
            }
            Ok(FrameStep::Frame(frame)) => match frame.header.records(frame.body) {
                Ok(records) => {
                    open.records += records.len() as u32;
                    let lsn = frame.header.lsn(header.first_lsn);
                    open.frame = Some((lsn, frame.header.timestamp(header.created), records));
                    return Ok(());
                }
                Err(error) => error,
            },
            Ok(FrameStep::Bad { reason }) => {
                Error::new(ErrorKind::Corrupt, "read").with_detail(reason)
            }
            Ok(FrameStep::Blank | FrameStep::End) => Error::new(ErrorKind::Corrupt, "read")
                .with_detail("the frame that was written here is gone"),
            Err(error) => error,
        };
        let error = damage.with_segment(header.first_lsn).with_offset(offset).with_lsn(self.next);
        let entry = open.entry.clone();
        Err(self.explain(&entry, error))
    }

    /// A segment that was truncated under the reader is gone, not damaged.
    fn explain(&self, entry: &SegmentEntry, error: Error) -> Error {
        if self.engine.segments.contains(entry.header.generation) {
            return error;
        }
        Error::new(ErrorKind::NotInLog, "read")
            .with_lsn(self.next)
            .with_segment(entry.header.first_lsn)
            .with_detail("truncated while it was being read")
    }
}
