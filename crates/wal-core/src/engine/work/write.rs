//! The role of the writer, and waiting for a write.
//!
//! A write to the page cache is quicker than waking a thread. So the role of the writer is never handed to a thread
//! that sleeps: when a write ends, the role is free, and any thread that is awake may take it. One waiter is woken
//! to look, so that a thread takes it if no other does.

use super::super::Engine;
use super::super::agenda::Role;
use super::super::failure::PanicGuard;
use super::super::pace::{SpinScore, spin};
use super::super::state::State;
use super::super::wait::{Level, Outcome, Slot, Waiter};
use super::flush::Purpose;
use super::segment_writer::SegmentWriter;
use crate::sync::{MutexGuard, is_free, lock, try_lock};
use crate::{Lsn, Result};

impl Engine {
    /// Waits until `lsn` was handed to the storage. This thread may do it, for everybody.
    pub(super) fn write_or_wait<'a>(
        &'a self,
        mut st: MutexGuard<'a, State>,
        lsn: Lsn,
    ) -> Result<()> {
        let mut has_spun = false;
        loop {
            if st.agenda.take(Role::Write) {
                return self.lead_write(st);
            }
            if has_spun {
                match self.sleep_in_queue(st, Level::Written, lsn) {
                    Outcome::Done => return Ok(()),
                    Outcome::Lead => {}
                    Outcome::Failed => return Err(self.wait_ended(Level::Written.op())),
                }
            } else {
                let (looks, before) = (st.seen.writes.looks(&self.pace), self.written_lsn());
                drop(st);
                spin(looks, || self.written_lsn() != before);
                has_spun = true;
            }
            if self.has_reached(Level::Written, lsn) {
                return Ok(());
            }
            st = self.state();
            // Again, as that is said under the lock: nobody may queue for what has happened. Whether the
            // log was closed does not matter: closing writes everything.
            if self.has_reached(Level::Written, lsn) {
                return Ok(());
            }
            self.check(Level::Written.op())?;
        }
    }

    /// Writes, and gives the role of the writer back. Called by the writer.
    pub(super) fn lead_write(&self, st: MutexGuard<'_, State>) -> Result<()> {
        let _guard = PanicGuard::of(self);
        let (mut st, mut w) = self.with_segment_writer(st);
        let mut outcome = self.check("write");
        if outcome.is_ok() {
            let is_timed = SpinScore::times(&self.pace, st.stats.writes);
            let timed = is_timed.then(|| self.clock.monotonic());
            let flushed = self.take_buffer(&mut st, &mut w, Purpose::Write);
            drop(st);
            outcome = self.write_taken(&mut w, &flushed);
            st = self.state();
            outcome = outcome.and_then(|()| self.publish_written(&mut st, &mut w, &flushed));
            if let Some(started) = timed {
                let took = self.clock.monotonic().saturating_sub(started);
                st.seen.writes.saw(&self.pace, took);
            }
        }
        let next = if outcome.is_ok() { st.wait.choose_writer() } else { None };
        st.agenda.give_back(Role::Write);
        if next.is_none() && (st.agenda.is_write_wanted() || st.wait.awaits_write()) {
            st.agenda.want_write();
            self.wake_driver(&mut st);
        }
        drop(st);
        // The next write need not wait until everybody was told of this one.
        let wakes = w.leave_wakes();
        drop(w);
        if let Some(slot) = next {
            Waiter::Thread(slot).wake(Outcome::Lead);
        }
        drop(wakes);
        outcome
    }

    /// Waits until the full buffer was taken. The first thread that finds it full does so, as soon as the write
    /// before is done, and the others go on while it writes.
    pub(super) fn wait_for_buffer(&self, mut st: MutexGuard<'_, State>) -> Result<()> {
        if !st.agenda.promise_room() {
            let slot = Slot::of_this_thread();
            st.wait.join_for_buffer(Waiter::Thread(slot.clone()));
            drop(st);
            // Whatever the outcome is, the caller looks at the log again.
            slot.wait();
            return Ok(());
        }
        drop(st);
        let mut w = lock(&self.writer);
        // Or somebody else has taken it meanwhile.
        if self.state().agenda.is_room_promised() {
            self.flush(&mut w, Purpose::Write).map(|_| ())
        } else {
            Ok(())
        }
    }

    /// Whether somebody holds the writer's lock.
    pub(crate) fn is_writing(&self) -> bool {
        !is_free(&self.writer)
    }

    /// The writer's lock beside the short one, which comes after it: if it is not free, the short one is
    /// let go of and taken again.
    fn with_segment_writer<'a>(
        &'a self,
        st: MutexGuard<'a, State>,
    ) -> (MutexGuard<'a, State>, MutexGuard<'a, SegmentWriter>) {
        if let Some(w) = try_lock(&self.writer) {
            return (st, w);
        }
        drop(st);
        let w = lock(&self.writer);
        (self.state(), w)
    }
}
