//! Placing: records become frames in the log's buffer, with an LSN and a place in a segment.
//!
//! | file | idea |
//! | --- | --- |
//! | `source` | from records to the body of a frame, outside every lock |
//! | `body` | what a frame will hold, and how it gets into the buffer |
//! | `buffer` | the memory in which frames are gathered and written |
//! | `layout` | where frames may lie, and how large they may be |
//! | `time` | the time of an append, and the log clock |
//!
//! [`Placement`] owns two invariants: LSNs are contiguous, and every byte in the buffer
//! belongs to the segment that the last break before it begins. It asserts them when the buffer is taken and when a
//! segment is begun, in debug builds also when a frame is placed.

mod body;
mod buffer;
mod layout;
mod source;
mod time;

use bytes::BytesMut;

pub(crate) use body::Body;
pub(super) use buffer::{new_buffer, reclaim};
pub(super) use layout::{Layout, LogHeader};
pub(crate) use source::{EncodeMemory, Many, One, Source};
pub(super) use time::{LogTime, Moment};

use super::progress::{Captured, Progress};
use crate::format::{
    FRAME_HEADER_LEN, Flags, FrameHeader, FrameKind, Padding, Salt, SegmentHeader, UNKNOWN_LAG,
};
use crate::recovered::Span;
use crate::{Lsn, LsnRange, Timestamp};

/// Where an opened log goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) last_lsn: Lsn,
    next_lsn: Lsn,
    log_start: Lsn,
    next_generation: u64,
}

impl Start {
    pub(super) fn of(span: Span, next_generation: u64) -> Self {
        Start {
            last_lsn: span.last_lsn,
            next_lsn: span.next_lsn,
            log_start: span.first_lsn,
            next_generation,
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

impl Filling {
    /// Whether a frame of this segment can say this time: one that lies years away takes a segment of its own.
    #[inline]
    fn reaches(&self, time: Timestamp) -> bool {
        let delta = time.micros_since(self.created);
        (FrameHeader::TIME_DELTA_MIN..=FrameHeader::TIME_DELTA_MAX).contains(&delta)
    }
}

/// From `at` in the buffer on, bytes belong to a new segment.
pub(super) struct Break {
    pub(super) at: usize,
    /// Offset behind the last frame of the segment before it; 0 if there is none.
    end: u64,
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
    /// Offset behind all of it, in its last segment. What is taken next goes on there.
    pub(super) end: u64,
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
    /// Of the last frame in the segment that is being filled, from the creation of that segment.
    last_delta: i64,
    filling: Option<Filling>,
    breaks: Vec<Break>,
    /// Records before it are void.
    log_start: Lsn,
    /// The first record, or the number of the next one. Behind `log_start` if all records were truncated at the back.
    first_lsn: Lsn,
    next_generation: u64,
}

impl Placement {
    pub(super) fn new(start: &Start) -> Self {
        Placement {
            buf: new_buffer(),
            next_lsn: start.next_lsn,
            last_lsn: start.last_lsn,
            last_delta: 0,
            filling: None,
            breaks: Vec::new(),
            log_start: start.log_start,
            first_lsn: start.log_start,
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

    /// The first record; the number of the next one if there is none.
    pub(super) fn first_lsn(&self) -> Lsn {
        self.first_lsn
    }

    /// Whether what is placed next comes into the segment of this name.
    pub(super) fn is_filling(&self, name: Lsn) -> bool {
        self.filling.as_ref().is_some_and(|filling| filling.first_lsn == name)
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
        at: Moment,
        progress: &Progress,
    ) -> Result<LsnRange, NoRoom> {
        if cfg!(debug_assertions) {
            self.assert_order(progress);
        }
        let frame_len = body.frame_len();
        if !self.buf.is_empty() && self.buf.len() + frame_len > layout.buffer_bytes {
            return Err(NoRoom);
        }
        let fits = self.filling.as_ref().is_some_and(|filling| {
            filling.used + (frame_len + FRAME_HEADER_LEN) as u64 <= layout.segment_size
                && filling.reaches(at.wall)
        });
        if !fits {
            self.roll(layout, at, progress);
        }
        let filling = self.filling.as_mut().expect("rolled");
        let first = self.next_lsn;
        let header = FrameHeader {
            crc: 0,
            body_len: (frame_len - FRAME_HEADER_LEN) as u32,
            lsn_delta: first.since(filling.first_lsn) as u32,
            durable_lag: durable_lag(first, progress),
            time_delta: at.wall.micros_since(filling.created),
            kind: FrameKind::Data as u8,
            flags: if body.is_batch() { Flags::BATCH } else { Flags::default() },
        };
        body.put(&header.seal(body.crc, filling.salt), &mut self.buf);
        filling.used += frame_len as u64;
        debug_assert!(filling.used <= layout.segment_size, "a frame lies within its segment");

        self.last_delta = header.time_delta;
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
            time_delta: self.last_delta,
            kind: FrameKind::Padding as u8,
            flags: Flags::default(),
        };
        let padding = Padding::behind(filling.used, layout.padding, next)?;
        filling.used += padding.frame_len();
        Some((padding, filling.salt))
    }

    /// Begins a new segment: what is placed from now on belongs to it.
    pub(super) fn roll(&mut self, layout: &Layout, at: Moment, progress: &Progress) {
        self.assert_order(progress);
        if let Some((padding, salt)) = self.pad(layout, progress) {
            padding.put(&mut self.buf, salt);
        }
        let end = self.end();
        let header = SegmentHeader {
            generation: self.next_generation,
            first_lsn: self.next_lsn,
            follows: self.last_lsn,
            log_start: self.log_start,
            created: at.wall,
            log_time: at.log_time,
            ..layout.header.clone()
        };
        self.last_delta = 0;
        self.next_generation += 1;
        self.filling = Some(Filling {
            first_lsn: header.first_lsn,
            created: header.created,
            salt: header.salt(),
            used: u64::from(header.data_offset),
        });
        self.breaks.push(Break {
            at: self.buf.len(),
            end,
            before: progress.capture_break(),
            header,
        });
    }

    /// Swaps what was framed for the empty buffer in `taken`.
    pub(super) fn take(&mut self, layout: &Layout, taken: &mut Taken, progress: &Progress) {
        assert!(taken.frames.is_empty() && taken.breaks.is_empty(), "what was taken is written");
        self.assert_order(progress);
        self.assert_belonging(taken.end);
        std::mem::swap(&mut self.buf, &mut taken.frames);
        std::mem::swap(&mut self.breaks, &mut taken.breaks);
        taken.padding = self.pad(layout, progress);
        taken.end = self.end();
    }

    /// Offset behind the last frame that was placed, in its segment.
    fn end(&self) -> u64 {
        self.filling.as_ref().map_or(0, |filling| filling.used)
    }

    /// What is placed next comes behind what was placed last.
    fn assert_order(&self, progress: &Progress) {
        let (next, appended) = (self.next_lsn, progress.appended());
        // An opening may leave a gap, behind a truncation.
        let is_next = next.since(appended) == 1 || progress.is_untouched();
        assert!(is_next, "LSNs are contiguous: {next} is to follow {appended}");
    }

    /// Every byte in the buffer belongs to the segment that the last break before it begins: between two breaks
    /// lies what that segment has counted. `taken` is the offset at which the buffer begins.
    fn assert_belonging(&self, taken: u64) {
        let (mut at, mut end) = (0, taken);
        for next in &self.breaks {
            assert_eq!(end + (next.at - at) as u64, next.end, "{BELONGING}");
            (at, end) = (next.at, u64::from(next.header.data_offset));
        }
        assert_eq!(end + (self.buf.len() - at) as u64, self.end(), "{BELONGING}");
    }

    /// From now on the log starts at `lsn`; the next segment says so.
    pub(super) fn start_at(&mut self, lsn: Lsn) {
        assert!(
            lsn > self.log_start && lsn <= self.next_lsn,
            "the start moves forward, to the end at most"
        );
        (self.log_start, self.first_lsn) = (lsn, lsn);
    }

    /// From now on records behind `lsn` are void; the next segment says so. Their numbers are not given out again.
    pub(super) fn end_at(&mut self, lsn: Lsn) {
        assert!(lsn < self.last_lsn, "the end moves back");
        self.last_lsn = lsn;
        if lsn < self.first_lsn {
            self.first_lsn = self.next_lsn;
        }
    }
}

const BELONGING: &str = "bytes in the buffer belong to the segment of their break";

/// How many records before this one are not known to be durable, as a frame says it.
#[inline]
fn durable_lag(first: Lsn, progress: &Progress) -> u32 {
    let lag = first.prev().get().saturating_sub(progress.durable().get());
    u32::try_from(lag).unwrap_or(UNKNOWN_LAG)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::body::BodyBytes;
    use super::*;
    use crate::format::{Layers, LogId, Owner};
    use crate::{Capabilities, CodecId, Settings};

    const BEGUN: Timestamp = Timestamp::from_micros(1 << 60);

    fn at(wall: Timestamp) -> Moment {
        Moment { wall, log_time: 5 }
    }

    fn later(micros: i64) -> Timestamp {
        BEGUN.saturating_add_micros(micros)
    }

    /// A placement with a segment, into which nothing was placed.
    struct Begun {
        layout: Layout,
        placement: Placement,
        progress: Progress,
    }

    impl Begun {
        fn new() -> Self {
            let settings = Settings::default().segment_size(4096).buffer_bytes(4096);
            let capabilities = Capabilities::durable();
            let log = LogHeader {
                log_id: LogId([0; 16]),
                codec: CodecId::RAW,
                layers: Layers::NONE,
                owner: Owner::default(),
                origin: None,
            };
            let layout = Layout::new(log, &settings, &capabilities);
            let start = Start {
                last_lsn: Lsn::ZERO,
                next_lsn: Lsn::FIRST,
                log_start: Lsn::FIRST,
                next_generation: 1,
            };
            let (placement, progress) = (Placement::new(&start), Progress::new(Lsn::ZERO));
            let mut begun = Begun { layout: layout.unwrap(), placement, progress };
            begun.roll();
            begun
        }

        fn roll(&mut self) {
            self.placement.roll(&self.layout, at(BEGUN), &self.progress);
        }

        /// Places a record, and does not count it.
        fn place(&mut self, wall: Timestamp) -> Lsn {
            let (crc, bytes) = (crc32c::crc32c(b"x"), BodyBytes::Lent(b"x"));
            let mut body = Body { records: 1, record_bytes: 1, crc, bytes };
            let placed = self.placement.place(&self.layout, &mut body, at(wall), &self.progress);
            placed.unwrap_or_else(|NoRoom| panic!("there is room")).last
        }

        fn append(&mut self) {
            let last = self.place(BEGUN);
            self.progress.append(last, 1, 1, Duration::ZERO);
        }

        fn take(&mut self, taken: &mut Taken) {
            self.placement.take(&self.layout, taken, &self.progress);
        }
    }

    /// The header of the frame that was placed last: each is as long as the others.
    fn last_frame(placement: &Placement) -> FrameHeader {
        FrameHeader::decode(&placement.buf[placement.buf.len() - FRAME_HEADER_LEN - 1..])
    }

    #[test]
    fn a_frame_carries_the_time_that_the_clock_said() {
        let mut begun = Begun::new();
        for delta in [0, 100, -100, 0, FrameHeader::TIME_DELTA_MAX, FrameHeader::TIME_DELTA_MIN] {
            let lsn = begun.place(later(delta));
            begun.progress.append(lsn, 1, 1, Duration::ZERO);
            assert_eq!(last_frame(&begun.placement).time_delta, delta);
        }
        assert_eq!(begun.placement.breaks.len(), 1, "all in one segment");
    }

    #[test]
    fn a_time_that_lies_years_away_takes_a_segment_of_its_own() {
        for leap in [FrameHeader::TIME_DELTA_MAX + 1, FrameHeader::TIME_DELTA_MIN - 1] {
            let mut begun = Begun::new();
            begun.append();
            begun.place(later(leap));
            assert_eq!(last_frame(&begun.placement).time_delta, 0);
            assert_eq!(begun.placement.breaks[1].header.created, later(leap));
        }
    }

    #[test]
    fn what_is_taken_goes_on_where_the_last_ended() {
        let (mut begun, mut taken) = (Begun::new(), Taken::default());
        for rolls in [false, true, false, false] {
            begun.append();
            if rolls {
                begun.roll();
                begun.append();
                begun.roll();
            }
            begun.append();
            begun.take(&mut taken);
            assert_eq!(taken.end, begun.placement.filling.as_ref().unwrap().used);
            taken.frames.clear();
            taken.breaks.clear();
        }
    }

    #[test]
    #[should_panic(expected = "what was taken is written")]
    fn the_buffer_is_not_taken_before_the_last_one_was_written() {
        let (mut begun, mut taken) = (Begun::new(), Taken::default());
        begun.append();
        begun.take(&mut taken);
        begun.take(&mut taken);
    }

    #[test]
    #[should_panic(expected = "LSNs are contiguous: 3 is to follow 1")]
    fn no_segment_is_begun_while_a_record_was_placed_and_not_counted() {
        let mut begun = Begun::new();
        begun.append();
        begun.place(BEGUN);
        begun.roll();
    }

    #[test]
    #[should_panic(expected = "bytes in the buffer belong to the segment of their break")]
    fn no_byte_is_in_the_buffer_that_no_segment_has_counted() {
        let mut begun = Begun::new();
        begun.append();
        begun.placement.buf.extend_from_slice(b"x");
        begun.take(&mut Taken::default());
    }

    #[test]
    #[should_panic(expected = "bytes in the buffer belong to the segment of their break")]
    fn a_break_lies_between_two_segments() {
        let mut begun = Begun::new();
        begun.append();
        begun.roll();
        begun.append();
        begun.placement.breaks[1].at -= 1;
        begun.take(&mut Taken::default());
    }

    #[test]
    #[should_panic(expected = "the start moves forward, to the end at most")]
    fn the_start_does_not_move_back() {
        Begun::new().placement.start_at(Lsn::FIRST);
    }

    #[test]
    #[should_panic(expected = "the end moves back")]
    fn the_end_does_not_move_forward() {
        Begun::new().placement.end_at(Lsn::FIRST);
    }
}
