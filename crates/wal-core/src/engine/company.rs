//! Waiting for company: a sync costs for one record what it costs for a hundred.
//!
//! Those whom a commit wakes append again within microseconds. A leader that begins at once leaves them
//! behind, and from then on two halves of a crowd take turns, each paying for a sync of its own. So a
//! leader that follows a commit waits for those who were seen lately: for no longer than half of what a
//! sync takes, and only while they keep coming. Somebody alone waits for nobody.

use std::time::Duration;

use super::Engine;
use super::state::{Rest, State};
use crate::sync::Ordering;

/// The longest wait, whatever a sync takes.
const LONGEST: Duration = Duration::from_micros(500);

/// A larger crowd is not waited for. It fills a commit while the one before is in flight; to wait for the
/// rest of it takes longer than the sync that is saved.
const LARGEST: u64 = 256;

/// Those who wait for commits.
#[derive(Default)]
pub(crate) struct Crowd {
    /// How many at once, lately.
    size: u64,
    /// Somebody was woken since the driver lingered last.
    woken: bool,
}

impl Crowd {
    /// A commit woke `woken` callers, beside its leader, while `left` others came to wait for the next one.
    pub(crate) fn seen(&mut self, woken: u64, left: u64) {
        // Who stays away is forgotten after some commits.
        self.size = (1 + woken + left).max(self.size - self.size.div_ceil(8));
        self.woke(woken > 0);
    }

    /// Somebody was woken, or not: by a commit, or by a write for which tasks waited.
    pub(crate) fn woke(&mut self, somebody: bool) {
        self.woken |= somebody;
    }
}

impl State {
    /// Callers that wait for the next commit.
    pub(super) fn gathered(&self) -> u64 {
        self.commits.gathered() + self.waiters.durable.len() as u64
    }
}

impl Engine {
    /// Stays awake for a moment after a commit, since those whom it woke come back soon; to fall asleep and
    /// be woken again takes a good part of the time of a sync.
    ///
    /// It is called by a word of its own, and lets the short lock be: whoever appends needs that.
    pub(super) fn linger(&self) {
        let cost = {
            let mut st = self.state();
            let somebody_comes_back = std::mem::take(&mut st.crowd.woken);
            if !self.waits_for_company || !somebody_comes_back || st.has_work() {
                return;
            }
            self.called.store(false, Ordering::Relaxed);
            st.rest = Rest::Lingers;
            st.sync_cost
        };
        let started = self.clock.monotonic();
        let longest = (cost / 2).min(LONGEST);
        while !self.called.load(Ordering::Acquire)
            && self.clock.monotonic().saturating_sub(started) < longest
        {
            std::thread::yield_now();
        }
    }

    /// Waits for others to append before the commit begins. Called in the syncing role, without a lock.
    pub(super) fn await_company(&self) {
        let (crowd, cost, mut gathered) = {
            let st = self.state();
            (st.crowd.size, st.sync_cost, st.gathered())
        };
        // The leader is one of the crowd and may not be among those who wait.
        if !self.waits_for_company || crowd > LARGEST || gathered + 1 >= crowd {
            return;
        }
        let started = self.clock.monotonic();
        let longest = (cost / 2).min(LONGEST);
        let mut grew = started;
        loop {
            std::thread::yield_now();
            let now = self.clock.monotonic();
            let there = self.state().gathered();
            if there > gathered {
                (gathered, grew) = (there, now);
            }
            let waited = now.saturating_sub(started);
            let idle = now.saturating_sub(grew);
            if gathered + 1 >= crowd || waited >= longest || idle >= longest / 4 {
                return;
            }
        }
    }
}
