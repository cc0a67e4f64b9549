//! Group wait: a sync costs for one record what it costs for a hundred.
//!
//! The callers that a commit wakes append again within microseconds. A leader that begins at once leaves them
//! behind. From then on two halves of the callers take turns, and each pays for a sync of its own. So a leader
//! that follows a commit waits for the callers that were seen lately: for no longer than half of what a sync
//! takes, and only while they keep coming. A caller that is alone waits for nobody.
//!
//! PostgreSQL has the same idea as two settings, `commit_delay` and `commit_siblings`.

use std::time::Duration;

use super::Pace;
use crate::Clock;

/// How many callers commit together.
#[derive(Clone, Copy, Default)]
pub(crate) struct GroupSize(u64);

impl GroupSize {
    /// A commit woke `woken` callers beside its leader, while `left` others came to wait for the next one.
    pub(crate) fn saw(&mut self, woken: u64, left: u64) {
        // A caller that stays away is forgotten after some commits.
        self.0 = (1 + woken + left).max(self.0 - self.0.div_ceil(8));
    }

    /// Waits until the callers are there that are expected, or are no more worth waiting for.
    ///
    /// `gathered` counts those that are there. The leader is one of the group and may not be among them.
    pub(crate) fn wait(
        self,
        pace: &Pace,
        clock: &dyn Clock,
        sync_cost: Duration,
        gathered: impl Fn() -> u64,
    ) {
        let expected = self.0;
        if pace.group_wait.is_zero() || expected > pace.group_largest {
            return;
        }
        let mut there = gathered();
        if there + 1 >= expected {
            return;
        }
        let started = clock.monotonic();
        let longest = (sync_cost / 2).min(pace.group_wait);
        let mut grew = started;
        loop {
            std::thread::yield_now();
            let now = clock.monotonic();
            let present = gathered();
            if present > there {
                (there, grew) = (present, now);
            }
            let waited = now.saturating_sub(started);
            let idle = now.saturating_sub(grew);
            if there + 1 >= expected
                || waited >= longest
                || idle >= longest / pace.group_idle_part.max(1)
            {
                return;
            }
        }
    }
}
