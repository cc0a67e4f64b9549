//! A sync strategy of one's own; [`metered`] is a storage of one's own.
//!
//! Say your application shares its disk with others. It may spend a tenth of its time on syncs and not
//! more, but a power loss must never take more than 1000 of its acknowledged records. None of the
//! strategies in `wal-sync` does that. Writing one takes the few lines of [`DutyCycle::decide`],
//! because a strategy only *decides*: it does no I/O, starts no thread, reads no clock, and holds no
//! waiter. The log shows it the unsynced tail ([`TailView`]) and acts on its answer, so there is no
//! concurrency to get wrong.
//!
//! What a strategy promises it states as data, in [`SyncStrategy::claim`]; a program that opens the log can
//! read it there.
//!
//! ```
//! use downstream::DutyCycle;
//! use wal_core::{MemoryStorage, Wal};
//!
//! let strategy = DutyCycle { percent: 10, limit: 1000 };
//! let log = Wal::builder(strategy).open(MemoryStorage::new().into_empty_log()?)?;
//! assert_eq!(log.claim().power_loss.records, Some(1000));
//! log.append(b"record")?;
//! log.close()?;
//! # Ok::<(), wal_core::Error>(())
//! ```

pub mod metered;

use wal_core::{Claim, Decision, Loss, SyncStrategy, SyncWhen, TailView};

/// Spends a limited share of the time on syncs, with a limited number of records at risk.
#[derive(Clone, Copy, Debug)]
pub struct DutyCycle {
    /// The share of the time that may go into syncs, 1 to 100 percent. The limit comes first.
    pub percent: u32,
    /// At most this many acknowledged records are lost by a power loss.
    pub limit: u64,
}

impl SyncStrategy for DutyCycle {
    fn name(&self) -> String {
        format!("duty-cycle({}%, {} records)", self.percent, self.limit)
    }

    /// Every record is at least *written* when it is acknowledged, so the death of the process takes
    /// none. A power loss takes at most `limit`.
    fn claim(&self) -> Claim {
        Claim::written(Loss::UNBOUNDED.records(self.limit))
    }

    fn decide(&self, tail: &TailView) -> Decision {
        // The whole tail counts, not `pending_records` alone: what is being synced at this moment
        // can still be lost. The append that exceeds the limit waits for the sync, so the limit
        // holds however slow the disk is.
        if tail.records > self.limit {
            return Decision::durable(SyncWhen::Now);
        }
        // A sync is on its way. When it has ended, the log asks again about what came meanwhile.
        if tail.in_flight.is_some() {
            return Decision::written(SyncWhen::OnRequest);
        }
        // After a sync that took 1 ms, a share of 10 % leaves 9 ms of rest.
        let rest = tail.sync_cost * (100 - self.percent) / self.percent;
        Decision::written(SyncWhen::Within(rest.saturating_sub(tail.since_last_sync)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wal_core::{Durability, Trigger};

    use super::*;

    const TENTH: DutyCycle = DutyCycle { percent: 10, limit: 3 };

    /// A pure function of a plain value: no log, disk or clock is needed to test it.
    #[test]
    fn rests_nine_times_as_long_as_a_sync_takes() {
        let mut tail = TailView::empty(Trigger::Append);
        tail.records = 1;
        tail.sync_cost = Duration::from_millis(1);
        for (since, rest) in [(0, 9), (4, 5), (9, 0), (100, 0)] {
            tail.since_last_sync = Duration::from_millis(since);
            let decision = TENTH.decide(&tail);
            assert_eq!(decision.acknowledge, Durability::Written);
            assert_eq!(decision.sync, SyncWhen::Within(Duration::from_millis(rest)));
        }
    }

    #[test]
    fn while_a_sync_is_on_its_way_no_other_is_wanted() {
        let mut tail = TailView::empty(Trigger::Append);
        tail.records = 2;
        tail.in_flight = Some(Duration::from_micros(50));
        assert_eq!(TENTH.decide(&tail).sync, SyncWhen::OnRequest);
    }

    #[test]
    fn beyond_the_limit_an_append_waits() {
        let mut tail = TailView::empty(Trigger::Append);
        tail.records = 4;
        let decision = TENTH.decide(&tail);
        assert_eq!(decision.acknowledge, Durability::Durable);
        assert_eq!(decision.sync, SyncWhen::Now);
    }
}
