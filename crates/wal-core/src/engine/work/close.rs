//! The clean end of a log.

use super::super::Engine;
use super::super::failure::PanicGuard;
use super::super::wait::{Outcome, wake_all};
use super::flush::Purpose;
use crate::format::Ending;
use crate::sync::lock;
use crate::{Event, Result};

impl Engine {
    /// Writes everything, seals the segment, which makes it durable, and lets go of the storage. The first caller does it.
    pub(crate) fn close(&self) -> Result<()> {
        self.enter()?;
        self.check("close")?;
        let _guard = PanicGuard::of(self);
        // Who has the storage next must not find us removing segments.
        let _alone = lock(&self.truncation);
        let mut w = lock(&self.writer);
        let reserve = self.open_reserve();
        // A caller that closed the log before us may have failed.
        self.check("close")?;
        if !self.state().agenda.begin_close() {
            return Ok(());
        }
        // Nothing is appended any more, so this is everything.
        let flushed = self.flush(&mut w, Purpose::Write)?;
        self.seal_active(&mut w, Ending::Closed)?;
        let mut wakes = Vec::new();
        let mut in_vain = Vec::new();
        let last_lsn = {
            let mut st = self.state();
            st.progress.publish_closed(flushed.captured, &self.reached);
            self.collect_durable(&mut st, &mut wakes);
            st.agenda.forget_syncs();
            st.agenda.end();
            // Those who are left wait for records that will never be appended.
            st.wait.take_all(&mut in_vain);
            self.groups.end(false);
            st.placement.last_lsn()
        };
        wake_all(&mut wakes, Outcome::Done);
        wake_all(&mut in_vain, Outcome::Failed);
        // Before the next opener has it.
        drop(reserve);
        self.release();
        drop(w);
        self.emit(&Event::Closed { last_lsn });
        Ok(())
    }

    /// The last handle is gone, and with it the driver: those who follow the log are told that nothing more comes.
    pub(super) fn abandon(&self) {
        let mut in_vain = Vec::new();
        {
            let mut st = self.state();
            st.agenda.end();
            st.wait.take_all(&mut in_vain);
            self.groups.end(false);
        }
        wake_all(&mut in_vain, Outcome::Failed);
    }
}
