//! `Adaptive`: group commit whose wait tunes itself.

use std::time::Duration;

use wal_core::{Claim, Decision, Result, SyncStrategy, SyncWhen, TailView};

use crate::limits;

/// The end of the sync in flight asks again, long before this.
const AFTER_THE_SYNC: Duration = Duration::from_secs(1);

/// Every append is durable when it returns; a sync waits for other appends where they are likely and worth it.
///
/// Without a wait, writers fall into two groups that take turns: while one is being synced the
/// other arrives, and each sync carries half of the writers. Waiting a moment for those whom the
/// last sync has just released brings the groups together and nearly doubles the throughput, as
/// long as writers come back quickly. How long is a moment, and how many will come, is measured:
///
/// - It waits for as many records as the last syncs carried; for twice as many if some records
///   were left behind by the last sync, because then there are two groups.
/// - It waits at most half of what a sync costs here, and never longer than `max_wait`. So at worst,
///   when nobody comes, an append takes half a sync longer.
/// - It never waits for a lone writer, whose syncs carry one record and leave none behind, nor
///   before the first sync was measured. A lone writer who appends batches of very different sizes
///   may be mistaken for a group.
///
/// The idea of a group commit timer that follows the load is that of Helland, Sammer, Lyon, Carr,
/// Garrett and Reuter, "Group Commit Timers and High Volume Transaction Systems" (HPTS 1987, LNCS
/// 359). Half the cost of a sync is what PostgreSQL's manual recommends to try for `commit_delay`. Its
/// setting `commit_siblings` is how many other transactions must be open for a commit to wait at all. That is there for
/// the same reason as the rule about the lone writer above.
///
/// *Durability*: acknowledged when durable; nothing that was acknowledged is lost, whatever
/// crashes.
///
/// ```
/// use std::time::Duration;
/// use wal_core::{Claim, SyncStrategy};
/// use wal_sync::Adaptive;
///
/// let adaptive = Adaptive::new().with_max_wait(Duration::from_millis(2))?;
/// assert_eq!(adaptive.claim(), Claim::NOTHING_LOST);
/// # Ok::<(), wal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adaptive {
    max_wait: Duration,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl Adaptive {
    /// Waits at most 5 ms: half a sync of a spinning disk. On other devices half a sync is less,
    /// and that is the limit there.
    #[must_use]
    pub const fn new() -> Self {
        Adaptive { max_wait: Duration::from_millis(5) }
    }

    /// Never waits longer than this, whatever a sync costs. Default 5 ms, 0 to 1 hour.
    ///
    /// # Errors
    /// `Invalid` if it is longer than an hour.
    pub fn with_max_wait(mut self, max_wait: Duration) -> Result<Self> {
        self.max_wait = limits::check("max_wait", max_wait, &limits::WAIT)?;
        Ok(self)
    }

    /// The longest group wait.
    #[must_use]
    pub const fn max_wait(&self) -> Duration {
        self.max_wait
    }
}

impl SyncStrategy for Adaptive {
    fn name(&self) -> String {
        format!("adaptive(wait up to {:?})", self.max_wait)
    }

    fn claim(&self) -> Claim {
        Claim::NOTHING_LOST
    }

    fn decide(&self, tail: &TailView) -> Decision {
        if tail.in_flight.is_some() {
            // Not `Now`: that would start the next sync when this one ends, unasked.
            return Decision::durable(SyncWhen::Within(AFTER_THE_SYNC));
        }
        let left_behind = tail.pending_age > tail.since_last_sync;
        let groups = if left_behind { 2.0 } else { 1.0 };
        // Half a record of tolerance: the average comes close to a whole number, but not to it.
        let others = tail.records_per_sync * groups - tail.pending_records as f64 > 0.5;
        let waited = tail.pending_age.min(tail.since_last_sync);
        let left = self.max_wait.min(tail.sync_cost / 2).saturating_sub(waited);
        let sync = if others && !left.is_zero() { SyncWhen::Within(left) } else { SyncWhen::Now };
        Decision::durable(sync)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wal_core::Trigger;

    use super::*;
    use crate::simulated_log::{Checks, Writers, any_load, check, run_writers};
    use crate::{Always, GroupCommit};

    const MS: Duration = Duration::from_millis(1);

    proptest! {
        #[test]
        fn loses_nothing_and_leaves_nobody_waiting(wait in 0u64..5000, load in any_load()) {
            let adaptive = Adaptive::new().with_max_wait(Duration::from_micros(wait)).unwrap();
            check(&adaptive, &load, Checks::all_durable())?;
        }
    }

    fn writers(count: usize, think_us: u64) -> Writers {
        Writers { count, think_us, sync_us: 1000, appends: 300 * count }
    }

    #[test]
    fn a_lone_writer_never_waits() {
        for think_us in [0, 10, 300, 5000] {
            let alone = writers(1, think_us);
            assert_eq!(run_writers(&Adaptive::new(), alone), run_writers(&Always, alone));
        }
    }

    /// Writers that come back at once: nearly twice the throughput of group commit without a wait.
    #[test]
    fn brings_groups_together() {
        for count in [2, 3, 4, 8, 16, 64] {
            let load = writers(count, 20);
            let (greedy, _) = run_writers(&GroupCommit::new(), load);
            let (adaptive, syncs) = run_writers(&Adaptive::new(), load);
            let gain = greedy.as_secs_f64() / adaptive.as_secs_f64();
            assert!(gain > 1.7, "{count} writers: {gain}");
            assert!(syncs < 350, "{count} writers, 300 appends each: {syncs} syncs");
        }
    }

    /// Writers that think for long: nothing to gain, so little may be lost.
    #[test]
    fn costs_little_where_it_gains_nothing() {
        for count in [1, 2, 4, 16, 64] {
            for think_us in [500, 2000, 20_000] {
                let load = writers(count, think_us);
                let (greedy, greedy_syncs) = run_writers(&GroupCommit::new(), load);
                let (adaptive, syncs) = run_writers(&Adaptive::new(), load);
                let gain = greedy.as_secs_f64() / adaptive.as_secs_f64();
                assert!(gain > 0.9, "{count} writers, {think_us} µs: {gain}");
                assert!(syncs <= greedy_syncs, "{count} writers, {think_us} µs");
            }
        }
    }

    #[test]
    fn waits_no_longer_than_half_a_sync_or_the_limit() {
        let mut tail = TailView::empty(Trigger::Append);
        (tail.records, tail.pending_records) = (1, 1);
        tail.since_last_sync = 9 * MS;
        let decide = |tail: &TailView| Adaptive::new().decide(tail).sync;
        assert_eq!(decide(&tail), SyncWhen::Now, "nothing is known yet");
        (tail.records_per_sync, tail.sync_cost) = (4.0, 2 * MS);
        assert_eq!(decide(&tail), SyncWhen::Within(MS));
        tail.pending_age = MS / 4;
        assert_eq!(decide(&tail), SyncWhen::Within(MS * 3 / 4));
        tail.pending_age = MS;
        tail.trigger = Trigger::Deadline;
        assert_eq!(decide(&tail), SyncWhen::Now, "waited enough");
        tail.pending_age = Duration::ZERO;
        tail.sync_cost = 100 * MS;
        assert_eq!(decide(&tail), SyncWhen::Within(5 * MS), "the limit");
        tail.pending_records = 4;
        assert_eq!(decide(&tail), SyncWhen::Now, "all are here");
        // Four were left behind by a sync that has just ended; its four are expected, too.
        tail.trigger = Trigger::Synced;
        (tail.pending_age, tail.since_last_sync) = (90 * MS, Duration::ZERO);
        assert_eq!(decide(&tail), SyncWhen::Within(5 * MS));
        tail.pending_records = 8;
        assert_eq!(decide(&tail), SyncWhen::Now);
    }
}
