//! Whether the log is still ours, asked before anybody is acknowledged.
//!
//! The order matters: **sync, look, acknowledge**. Who opens the log becomes its owner before it reads; see
//! [`Fence`](crate::Fence). Records that are acknowledged as durable are looked for behind every sync. For records that are only written the
//! fence is asked now and then.

use std::time::Duration;

use super::Engine;
use crate::{Lsn, Result, Standing};

/// After so many writes without a sync the fence is asked, if [`BRIEFLY`] has passed.
const WRITES: u32 = 64;

/// After so long it is asked at the next write, however few there were.
const LONG: Duration = Duration::from_millis(100);

/// More often than that it is not asked: a look costs as much as several writes.
const BRIEFLY: Duration = Duration::from_millis(1);

/// When the fence was asked last. Belongs to the thread that has the writer's lock.
#[derive(Default)]
pub(super) struct LastLook {
    writes: u32,
    at: Duration,
}

impl LastLook {
    /// Counts a write; whether it is time to ask.
    #[inline]
    fn is_due(&mut self, now: Duration) -> bool {
        self.writes += 1;
        let passed = now.saturating_sub(self.at);
        let due = passed >= LONG || (self.writes >= WRITES && passed >= BRIEFLY);
        if due {
            *self = LastLook { writes: 0, at: now };
        }
        due
    }
}

impl Engine {
    /// Asks the fence, behind a sync and before anybody is told of it. A log that is not ours any more is poisoned.
    pub(super) fn confirm(&self, segment: Option<Lsn>) -> Result<Standing> {
        self.fence.check(segment).wait().map_err(|error| self.fail(error))
    }

    /// The same for the segment that is written. If it has another name as well, a new segment is begun: what is
    /// appended from now on must not appear under that name.
    pub(super) fn confirm_written(&self, segment: Option<Lsn>) -> Result<()> {
        let standing = self.confirm(segment)?;
        if let Some(name) = segment.filter(|_| standing.linked_elsewhere) {
            let mut st = self.state();
            if st.placement.is_filling(name) {
                st.roll(&self.layout, &*self.clock);
            }
        }
        Ok(())
    }

    /// The same, if it is time for that, for records that are written and not synced.
    ///
    /// `now` may be old, such as the time of an append: no clock is read for this.
    #[inline]
    pub(super) fn confirm_now_and_then(
        &self,
        look: &mut LastLook,
        now: Duration,
        segment: Option<Lsn>,
    ) -> Result<()> {
        if look.is_due(now) { self.confirm_written(segment) } else { Ok(()) }
    }

    /// Refuses a call in a process that was forked from the one that opened the log. Asked before any lock is taken: a
    /// thread that this process does not have may hold it for ever, and no thread is here to do what others wait for.
    #[inline]
    pub(super) fn enter(&self) -> Result<()> {
        self.fence.check_process()
    }

    /// Refuses to write in a process that was forked from the one that opened the log: the two would write to one
    /// place.
    #[inline]
    pub(super) fn confirm_process(&self) -> Result<()> {
        self.fence.check_process().map_err(|error| self.fail(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fence_is_asked_after_a_time_or_some_writes() {
        let mut look = LastLook::default();
        let micros = Duration::from_micros;
        // Quick writes: not before a millisecond has passed.
        assert!((0..500).all(|write| !look.is_due(micros(write))));
        assert!(look.is_due(micros(1_000)));
        // Slow ones: the 64th.
        let asked = (1..=200).filter(|write| look.is_due(micros(1_000 + 100 * write))).count();
        assert_eq!(asked, 3);
        // Rare ones: each.
        assert!((1..5).all(|write| look.is_due(micros(1_000_000 * write))));
    }
}
