//! `GroupCommit`: callers who wait together share a sync.

use std::time::Duration;

use wal_core::{Claim, Decision, Result, SyncStrategy, SyncWhen, TailView};

use crate::limits;

/// Every append is durable when it returns; a sync may wait for other appends (a *group wait*).
///
/// Grouping happens by itself: while a sync is in flight everything that arrives is collected, and
/// the next sync covers all of it. So [`new`](Self::new) waits for nobody. A wait is worth its
/// latency only where syncs are so expensive that fewer of them matter more; measure it.
///
/// *Durability*: acknowledged when durable; nothing that was acknowledged is lost, whatever
/// crashes. An append takes at most `max_wait` plus two syncs (the one in flight and its own).
///
/// ```
/// use std::time::Duration;
/// use wal_core::{Claim, SyncStrategy};
/// use wal_sync::GroupCommit;
///
/// let group = GroupCommit::new().with_max_wait(Duration::from_millis(2))?.with_max_records(64)?;
/// assert_eq!(group.claim(), Claim::NOTHING_LOST);
/// assert!(GroupCommit::new().with_max_records(0).is_err());
/// # Ok::<(), wal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCommit {
    max_wait: Duration,
    max_records: Option<u64>,
    max_bytes: Option<u64>,
}

impl GroupCommit {
    /// No wait: the sync in flight does the grouping.
    #[must_use]
    pub const fn new() -> Self {
        GroupCommit { max_wait: Duration::ZERO, max_records: None, max_bytes: None }
    }

    /// Waits up to this long for other appends. Default 0, 0 to 1 hour.
    ///
    /// # Errors
    /// `Invalid` if it is longer than an hour.
    pub fn with_max_wait(mut self, max_wait: Duration) -> Result<Self> {
        self.max_wait = limits::check("max_wait", max_wait, &limits::WAIT)?;
        Ok(self)
    }

    /// Waits no longer once this many records are pending. Default: no such limit; 1 or more.
    ///
    /// # Errors
    /// `Invalid` if it is 0.
    pub fn with_max_records(mut self, max_records: u64) -> Result<Self> {
        self.max_records = Some(limits::check("max_records", max_records, &limits::COUNT)?);
        Ok(self)
    }

    /// Waits no longer once this many encoded bytes are pending. Default: no such limit; 1 or more.
    ///
    /// # Errors
    /// `Invalid` if it is 0.
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Result<Self> {
        self.max_bytes = Some(limits::check("max_bytes", max_bytes, &limits::COUNT)?);
        Ok(self)
    }

    /// The longest group wait; 0 for none.
    #[must_use]
    pub const fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// The number of pending records that ends the wait.
    #[must_use]
    pub const fn max_records(&self) -> Option<u64> {
        self.max_records
    }

    /// The number of pending bytes that ends the wait.
    #[must_use]
    pub const fn max_bytes(&self) -> Option<u64> {
        self.max_bytes
    }

    fn is_full(&self, tail: &TailView) -> bool {
        self.max_records.is_some_and(|max| tail.pending_records >= max)
            || self.max_bytes.is_some_and(|max| tail.pending_bytes >= max)
    }
}

impl SyncStrategy for GroupCommit {
    fn name(&self) -> String {
        let mut parts = Vec::new();
        if !self.max_wait.is_zero() {
            parts.push(format!("wait {:?}", self.max_wait));
        }
        parts.extend(self.max_records.map(|n| format!("{n} records")));
        parts.extend(self.max_bytes.map(|n| format!("{n} bytes")));
        if parts.is_empty() { "group".into() } else { format!("group({})", parts.join(", ")) }
    }

    fn claim(&self) -> Claim {
        Claim::NOTHING_LOST
    }

    fn decide(&self, tail: &TailView) -> Decision {
        let left = self.max_wait.saturating_sub(tail.pending_age);
        let sync = if left.is_zero() || self.is_full(tail) {
            SyncWhen::Now
        } else {
            SyncWhen::Within(left)
        };
        Decision::durable(sync)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wal_core::Trigger;

    use super::*;
    use crate::simulated_log::{Append, Checks, Load, any_load, check, run};

    const MS: Duration = Duration::from_millis(1);

    fn any_group() -> impl Strategy<Value = GroupCommit> {
        let limit = || prop::option::of(1u64..50);
        (0u64..3000, limit(), limit()).prop_map(|(wait, max_records, max_bytes)| GroupCommit {
            max_wait: Duration::from_micros(wait),
            max_records,
            max_bytes,
        })
    }

    proptest! {
        #[test]
        fn loses_nothing_and_waits_no_longer_than_said(group in any_group(), load in any_load()) {
            check(&group, &load, Checks::all_durable().idle_age(group.max_wait))?;
        }
    }

    #[test]
    fn many_writers_share_the_sync_in_flight() {
        let load = Load {
            appends: vec![Append::after_us(10); 100],
            sync_us: vec![1000],
            ..Load::default()
        };
        let report = run(&GroupCommit::new(), &load, Checks::all_durable()).unwrap();
        assert_eq!(report.syncs, 2, "the first alone, the other 99 with the second");
    }

    #[test]
    fn a_full_batch_ends_the_wait() {
        let group = GroupCommit::new().with_max_wait(2 * MS).unwrap().with_max_records(3).unwrap();
        let mut tail = TailView::empty(Trigger::Append);
        tail.pending_records = 1;
        assert_eq!(group.decide(&tail), Decision::durable(SyncWhen::Within(2 * MS)));
        tail.pending_records = 2;
        tail.pending_age = MS;
        assert_eq!(group.decide(&tail), Decision::durable(SyncWhen::Within(MS)));
        tail.pending_records = 3;
        assert_eq!(group.decide(&tail), Decision::durable(SyncWhen::Now));
        tail.pending_records = 1;
        tail.pending_age = 2 * MS;
        tail.trigger = Trigger::Deadline;
        assert_eq!(group.decide(&tail), Decision::durable(SyncWhen::Now));
    }

    #[test]
    fn names_say_what_is_set() {
        assert_eq!(GroupCommit::new().name(), "group");
        let group = GroupCommit::new().with_max_wait(2 * MS).unwrap().with_max_bytes(9).unwrap();
        assert_eq!(group.name(), "group(wait 2ms, 9 bytes)");
    }

    #[test]
    fn refuses_what_is_out_of_range() {
        assert!(GroupCommit::new().with_max_bytes(0).is_err());
        let error = GroupCommit::new().with_max_wait(Duration::from_secs(3601)).unwrap_err();
        assert_eq!(error.detail(), "max_wait is 3601s, allowed are 0ns to 3600s");
    }
}
