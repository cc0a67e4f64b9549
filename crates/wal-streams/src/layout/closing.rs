//! The closing checkpoint: the inventory of all streams, as one record.

use bytes::Bytes;
use wal_core::{Lsn, Result};

use super::fields::{malformed, nothing_behind, number, take_standing};
use super::varint;
use crate::id::StreamId;
use crate::index::{Index, IndexedFrame};
use crate::inventory::Inventory;
use crate::marks::Marks;
use crate::positions::{Positions, Standing};

/// The first byte of a closing checkpoint.
pub(crate) const CLOSING: u8 = 0x54;

/// Writes a closing checkpoint: the first byte, bytes, streams; for each its standing, then step and frames of
/// its index, each counted from the one before it. `freed` bytes were given back since the log was opened; of
/// each index only every `stride`-th frame is kept.
pub(crate) fn put_closing<'a>(
    out: &mut Vec<u8>,
    bytes: u64,
    freed: u64,
    streams: impl ExactSizeIterator<Item = (StreamId, &'a Positions)>,
    stride: usize,
) {
    out.push(CLOSING);
    let mut put = |number: u64| varint::put(out, number);
    put(bytes.saturating_sub(freed));
    put(streams.len() as u64);
    for (id, positions) in streams {
        let Standing { stream, start, next } = positions.standing(id);
        [stream.0, start.get(), next.since(start)].into_iter().for_each(&mut put);
        let (step, frames) = positions.index.thinned(stride);
        put(step);
        put(frames.len() as u64);
        let mut last = IndexedFrame { lsn: Lsn::ZERO, shared: Lsn::ZERO, at: 0 };
        for frame in frames {
            let at = frame.at.saturating_sub(freed).max(last.at);
            put(frame.lsn.since(last.lsn));
            put(frame.shared.since(last.shared));
            put(at - last.at);
            last = IndexedFrame { at, ..frame };
        }
    }
}

/// Reads what [`put_closing`] wrote behind the first byte.
pub(crate) fn take_closing(record: &mut Bytes) -> Result<Inventory> {
    let bytes = number(record, "a count of bytes")?;
    let count = number(record, "a count of streams")?;
    let mut streams = Vec::<(StreamId, Positions)>::new();
    for _ in 0..count {
        let Standing { stream, start, next } = take_standing(record)?;
        if streams.last().is_some_and(|(last, _)| *last >= stream) {
            return Err(malformed(format!("stream {stream} out of order")));
        }
        let step = number(record, "a distance")?;
        let held = number(record, "a count of places")?;
        let empty = start == next;
        // Three numbers each: nothing is reserved that the bytes do not justify.
        if held > record.len() as u64 / 3 || held > Index::MAX as u64 || (held == 0) != empty {
            return Err(malformed(format!("{held} places of stream {stream}")));
        }
        let mut frames = Vec::with_capacity(held as usize);
        let (mut lsn, mut shared, mut at) = (0u64, 0u64, 0u64);
        for _ in 0..held {
            for value in [&mut lsn, &mut shared, &mut at] {
                let more = number(record, "a place")?;
                *value = value.checked_add(more).ok_or_else(|| malformed("a place too far"))?;
            }
            frames.push(IndexedFrame { lsn: Lsn::new(lsn), shared: Lsn::new(shared), at });
        }
        if frames.first().is_some_and(|first| first.lsn > start) || lsn > next.get() {
            return Err(malformed(format!("places of stream {stream} outside of it")));
        }
        let index = Index::restored(step, frames)
            .ok_or_else(|| malformed(format!("a distance of {step} bytes")))?;
        let marks = Marks::new(next.prev());
        streams.push((stream, Positions { start, next, start_said_at: Lsn::ZERO, index, marks }));
    }
    nothing_behind(record, "a closing checkpoint")?;
    Ok(Inventory { streams, bytes })
}
