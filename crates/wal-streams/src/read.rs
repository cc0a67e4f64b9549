//! Reading: one stream, or all of them in one pass.

use std::collections::BTreeMap;

use bytes::Bytes;
use wal_core::{Entry, Error, ErrorKind, Lsn, Result};

use crate::demux::{Demux, Record, Step, broken};
use crate::id::StreamId;
use crate::positions::StreamState;
use crate::shared::Shared;

/// Records of one stream, in order. See [`Stream::iter`](crate::Stream::iter).
pub struct Iter {
    stream: StreamId,
    /// None once there is nothing more to come.
    log: Option<Demux>,
    next: Lsn,
    upto: Lsn,
}

impl Iter {
    pub(crate) fn open(shared: &Shared, state: &StreamState, from: Lsn) -> Result<Self> {
        let stream = state.id;
        let (next, upto, frame) = {
            let positions = state.lock();
            let from = if from == Lsn::ZERO { positions.start } else { from };
            if from < positions.start {
                return Err(Error::new(ErrorKind::NotInLog, "read stream")
                    .with_lsn(from)
                    .with_detail(format!(
                        "stream {stream}: truncated; it starts at LSN {}",
                        positions.start
                    )));
            }
            (from, positions.next.prev(), positions.index.seek(from))
        };
        let log = match frame {
            Some(frame) if next <= upto => Some(
                Demux::new(&shared.wal, frame.shared).map_err(|e| in_stream(stream, next, e))?,
            ),
            _ => None,
        };
        Ok(Iter { stream, log, next, upto })
    }

    /// Up to the next record that is asked for.
    fn advance(&mut self) -> Result<Option<Entry<Bytes>>> {
        let Some(log) = &mut self.log else { return Ok(None) };
        while self.next <= self.upto {
            let Some(step) = log.next() else { break };
            let Step::Record(record) = step.map_err(|e| in_stream(self.stream, self.next, e))?
            else {
                continue;
            };
            if record.stream != self.stream || record.lsn < self.next {
                continue;
            }
            if record.lsn > self.upto {
                break;
            }
            if record.lsn > self.next && !log.hole_since(Lsn::ZERO) {
                let detail = format!("LSN {} where {} was expected", record.lsn, self.next);
                return Err(broken(self.stream, log.at(), detail));
            }
            self.next = record.lsn.next();
            return Ok(Some(entry(record)));
        }
        Ok(None)
    }
}

impl Iterator for Iter {
    type Item = Result<Entry<Bytes>>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.log = None;
        }
        item
    }
}

impl std::fmt::Debug for Iter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Iter")
            .field("stream", &self.stream)
            .field("next", &self.next)
            .field("upto", &self.upto)
            .finish_non_exhaustive()
    }
}

/// Records of all streams, in the order of the shared log. See [`Streams::iter`](crate::Streams::iter).
pub struct IterAll {
    log: Option<Demux>,
    /// What each stream held when this began: from the first, before the second.
    held: BTreeMap<StreamId, (Lsn, Lsn)>,
}

impl IterAll {
    pub(crate) fn open(shared: &Shared) -> Result<Self> {
        let states = shared.states();
        let held = states.iter().map(|state| {
            let positions = state.lock();
            (state.id, (positions.start, positions.next))
        });
        Ok(IterAll { held: held.collect(), log: Some(Demux::new(&shared.wal, Lsn::ZERO)?) })
    }

    fn advance(&mut self) -> Result<Option<(StreamId, Entry<Bytes>)>> {
        let Some(log) = &mut self.log else { return Ok(None) };
        while let Some(step) = log.next() {
            let Step::Record(record) = step? else { continue };
            let held = self.held.get(&record.stream);
            if held.is_some_and(|&(start, next)| start <= record.lsn && record.lsn < next) {
                return Ok(Some((record.stream, entry(record))));
            }
        }
        Ok(None)
    }
}

impl Iterator for IterAll {
    type Item = Result<(StreamId, Entry<Bytes>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.log = None;
        }
        item
    }
}

impl std::fmt::Debug for IterAll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IterAll").field("streams", &self.held.len()).finish_non_exhaustive()
    }
}

fn entry(record: Record) -> Entry<Bytes> {
    Entry::new(record.lsn, record.timestamp, record.bytes)
}

fn in_stream(stream: StreamId, lsn: Lsn, error: Error) -> Error {
    Error::new(error.kind(), "read stream")
        .with_lsn(lsn)
        .with_detail(format!("stream {stream}"))
        .with_source(error)
}
