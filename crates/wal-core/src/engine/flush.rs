//! Writing: hands what was framed to the storage, and says how far that reached.

use super::state::{InFlight, Mark, State};
use super::writer::Writer;
use super::{Engine, PanicGuard, buffer};
use crate::format::FRAME_HEADER_LEN;
use crate::sync::{Ordering, lock};
use crate::{Result, WriteMode};

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
    pub(super) mark: Mark,
    /// The write makes it durable; no sync is needed.
    pub(super) durable: bool,
    purpose: Purpose,
}

impl Engine {
    /// Hands everything that was framed so far to the storage. Called with the writer locked.
    pub(super) fn flush(&self, w: &mut Writer, purpose: Purpose) -> Result<Flushed> {
        self.check("write")?;
        let _guard = PanicGuard(self);
        let flushed = self.take_buffer(&mut self.state(), w, purpose);
        self.write_taken(w, &flushed)?;
        self.publish_written(&mut self.state(), w, &flushed)?;
        w.wake_all();
        Ok(flushed)
    }

    /// Hands everything to the storage that was appended before this call, without a sync.
    pub(crate) fn write_out(&self) -> Result<()> {
        self.flush(&mut lock(&self.writer), Purpose::Write).map(|_| ())
    }

    /// Swaps the shared buffer for the writer's empty one, and notes what it holds.
    pub(super) fn take_buffer(&self, st: &mut State, w: &mut Writer, purpose: Purpose) -> Flushed {
        std::mem::swap(&mut st.buf, &mut w.taken);
        std::mem::swap(&mut st.breaks, &mut w.breaks);
        w.padding = st.pad(&self.layout);
        let mark = st.appended;
        let nothing_unsynced = st.written == st.durable;
        st.writing_since = st.buffered_since.take();
        st.write_wanted = false;
        st.write_at = None;
        if purpose == Purpose::Sync {
            st.sync_wanted = false;
            st.sync_at = None;
            st.in_flight = Some(InFlight { mark, started: self.clock.monotonic() });
            st.commits.depart(&self.cohorts);
            st.unsynced_since = None;
            st.writing_since = None;
        }
        st.makes_room = false;
        st.waiters.take_space(&mut w.wakes);
        let durable = purpose == Purpose::Sync
            && self.capabilities.write_through
            && nothing_unsynced
            && w.breaks.is_empty()
            && !w.taken.is_empty();
        Flushed { mark, durable, purpose }
    }

    /// Writes what was taken. A failure poisons the log.
    pub(super) fn write_taken(&self, w: &mut Writer, flushed: &Flushed) -> Result<()> {
        // Before anybody else has the writer: who knows how much of it was written?
        let _guard = PanicGuard(self);
        w.wake_all();
        if !w.has_work() {
            return Ok(());
        }
        if !flushed.durable {
            return self.write_pieces(w, WriteMode::Cached).map_err(|e| self.fail(e));
        }
        let started = self.clock.monotonic();
        self.write_pieces(w, WriteMode::Through).map_err(|e| self.fail(e))?;
        self.emit_synced(flushed.mark.lsn, self.clock.monotonic().saturating_sub(started));
        Ok(())
    }

    /// Writes what was taken, segment by segment.
    fn write_pieces(&self, w: &mut Writer, mode: WriteMode) -> Result<()> {
        if let Some((padding, salt)) = w.padding.take() {
            padding.put(&mut w.taken, salt);
        }
        let mut terminator = 0;
        if self.capabilities.recycles && !w.taken.is_empty() {
            terminator = FRAME_HEADER_LEN;
            w.taken.extend_from_slice(&[0; FRAME_HEADER_LEN]);
        }
        let data = std::mem::take(&mut w.taken).freeze();
        let mut from = 0;
        for at in 0..w.breaks.len() {
            let to = w.breaks[at].at;
            w.write_frames(&data, from..to, 0, mode)?;
            self.rotate(w, at)?;
            from = to;
        }
        w.breaks.clear();
        w.write_frames(&data, from..data.len(), terminator, mode)?;
        w.taken = buffer::reclaim(data);
        Ok(())
    }

    /// Says how far the storage has the records, and collects those who waited for that.
    pub(super) fn publish_written(
        &self,
        st: &mut State,
        w: &mut Writer,
        flushed: &Flushed,
    ) -> Result<()> {
        st.stats.writes += std::mem::take(&mut w.writes);
        self.check("write")?;
        st.written = flushed.mark;
        if flushed.purpose == Purpose::Write {
            st.unsynced_since = st.unsynced_since.or(st.writing_since);
        }
        st.writing_since = None;
        self.progress.written.store(flushed.mark.lsn.get(), Ordering::Release);
        let before = w.wakes.len();
        st.waiters.written.take(flushed.mark.lsn, &mut w.wakes);
        st.crowd.woke(w.wakes.len() > before);
        Ok(())
    }
}
