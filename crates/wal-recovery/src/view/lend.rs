//! Records that are lent from the memory into which they were read.

use bytes::Bytes;
use wal_core::{Entry, Result};

use crate::segment::frames::Plain;
use crate::view::records::Records;

/// A record, and the memory in which it lies.
#[derive(Clone, Copy)]
pub(crate) struct Lent<'a> {
    pub(crate) bytes: &'a [u8],
    memory: &'a Bytes,
}

impl Lent<'_> {
    /// The record, to be kept: counts one more owner of the memory.
    pub(crate) fn keep(self) -> Bytes {
        self.memory.slice_ref(self.bytes)
    }
}

/// Whether more is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    More,
    Enough,
}

impl Records {
    /// Lends every record that follows, up to the present end, or until `visit` has enough.
    pub(crate) fn lend(
        &mut self,
        mut visit: impl FnMut(Entry<Lent<'_>>) -> Result<Wanted>,
    ) -> Result<()> {
        while self.lend_ahead(&mut visit)? == Wanted::More {
            // One record the slow way, which reads on, goes from segment to segment, and judges what is
            // no plain frame.
            let Some(entry) = self.next().transpose()? else { break };
            let lent = Lent { bytes: &entry.record, memory: &entry.record };
            if visit(Entry::new(entry.lsn, entry.timestamp, lent))? == Wanted::Enough {
                break;
            }
        }
        Ok(())
    }

    /// Lends the records of the plain frames that were read ahead: they stand where they should, and all of
    /// their records count.
    fn lend_ahead(
        &mut self,
        visit: &mut impl FnMut(Entry<Lent<'_>>) -> Result<Wanted>,
    ) -> Result<Wanted> {
        let Some(open) = &mut self.open else { return Ok(Wanted::More) };
        if !open.is_between_frames() {
            return Ok(Wanted::More);
        }
        let (first, created, limit) = (open.header.first_lsn, open.header.created, open.limit);
        let before = self.next;
        let memory = open.frames.memory();
        let mut frames = open.plain();
        let (mut end, mut count) = (frames.offset(), frames.records());
        let mut outcome = Ok(Wanted::More);
        'frames: while let Some(Plain { header, records, .. }) = frames.next() {
            let behind = frames.records();
            if limit.is_some_and(|limit| limit < first.advance(u64::from(behind)).prev()) {
                break;
            }
            let mut lsn = header.lsn(first);
            let timestamp = header.timestamp(created);
            for bytes in records {
                // After a seek, or where somebody had enough in the middle of a frame.
                let next = lsn.next();
                if lsn >= self.next {
                    self.next = next;
                    outcome = visit(Entry::new(lsn, timestamp, Lent { bytes, memory }));
                    if !matches!(outcome, Ok(Wanted::More)) {
                        break 'frames;
                    }
                }
                lsn = next;
            }
            (end, count) = (frames.offset(), behind);
        }
        open.frames.seek(end, count);
        if self.next != before {
            (open.gave, self.trail.last) = (true, self.next.prev());
        }
        outcome
    }
}
