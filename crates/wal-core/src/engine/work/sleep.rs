//! Sleeping in a queue, on a thread.

use super::super::Engine;
use super::super::failure::PanicGuard;
use super::super::state::State;
use super::super::wait::{Level, Outcome, Slot, Waiter};
use crate::Lsn;
use crate::sync::MutexGuard;

impl Engine {
    /// Sleeps until `lsn` has reached `level`, or until this thread is to see to that.
    pub(super) fn sleep_in_queue(
        &self,
        st: MutexGuard<'_, State>,
        level: Level,
        lsn: Lsn,
    ) -> Outcome {
        let _guard = PanicGuard::of(self);
        // Declared behind the guard, so that the lock is let go of before it.
        let mut st = st;
        st.assert_promised(level, lsn);
        let slot = Slot::of_this_thread();
        st.wait.join(level, lsn, Waiter::Thread(slot.clone()));
        drop(st);
        slot.wait()
    }
}
