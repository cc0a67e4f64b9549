//! What the log's short lock protects: the batch buffer, the marks and the roles.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;

use super::body::Body;
use super::cohort::Commits;
use super::company::Crowd;
use super::patience::Patience;
use super::waiters::{Level, Waiters};
use super::{Engine, buffer};
use crate::format::{
    FRAME_HEADER_LEN, Flags, FrameHeader, FrameKind, LogId, Padding, Salt, SegmentHeader,
    UNKNOWN_LAG,
};
use crate::{Clock, CodecId, Durability, Lsn, Recent, TailView, Timestamp, Trigger};

/// A position in the log: every record up to `lsn`, and how much that is since the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) lsn: Lsn,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// A sync that runs, and what it covers: what was appended before its write began, nothing more.
pub(crate) struct InFlight {
    pub(crate) mark: Mark,
    pub(crate) started: Duration,
}

/// Work that a task hands to the driver, because it may block.
pub(crate) type Job = Box<dyn FnOnce(&Engine) + Send>;

/// The segment into which frames are being placed.
struct Place {
    first_lsn: Lsn,
    created: Timestamp,
    salt: Salt,
    /// Offset behind the last placed frame.
    used: u64,
}

/// From `at` in the buffer on, bytes belong to a new segment.
pub(crate) struct Break {
    pub(crate) at: usize,
    pub(crate) before: Mark,
    pub(crate) header: SegmentHeader,
}

/// What is constant over the life of an open log.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) log_id: LogId,
    pub(crate) codec: CodecId,
    pub(crate) data_offset: u32,
    /// How far frames reach at most. If nothing is padded, so does the blank behind them.
    pub(crate) segment_size: u64,
    pub(crate) buffer_bytes: usize,
    /// Writes end at multiples of this; 1 if anywhere.
    pub(crate) padding: u32,
}

/// The buffer has no room; the caller must wait for a write.
pub(crate) struct NoRoom;

/// What the driver does while it has nothing to do.
#[derive(Clone, Copy)]
pub(crate) enum Rest {
    /// It is at work.
    None,
    /// It stays awake for a moment, and wants to be called.
    Lingers,
    /// It sleeps, until then at the latest, and wants to be woken.
    SleepsUntil(Duration),
}

/// Protected by the log's short lock.
///
/// In the order in which it is written here: what every append changes comes first and lies in two or
/// three cache lines, so that threads that append by turns take few from each other.
#[repr(C)]
pub(crate) struct State {
    // What every append changes. `buf` is what was framed and not yet taken by a writer.
    pub(crate) buf: BytesMut,
    pub(crate) next_lsn: Lsn,
    /// The last valid LSN: what a new segment would follow.
    pub(crate) last_lsn: Lsn,
    pub(crate) last_time: Timestamp,
    place: Option<Place>,
    pub(crate) appended: Mark,

    // What every append looks at.
    /// When the clock was read last for an append.
    pub(crate) recent: Recent,
    /// The time of day at a monotonic time; spares most readings of the former.
    wall_anchor: Option<(Duration, Timestamp)>,

    pub(crate) durable: Mark,
    pub(crate) in_flight: Option<InFlight>,
    // When the oldest record was appended that is in the buffer, being written, written.
    pub(crate) buffered_since: Option<Duration>,
    pub(crate) writing_since: Option<Duration>,
    pub(crate) unsynced_since: Option<Duration>,
    pub(crate) sync_at: Option<Duration>,
    pub(crate) write_at: Option<Duration>,
    /// What the driver does.
    pub(crate) rest: Rest,
    // Who works, and what is to be done.
    pub(crate) syncing: bool,
    pub(crate) writing: bool,
    /// A thread that found the buffer full is about to take it.
    pub(crate) makes_room: bool,
    pub(crate) sync_wanted: bool,
    pub(crate) write_wanted: bool,
    pub(crate) closed: bool,
    pub(crate) stop: bool,
    // Measured.
    pub(crate) sync_cost: Duration,
    pub(crate) records_per_sync: f64,
    pub(crate) last_sync_end: Duration,
    /// Threads that wait for a commit; everybody else waits in the queues.
    pub(crate) commits: Commits,
    pub(crate) waiters: Waiters,

    // What only commits and the driver need. appended >= written >= durable.
    pub(crate) written: Mark,
    pub(crate) crowd: Crowd,
    pub(crate) patience: Patience,
    pub(crate) jobs: VecDeque<Job>,
    pub(crate) breaks: Vec<Break>,
    pub(crate) log_start: Lsn,
    pub(crate) next_generation: u64,
    pub(crate) stats: crate::Stats,
}

impl State {
    pub(crate) fn new(
        last_lsn: Lsn,
        next_lsn: Lsn,
        log_start: Lsn,
        next_generation: u64,
        last_time: Timestamp,
    ) -> Self {
        let mark = Mark { lsn: last_lsn, records: 0, bytes: 0 };
        State {
            buf: buffer::new_buffer(),
            next_lsn,
            last_lsn,
            last_time,
            place: None,
            appended: mark,
            recent: Recent::default(),
            wall_anchor: None,
            durable: mark,
            in_flight: None,
            buffered_since: None,
            writing_since: None,
            unsynced_since: None,
            sync_at: None,
            write_at: None,
            rest: Rest::None,
            syncing: false,
            writing: false,
            makes_room: false,
            sync_wanted: false,
            write_wanted: false,
            closed: false,
            stop: false,
            sync_cost: Duration::ZERO,
            records_per_sync: 0.0,
            last_sync_end: Duration::ZERO,
            commits: Commits::default(),
            waiters: Waiters::default(),
            written: mark,
            crowd: Crowd::default(),
            patience: Patience::default(),
            jobs: VecDeque::new(),
            breaks: Vec::new(),
            log_start,
            next_generation,
            stats: crate::Stats::default(),
        }
    }

    /// The time of day. The clock is read again every few milliseconds, in between time is added up.
    pub(crate) fn wall(&mut self, clock: &dyn Clock, now: Duration) -> Timestamp {
        const ANCHOR_MAX: Duration = Duration::from_millis(20);
        match self.wall_anchor {
            Some((at, wall)) if now.saturating_sub(at) < ANCHOR_MAX => {
                let passed = now.saturating_sub(at).as_micros() as u64;
                Timestamp::from_micros(wall.as_micros().saturating_add(passed))
            }
            _ => {
                let wall = clock.wall();
                self.wall_anchor = Some((now, wall));
                wall
            }
        }
    }

    /// Puts one frame into the buffer and gives its records their LSNs; returns the first.
    pub(crate) fn place(
        &mut self,
        layout: &Layout,
        body: &mut Body<'_>,
        now: Duration,
        wall: Timestamp,
    ) -> Result<Lsn, NoRoom> {
        let frame_len = body.frame_len();
        if !self.buf.is_empty() && self.buf.len() + frame_len > layout.buffer_bytes {
            return Err(NoRoom);
        }
        let time = wall.max(self.last_time);
        let fits = self.place.as_ref().is_some_and(|place| {
            place.used + (frame_len + FRAME_HEADER_LEN) as u64 <= layout.segment_size
                && time.as_micros() - place.created.as_micros() <= FrameHeader::TIME_DELTA_MAX
        });
        if !fits {
            self.roll(layout, time);
        }
        let place = self.place.as_mut().expect("rolled");
        let first = self.next_lsn;
        let lag = first.get() - 1 - self.durable.lsn.get().min(first.get() - 1);
        let header = FrameHeader {
            crc: 0,
            body_len: (frame_len - FRAME_HEADER_LEN) as u32,
            lsn_delta: first.since(place.first_lsn) as u32,
            durable_lag: u32::try_from(lag).unwrap_or(UNKNOWN_LAG),
            time_delta: time.as_micros() - place.created.as_micros(),
            kind: FrameKind::Data as u8,
            flags: if body.is_batch() { Flags::BATCH } else { Flags::default() },
        };
        body.put(&header.seal(body.crc, place.salt), &mut self.buf);
        place.used += frame_len as u64;

        self.last_time = time;
        self.next_lsn = first.advance(u64::from(body.records));
        self.last_lsn = self.next_lsn.prev();
        self.appended = Mark {
            lsn: self.last_lsn,
            records: self.appended.records + u64::from(body.records),
            bytes: self.appended.bytes + body.record_bytes,
        };
        self.buffered_since.get_or_insert(now);
        Ok(first)
    }

    /// Gives up the space up to where a write may end: the padding for it, which belongs behind the last
    /// frame that was placed. `None` if nothing is to be filled.
    #[inline]
    pub(super) fn pad(&mut self, layout: &Layout) -> Option<(Padding, Salt)> {
        if layout.padding <= 1 {
            return None;
        }
        let place = self.place.as_mut()?;
        let lag = self.next_lsn.prev().since(self.durable.lsn.min(self.next_lsn.prev()));
        let next = FrameHeader {
            crc: 0,
            body_len: 0,
            lsn_delta: self.next_lsn.since(place.first_lsn) as u32,
            durable_lag: u32::try_from(lag).unwrap_or(UNKNOWN_LAG),
            time_delta: self.last_time.as_micros() - place.created.as_micros(),
            kind: FrameKind::Padding as u8,
            flags: Flags::default(),
        };
        let padding = Padding::behind(place.used, layout.padding, next)?;
        place.used += padding.frame_len();
        Some((padding, place.salt))
    }

    /// Begins a new segment: whatever is placed from now on belongs to it.
    pub(crate) fn roll(&mut self, layout: &Layout, wall: Timestamp) {
        if let Some((padding, salt)) = self.pad(layout) {
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
        self.place = Some(Place {
            first_lsn: header.first_lsn,
            created: header.created,
            salt: Salt::new(header.log_id, header.generation),
            used: u64::from(layout.data_offset),
        });
        self.breaks.push(Break { at: self.buf.len(), before: self.appended, header });
    }

    /// What the strategy gets to see.
    pub(crate) fn view(&self, trigger: Trigger, requested: Durability, now: Duration) -> TailView {
        let covered = self.in_flight.as_ref().map_or(self.durable, |sync| sync.mark);
        let oldest = self.unsynced_since.or(self.writing_since).or(self.buffered_since);
        TailView {
            records: self.appended.records - self.durable.records,
            bytes: self.appended.bytes - self.durable.bytes,
            pending_records: self.appended.records - covered.records.max(self.durable.records),
            pending_bytes: self.appended.bytes - covered.bytes.max(self.durable.bytes),
            pending_age: oldest.map_or(Duration::ZERO, |since| now.saturating_sub(since)),
            in_flight: self.in_flight.as_ref().map(|sync| now.saturating_sub(sync.started)),
            since_last_sync: now.saturating_sub(self.last_sync_end),
            waiting: self.waiters.durable.len() as u64 + self.commits.waiting(),
            sync_cost: self.sync_cost,
            records_per_sync: self.records_per_sync,
            requested,
            ..TailView::empty(trigger)
        }
    }

    /// Whether somebody waits for a record that was appended and is not in flight to become durable.
    pub(crate) fn is_awaited(&self) -> bool {
        self.commits.is_awaited() || self.waiters.durable.waits_for(self.appended.lsn)
    }

    /// Takes the role of who syncs or writes, unless somebody has it or no sync is due.
    pub(crate) fn takes_role(&mut self, level: Level) -> bool {
        let (role, wanted) = match level {
            Level::Written => (&mut self.writing, true),
            Level::Durable => (&mut self.syncing, self.sync_wanted),
            Level::Followed => return false,
        };
        let takes = wanted && !*role;
        *role |= takes;
        takes
    }

    /// Whether there is something for the driver to do at once.
    pub(crate) fn has_work(&self) -> bool {
        (self.sync_wanted && !self.syncing)
            || (self.write_wanted && !self.writing)
            || !self.jobs.is_empty()
            || self.stop
    }

    /// The next moment at which the driver has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        match (self.sync_at, self.write_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::body::BodyBytes;
    use super::*;

    #[test]
    fn an_append_that_read_its_clock_before_the_segment_was_begun_is_not_earlier() {
        let layout = Layout {
            log_id: LogId([0; 16]),
            codec: CodecId::RAW,
            data_offset: 128,
            segment_size: 4096,
            buffer_bytes: 4096,
            padding: 1,
        };
        let mut state = State::new(Lsn::ZERO, Lsn::FIRST, Lsn::FIRST, 1, Timestamp::EPOCH);
        state.roll(&layout, Timestamp::from_micros(1000));
        let (crc, bytes) = (crc32c::crc32c(b"x"), BodyBytes::Lent(b"x"));
        let mut body = Body { records: 1, record_bytes: 1, crc, bytes };
        let earlier = Timestamp::from_micros(900);
        assert!(state.place(&layout, &mut body, Duration::ZERO, earlier).is_ok());
        assert_eq!(state.last_time, Timestamp::from_micros(1000));
        assert_eq!(FrameHeader::decode(&state.buf).time_delta, 0);
    }
}
