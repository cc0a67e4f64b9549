//! `Interval`: a sync in the background every so often.

use std::time::Duration;

use wal_core::{Claim, Decision, Loss, Result, SyncStrategy, SyncWhen, TailView};

use crate::limits;

/// A record is synced at the latest one period after it was appended; nobody waits for it.
///
/// The period counts from the oldest record that no sync covers, so an idle log is not synced, and
/// the first record after a silence does not wait less or longer than any other. When a sync is
/// overdue, because the one before is slow or the machine is too busy to run the timer, appends
/// wait for it: without that there would be no bound at all.
///
/// *Durability*: acknowledged when written. A process crash loses nothing; a power loss loses the
/// records of at most two periods, however many these are: one that the sync in flight covers, and
/// one since it began ([`Loss::window`]).
///
/// ```
/// use std::time::Duration;
/// use wal_core::{Claim, Loss, SyncStrategy};
/// use wal_sync::Interval;
///
/// let second = Duration::from_secs(1);
/// assert_eq!(Interval::new(second)?.claim(), Claim::written(Loss::UNBOUNDED.window(second)));
/// assert!(Interval::new(Duration::ZERO).is_err());
/// # Ok::<(), wal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    period: Duration,
}

impl Interval {
    /// Syncs at the latest this long after an append; 1 µs to 1 hour.
    ///
    /// # Errors
    /// `Invalid` if it is out of range.
    pub fn new(period: Duration) -> Result<Self> {
        Ok(Interval { period: limits::check("period", period, &limits::AGE)? })
    }

    /// The longest time between an append and the sync that covers it.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }
}

impl SyncStrategy for Interval {
    fn name(&self) -> String {
        format!("interval({:?})", self.period)
    }

    fn claim(&self) -> Claim {
        Claim::written(Loss::UNBOUNDED.window(self.period))
    }

    fn decide(&self, tail: &TailView) -> Decision {
        let left = self.period.saturating_sub(tail.pending_age);
        if left.is_zero() {
            Decision::durable(SyncWhen::Now)
        } else {
            Decision::written(SyncWhen::Within(left))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simulated_log::{Append, Checks, Load, any_load, check, run};

    proptest! {
        #[test]
        fn the_claim_is_true(period in 1u64..5000, load in any_load()) {
            let interval = Interval::new(Duration::from_micros(period)).unwrap();
            let checks = Checks::all_durable().idle_age(interval.period);
            check(&interval, &load, checks)?;
        }
    }

    /// An append every 10 µs for 30 ms, and a sync that takes longer than that.
    #[test]
    fn the_claim_is_tight() {
        let interval = Interval::new(Duration::from_millis(10)).unwrap();
        let load = Load {
            appends: vec![Append::after_us(10); 3000],
            sync_us: vec![2_000_000],
            ..Load::default()
        };
        let worst = run(&interval, &load, Checks::all_durable()).unwrap().worst;
        assert_eq!(worst.covered_span, Duration::from_micros(9_990));
        assert_eq!(worst.pending_span, Duration::from_micros(9_990));
        // 1000 before the sync began, 1 at that moment, 1000 after; then appends wait.
        assert!((2000..=2001).contains(&worst.records), "{worst:?}");
    }

    #[test]
    fn an_idle_log_is_synced_once() {
        let interval = Interval::new(Duration::from_millis(10)).unwrap();
        let load = Load { appends: vec![Append::after_us(0)], ..Load::default() };
        let report = run(&interval, &load, Checks::all_durable()).unwrap();
        assert_eq!(report.syncs, 1);
    }

    #[test]
    fn refuses_what_is_out_of_range() {
        let error = Interval::new(Duration::from_secs(4000)).unwrap_err();
        assert_eq!(error.detail(), "period is 4000s, allowed are 1µs to 3600s");
    }
}
