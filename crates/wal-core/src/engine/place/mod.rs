//! Placing: records become frames in the log's buffer, with an LSN and a place in a segment.
//!
//! | file | idea |
//! | --- | --- |
//! | `source` | from records to the body of a frame, outside every lock |
//! | `body` | what a frame will hold, and how it gets into the buffer |
//! | `buffer` | the memory in which frames are gathered and written |
//! | `layout` | where frames may lie, and how large they may be |
//! | `time` | the time of an append |
//!
//! [`Placement`] owns three invariants: LSNs are contiguous, times never decrease, and every byte in the buffer
//! belongs to the segment that the last break before it begins.

mod body;
mod buffer;
mod layout;
mod source;
mod time;

use bytes::BytesMut;

pub(crate) use body::Body;
pub(super) use buffer::{new_buffer, reclaim};
pub(super) use layout::Layout;
pub(crate) use source::{EncodeMemory, Many, One, Source};
pub(super) use time::LogTime;

use super::progress::{Captured, Progress};
use crate::format::{
    FRAME_HEADER_LEN, Flags, FrameHeader, FrameKind, Padding, Salt, SegmentHeader, UNKNOWN_LAG,
};
use crate::recovered::RecoveredParts;
use crate::{Lsn, LsnRange, Timestamp};

/// Where an opened log goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) last_lsn: Lsn,
    next_lsn: Lsn,
    log_start: Lsn,
    next_generation: u64,
    last_time: Timestamp,
}

impl Start {
    pub(super) fn of(recovered: &RecoveredParts) -> Self {
        Start {
            last_lsn: recovered.last_lsn,
            next_lsn: recovered.next_lsn,
            log_start: recovered.log_start,
            next_generation: recovered.next_generation,
            last_time: recovered.last_time,
        }
    }
}

/// The segment into which frames are being placed.
struct Filling {
    first_lsn: Lsn,
    created: Timestamp,
    salt: Salt,
    /// Offset behind the last placed frame.
    used: u64,
}

/// From `at` in the buffer on, bytes belong to a new segment.
pub(super) struct Break {
    pub(super) at: usize,
    /// The end of the log before it.
    pub(super) before: Captured,
    pub(super) header: SegmentHeader,
}

/// What was taken out of the buffer, to be written.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) frames: BytesMut,
    pub(super) breaks: Vec<Break>,
    /// What is still to be put behind `frames`.
    pub(super) padding: Option<(Padding, Salt)>,
}

/// The buffer has no room; the caller must wait for a write.
pub(super) struct NoRoom;

/// Under the short lock. What every append changes comes first.
#[repr(C)]
pub(super) struct Placement {
    /// What was framed and not yet taken by a writer.
    buf: BytesMut,
    next_lsn: Lsn,
    /// The last valid LSN: what a new segment would follow.
    last_lsn: Lsn,
    last_time: Timestamp,
    filling: Option<Filling>,
    breaks: Vec<Break>,
    log_start: Lsn,
    next_generation: u64,
}

impl Placement {
    pub(super) fn new(start: &Start) -> Self {
        Placement {
            buf: new_buffer(),
            next_lsn: start.next_lsn,
            last_lsn: start.last_lsn,
            last_time: start.last_time,
            filling: None,
            breaks: Vec::new(),
            log_start: start.log_start,
            next_generation: start.next_generation,
        }
    }

    pub(super) fn next_lsn(&self) -> Lsn {
        self.next_lsn
    }

    pub(super) fn last_lsn(&self) -> Lsn {
        self.last_lsn
    }

    pub(super) fn log_start(&self) -> Lsn {
        self.log_start
    }

    /// Bytes of frames that wait to be written.
    #[inline]
    pub(super) fn buffered(&self) -> usize {
        self.buf.len()
    }

    /// Puts one frame into the buffer and gives its records their LSNs.
    #[inline]
    pub(super) fn place(
        &mut self,
        layout: &Layout,
        body: &mut Body<'_>,
        wall: Timestamp,
        progress: &Progress,
    ) -> Result<LsnRange, NoRoom> {
        let frame_len = body.frame_len();
        if !self.buf.is_empty() && self.buf.len() + frame_len > layout.buffer_bytes {
            return Err(NoRoom);
        }
        let time = wall.max(self.last_time);
        let fits = self.filling.as_ref().is_some_and(|filling| {
            filling.used + (frame_len + FRAME_HEADER_LEN) as u64 <= layout.segment_size
                && time.as_micros() - filling.created.as_micros() <= FrameHeader::TIME_DELTA_MAX
        });
        if !fits {
            self.roll(layout, time, progress);
        }
        let filling = self.filling.as_mut().expect("rolled");
        let first = self.next_lsn;
        let header = FrameHeader {
            crc: 0,
            body_len: (frame_len - FRAME_HEADER_LEN) as u32,
            lsn_delta: first.since(filling.first_lsn) as u32,
            durable_lag: durable_lag(first, progress),
            time_delta: time.as_micros() - filling.created.as_micros(),
            kind: FrameKind::Data as u8,
            flags: if body.is_batch() { Flags::BATCH } else { Flags::default() },
        };
        body.put(&header.seal(body.crc, filling.salt), &mut self.buf);
        filling.used += frame_len as u64;
        debug_assert!(filling.used <= layout.segment_size, "a frame lies within its segment");

        self.last_time = time;
        self.next_lsn = first.advance(u64::from(body.records));
        self.last_lsn = self.next_lsn.prev();
        Ok(LsnRange { first, last: self.last_lsn })
    }

    /// Gives up the space up to where a write may end: the padding for it, which belongs behind the last
    /// frame that was placed. `None` if nothing is to be filled.
    #[inline]
    fn pad(&mut self, layout: &Layout, progress: &Progress) -> Option<(Padding, Salt)> {
        if layout.padding <= 1 {
            return None;
        }
        let filling = self.filling.as_mut()?;
        let next = FrameHeader {
            crc: 0,
            body_len: 0,
            lsn_delta: self.next_lsn.since(filling.first_lsn) as u32,
            durable_lag: durable_lag(self.next_lsn, progress),
            time_delta: self.last_time.as_micros() - filling.created.as_micros(),
            kind: FrameKind::Padding as u8,
            flags: Flags::default(),
        };
        let padding = Padding::behind(filling.used, layout.padding, next)?;
        filling.used += padding.frame_len();
        Some((padding, filling.salt))
    }

    /// Begins a new segment: what is placed from now on belongs to it.
    pub(super) fn roll(&mut self, layout: &Layout, wall: Timestamp, progress: &Progress) {
        if let Some((padding, salt)) = self.pad(layout, progress) {
            padding.put(&mut self.buf, salt);
        }
        // The next append may have read its clock before this thread did.
        self.last_time = wall.max(self.last_time);
        let header = SegmentHeader {
            log_id: layout.log_id,
            generation: self.next_generation,
            first_lsn: self.next_lsn,
            follows: self.last_lsn,
            log_start: self.log_start,
            created: self.last_time,
            codec: layout.codec,
            data_offset: layout.data_offset,
        };
        self.next_generation += 1;
        self.filling = Some(Filling {
            first_lsn: header.first_lsn,
            created: header.created,
            salt: Salt::new(header.log_id, header.generation),
            used: u64::from(layout.data_offset),
        });
        self.breaks.push(Break { at: self.buf.len(), before: progress.capture(), header });
    }

    /// Swaps what was framed for the empty buffer in `taken`.
    pub(super) fn take(&mut self, layout: &Layout, taken: &mut Taken, progress: &Progress) {
        debug_assert!(
            taken.frames.is_empty() && taken.breaks.is_empty(),
            "what was taken is written"
        );
        std::mem::swap(&mut self.buf, &mut taken.frames);
        std::mem::swap(&mut self.breaks, &mut taken.breaks);
        taken.padding = self.pad(layout, progress);
    }

    /// From now on the log starts at `lsn`; the next segment says so.
    pub(super) fn start_at(&mut self, lsn: Lsn) {
        assert!(
            lsn > self.log_start && lsn <= self.next_lsn,
            "the start moves forward, to the end at most"
        );
        self.log_start = lsn;
    }

    /// From now on records behind `lsn` are void; the next segment says so. Their numbers are not given out again.
    pub(super) fn end_at(&mut self, lsn: Lsn) {
        assert!(lsn < self.last_lsn, "the end moves back");
        self.last_lsn = lsn;
    }
}

/// How many records before this one are not known to be durable, as a frame says it.
#[inline]
fn durable_lag(first: Lsn, progress: &Progress) -> u32 {
    let lag = first.get() - 1 - progress.durable().get().min(first.get() - 1);
    u32::try_from(lag).unwrap_or(UNKNOWN_LAG)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::body::BodyBytes;
    use super::*;
    use crate::format::LogId;
    use crate::{Capabilities, CodecId, Settings};

    #[test]
    fn an_append_that_read_its_clock_before_the_segment_was_begun_is_not_earlier() {
        let settings = Settings::default().segment_size(4096).buffer_bytes(4096);
        let capabilities = Capabilities::durable();
        let layout = Layout::new(LogId([0; 16]), CodecId::RAW, &settings, &capabilities).unwrap();
        let start = Start {
            last_lsn: Lsn::ZERO,
            next_lsn: Lsn::FIRST,
            log_start: Lsn::FIRST,
            next_generation: 1,
            last_time: Timestamp::EPOCH,
        };
        let (mut placement, mut progress) = (Placement::new(&start), Progress::new(Lsn::ZERO));
        placement.roll(&layout, Timestamp::from_micros(1000), &progress);
        let (crc, bytes) = (crc32c::crc32c(b"x"), BodyBytes::Lent(b"x"));
        let mut body = Body { records: 1, record_bytes: 1, crc, bytes };
        let earlier = Timestamp::from_micros(900);
        let placed = placement.place(&layout, &mut body, earlier, &progress);
        assert!(placed.is_ok_and(|range| range.last == Lsn::FIRST));
        progress.append(Lsn::FIRST, 1, 1, Duration::ZERO);
        assert_eq!(placement.last_time, Timestamp::from_micros(1000));
        assert_eq!(FrameHeader::decode(&placement.buf).time_delta, 0);
    }
}
