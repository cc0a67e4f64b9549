//! Writing: hands what was framed to the storage, and says how far that reached.

use super::state::{InFlight, Mark, State};
use super::waiters::{Outcome, Slot, Who};
use super::writer::Writer;
use super::{Engine, PanicGuard, buffer};
use crate::format::FRAME_HEADER_LEN;
use crate::sync::{MutexGuard, Ordering, lock, try_lock};
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

    /// Waits until the full buffer was taken. The first thread that finds it full does so, as soon as the
    /// write before is done, and the others go on while it writes.
    pub(super) fn make_room(&self, mut st: MutexGuard<'_, State>) -> Result<()> {
        if st.makes_room {
            let slot = Slot::of_this_thread();
            st.waiters.push_space(Who::Thread(slot.clone()));
            drop(st);
            // Whatever the outcome is, the caller looks at the log again.
            slot.wait();
            return Ok(());
        }
        st.makes_room = true;
        drop(st);
        let mut w = lock(&self.writer);
        // Or somebody else has taken it meanwhile.
        if self.state().makes_room {
            self.flush(&mut w, Purpose::Write).map(|_| ())
        } else {
            Ok(())
        }
    }

    /// Writes, and passes the writing role on. Called in the writing role.
    pub(super) fn lead_write(&self, st: MutexGuard<'_, State>) -> Result<()> {
        let _guard = PanicGuard(self);
        let (mut st, mut w) = self.with_writer(st);
        let mut outcome = self.check("write");
        if outcome.is_ok() {
            let flushed = self.take_buffer(&mut st, &mut w, Purpose::Write);
            drop(st);
            outcome = self.write_taken(&mut w, &flushed);
            st = self.state();
            outcome = outcome.and_then(|()| self.publish_written(&mut st, &mut w, &flushed));
        }
        let successor = if outcome.is_ok() { st.waiters.written.take_leader() } else { None };
        if successor.is_none() {
            st.writing = false;
            if st.write_wanted || st.waiters.written.len() > 0 {
                st.write_wanted = true;
                self.kick_driver(&mut st);
            }
        }
        drop(st);
        w.wake_all();
        drop(w);
        if let Some(slot) = successor {
            Who::Thread(slot).wake(Outcome::Lead);
        }
        outcome
    }

    /// The writer's lock beside the short one, which comes after it: if it is not free, the short one is
    /// let go of and taken again.
    fn with_writer<'a>(
        &'a self,
        st: MutexGuard<'a, State>,
    ) -> (MutexGuard<'a, State>, MutexGuard<'a, Writer>) {
        if let Some(w) = try_lock(&self.writer) {
            return (st, w);
        }
        drop(st);
        let w = lock(&self.writer);
        (self.state(), w)
    }

    /// Swaps the shared buffer for the writer's empty one, and notes what it holds.
    fn take_buffer(&self, st: &mut State, w: &mut Writer, purpose: Purpose) -> Flushed {
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
    fn write_taken(&self, w: &mut Writer, flushed: &Flushed) -> Result<()> {
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
    fn publish_written(&self, st: &mut State, w: &mut Writer, flushed: &Flushed) -> Result<()> {
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
