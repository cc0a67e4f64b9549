//! Who hands the buffer to the storage, while others wait for that.

use super::commit::closed;
use super::flush::Purpose;
use super::patience::{Patience, look_on};
use super::state::State;
use super::waiters::{Level, Outcome, Slot, Who};
use super::writer::Writer;
use super::{Engine, PanicGuard};
use crate::sync::{MutexGuard, lock, try_lock};
use crate::{Lsn, Result};

impl Engine {
    /// Waits until `lsn` was handed to the storage. This thread may do it, for everybody.
    ///
    /// When a write is done, nobody has the role of who writes until somebody takes it: one who waited is
    /// woken to look, but a thread that is awake need not wait for it.
    pub(super) fn write_or_wait<'a>(
        &'a self,
        mut st: MutexGuard<'a, State>,
        lsn: Lsn,
    ) -> Result<()> {
        let mut looked_on = false;
        loop {
            if st.takes_role(Level::Written) {
                return self.lead_write(st);
            }
            if looked_on {
                let slot = Slot::of_this_thread();
                st.waiters.push(Level::Written, lsn, Who::Thread(slot.clone()));
                drop(st);
                match slot.wait() {
                    Outcome::Done => return Ok(()),
                    Outcome::Lead => {}
                    Outcome::Failed => return Err(self.refusal("write").unwrap_or_else(closed)),
                }
            } else {
                let (turns, before) = (st.patience.turns(), self.written_lsn());
                drop(st);
                look_on(turns, || self.written_lsn() != before);
                looked_on = true;
            }
            if self.reached(Level::Written, lsn) {
                return Ok(());
            }
            st = self.state();
            // Again, as that is said under the lock: nobody may queue for what has happened. Whether the
            // log was closed does not matter: whoever closes it writes everything.
            if self.reached(Level::Written, lsn) {
                return Ok(());
            }
            self.check("write")?;
        }
    }

    /// Writes, and lets go of the writing role. Called in the writing role.
    pub(super) fn lead_write(&self, st: MutexGuard<'_, State>) -> Result<()> {
        let _guard = PanicGuard(self);
        let (mut st, mut w) = self.with_writer(st);
        let mut outcome = self.check("write");
        if outcome.is_ok() {
            let timed = Patience::times(st.stats.writes).then(|| self.clock.monotonic());
            let flushed = self.take_buffer(&mut st, &mut w, Purpose::Write);
            drop(st);
            outcome = self.write_taken(&mut w, &flushed);
            st = self.state();
            outcome = outcome.and_then(|()| self.publish_written(&mut st, &mut w, &flushed));
            if let Some(started) = timed {
                st.patience.saw(self.clock.monotonic().saturating_sub(started));
            }
        }
        let next = if outcome.is_ok() { st.waiters.written.take_leader() } else { None };
        st.writing = false;
        if next.is_none() && (st.write_wanted || st.waiters.written.len() > 0) {
            st.write_wanted = true;
            self.kick_driver(&mut st);
        }
        drop(st);
        // The next write need not wait until everybody was told of this one.
        let wakes = w.leave_wakes();
        drop(w);
        if let Some(slot) = next {
            Who::Thread(slot).wake(Outcome::Lead);
        }
        drop(wakes);
        outcome
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
}
