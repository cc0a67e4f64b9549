//! What an opening learns from the shared log.
//!
//! Everything is checked that can be: each stream's records follow each other, none is missing behind the
//! stream's start, and no number comes twice. Only where the shared log itself says that records are missing
//! (it was salvaged, or cut at its back) a stream may miss some, too.

use std::collections::BTreeMap;

use wal_core::format::record_overhead;
use wal_core::{Lsn, Result, Wal};

use crate::demux::{Demux, Record, Step, broken};
use crate::id::StreamId;
use crate::index::IndexedFrame;
use crate::inventory::Inventory;
use crate::marks::Marks;
use crate::positions::{Positions, Standing};

/// A stream, as far as the shared log was read.
struct Found {
    positions: Positions,
    /// The first record that is there, and the shared log's LSN of the last one.
    seen: Option<(Lsn, Lsn)>,
}

/// Reads the whole log.
pub(crate) fn scan(wal: &Wal) -> Result<Inventory> {
    let mut streams = BTreeMap::<StreamId, Found>::new();
    let mut bytes = 0;
    let mut log = Demux::new(wal, Lsn::ZERO)?;
    while let Some(step) = log.next() {
        let before = bytes;
        bytes += log.len();
        match step? {
            Step::Record(record) if record.leads == 0 => {
                if let Some((_, last)) = found(&mut streams, record.stream).seen.as_mut() {
                    *last = log.at();
                }
            }
            Step::Record(record) => {
                bytes += record_overhead(record.leads);
                found(&mut streams, record.stream).frame(&record, before, &log)?;
            }
            Step::Start { stream, start } => {
                bytes += record_overhead(1);
                let standing = Standing { stream, start, next: start };
                let found = found(&mut streams, stream);
                found.stood(standing, &log)?;
                found.positions.start_said_at = log.at();
            }
            Step::Checkpoint(standings) => {
                bytes += record_overhead(1);
                for standing in standings {
                    found(&mut streams, standing.stream).stood(standing, &log)?;
                }
            }
        }
    }
    let end = |(id, found): (StreamId, Found)| found.end(id, &log).map(|at| (id, at));
    Ok(Inventory { streams: streams.into_iter().map(end).collect::<Result<_>>()?, bytes })
}

fn found(streams: &mut BTreeMap<StreamId, Found>, stream: StreamId) -> &mut Found {
    streams.entry(stream).or_insert_with(|| Found { positions: Positions::new(), seen: None })
}

impl Found {
    /// A frame with records of the stream.
    fn frame(&mut self, record: &Record, bytes_before: u64, log: &Demux) -> Result<()> {
        let (first, at) = (record.lsn, log.at());
        let next = self.positions.next;
        let follows = match self.seen {
            // Earlier ones may have been truncated.
            None => first >= next,
            Some((_, last)) => first == next || (first > next && log.hole_since(last)),
        };
        if !follows {
            let detail = format!("a frame begins with LSN {first}, expected {next}");
            return Err(broken(record.stream, at, detail));
        }
        self.seen = Some((self.seen.map_or(first, |(first, _)| first), at));
        let frame = IndexedFrame { lsn: first, shared: at, at: bytes_before };
        self.positions.index.add(frame);
        self.positions.next = first.advance(record.leads);
        Ok(())
    }

    /// The shared log says where the stream stood: it starts no earlier, and ended no earlier.
    fn stood(&mut self, standing: Standing, log: &Demux) -> Result<()> {
        let Standing { stream, start, next } = standing;
        let positions = &mut self.positions;
        if let Some((_, last)) = self.seen
            && next > positions.next
            && !log.hole_since(last)
        {
            let detail =
                format!("its next LSN was {next}, but the records end before {}", positions.next);
            return Err(broken(stream, log.at(), detail));
        }
        positions.start = positions.start.max(start);
        positions.next = positions.next.max(next);
        Ok(())
    }

    fn end(self, stream: StreamId, log: &Demux) -> Result<Positions> {
        let Found { mut positions, seen } = self;
        let Positions { start, next, .. } = positions;
        let begins = seen.map_or(next, |(first, _)| first);
        if start < next && start < begins && !log.hole_since(Lsn::ZERO) {
            let detail =
                format!("starts at LSN {start}, but the records before {begins} are missing");
            return Err(broken(stream, log.at(), detail));
        }
        positions.truncate_before(start);
        // A recovery made everything durable that it found.
        positions.marks = Marks::new(next.prev());
        Ok(positions)
    }
}
