//! Flushing: takes the buffer, hands it to the storage, and publishes how far that reached.

use std::time::Duration;

use bytes::Bytes;

use super::super::Engine;
use super::super::failure::PanicGuard;
use super::super::place::reclaim;
use super::super::progress::Captured;
use super::super::state::State;
use super::segment_writer::SegmentWriter;
use crate::format::FRAME_HEADER_LEN;
use crate::sync::lock;
use crate::{Event, Result, WriteMode};

/// Why the buffer is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To reach the storage.
    Write,
    /// To be synced right after.
    Sync,
}

/// A buffer that was taken to be written.
pub(super) struct Flushed {
    /// What is in it, and everything before that.
    pub(super) captured: Captured,
    /// The write makes it durable; no sync is needed.
    pub(super) durable: bool,
    purpose: Purpose,
    /// When its first record was appended.
    since: Duration,
    /// By how many microseconds the time of day was set.
    clock_set: Option<i64>,
}

impl Engine {
    /// Hands everything to the storage that was appended before this call, without a sync.
    pub(crate) fn write_out(&self) -> Result<()> {
        self.enter()?;
        self.flush(&mut lock(&self.writer), Purpose::Write).map(|_| ())
    }

    /// Hands everything that was framed so far to the storage. Called with the writer locked.
    pub(super) fn flush(&self, w: &mut SegmentWriter, purpose: Purpose) -> Result<Flushed> {
        self.check("write")?;
        let _guard = PanicGuard::of(self);
        let flushed = self.take_buffer(&mut self.state(), w, purpose);
        self.write_taken(w, &flushed)?;
        self.publish_written(&mut self.state(), w, &flushed)?;
        w.wake_all();
        Ok(flushed)
    }

    /// Swaps the shared buffer for the writer's empty one, and captures what it holds.
    pub(super) fn take_buffer(
        &self,
        st: &mut State,
        w: &mut SegmentWriter,
        purpose: Purpose,
    ) -> Flushed {
        st.assert_room_is_due();
        st.placement.take(&self.layout, &mut w.taken, &st.progress);
        let nothing_unsynced = st.progress.written_is_durable();
        let since = st.progress.buffered_since();
        let captured = match purpose {
            Purpose::Write => {
                st.agenda.begin_write();
                st.progress.begin_write()
            }
            Purpose::Sync => {
                st.agenda.begin_sync();
                st.wait.begin_commit(&self.groups);
                st.progress.begin_sync(self.clock.monotonic())
            }
        };
        st.wait.take_for_buffer(&mut w.wakes);
        let durable = purpose == Purpose::Sync
            && self.capabilities.write_through
            && nothing_unsynced
            && w.taken.breaks.is_empty()
            && !w.taken.frames.is_empty();
        let clock_set = st.time.take_step();
        Flushed { captured, durable, purpose, since, clock_set }
    }

    /// Writes what was taken. A failure poisons the log.
    pub(super) fn write_taken(&self, w: &mut SegmentWriter, flushed: &Flushed) -> Result<()> {
        // Before anybody else has the writer: who knows how much of it was written?
        let _guard = PanicGuard::of(self);
        w.wake_all();
        if let Some(by_micros) = flushed.clock_set {
            self.emit(&Event::ClockSet { by_micros });
        }
        if !w.has_work() {
            return Ok(());
        }
        self.confirm_process()?;
        if !flushed.durable {
            self.write_pieces(w, WriteMode::Cached).map_err(|e| self.fail(e))?;
            return match flushed.purpose {
                // Those who wait for the write are told next.
                Purpose::Write => {
                    let segment = w.active_name();
                    self.confirm_now_and_then(&mut w.last_look, flushed.since, segment)
                }
                // Behind the sync.
                Purpose::Sync => Ok(()),
            };
        }
        let started = self.clock.monotonic();
        self.write_pieces(w, WriteMode::Through).map_err(|e| self.fail(e))?;
        self.count_sync(flushed.captured.lsn(), self.clock.monotonic().saturating_sub(started));
        Ok(())
    }

    /// Writes what was taken, segment by segment.
    fn write_pieces(&self, w: &mut SegmentWriter, mode: WriteMode) -> Result<()> {
        let taken = &mut w.taken;
        if let Some((padding, salt)) = taken.padding.take() {
            padding.put(&mut taken.frames, salt);
        }
        let mut blank = 0;
        if self.layout.header.blanks && !taken.frames.is_empty() {
            blank = FRAME_HEADER_LEN;
            taken.frames.extend_from_slice(&[0; FRAME_HEADER_LEN]);
        }
        let data = std::mem::take(&mut taken.frames).freeze();
        let from = if taken.breaks.is_empty() { 0 } else { self.write_ended(w, &data, mode)? };
        w.write_frames(&data, from..data.len(), blank, mode)?;
        // The memory is kept for the next time.
        w.taken.frames = reclaim(data);
        Ok(())
    }

    /// Writes the frames of segments that end within what was taken. Returns where the rest begins.
    fn write_ended(&self, w: &mut SegmentWriter, data: &Bytes, mode: WriteMode) -> Result<usize> {
        let mut breaks = std::mem::take(&mut w.taken.breaks);
        let mut from = 0;
        for segment in breaks.drain(..) {
            let to = segment.at;
            w.write_frames(data, from..to, 0, mode)?;
            self.rotate(w, segment)?;
            from = to;
        }
        // The memory is kept for the next time.
        w.taken.breaks = breaks;
        Ok(from)
    }

    /// Says how far the storage has the records, and collects those who waited for that.
    pub(super) fn publish_written(
        &self,
        st: &mut State,
        w: &mut SegmentWriter,
        flushed: &Flushed,
    ) -> Result<()> {
        st.stats.writes += w.take_writes();
        self.check("write")?;
        let to_be_synced = flushed.purpose == Purpose::Sync;
        st.progress.publish_written(&flushed.captured, to_be_synced, &self.reached);
        let before = w.wakes.len();
        st.wait.take_written(flushed.captured.lsn(), &mut w.wakes);
        st.seen.idle.woke(w.wakes.len() > before);
        Ok(())
    }
}
