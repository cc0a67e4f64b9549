//! `Batch`: a counted loss, in exchange for one sync per many records.

use std::time::Duration;

use wal_core::{Claim, Decision, Loss, Result, SyncStrategy, SyncWhen, TailView, Trigger};

use crate::limits;

/// Most appends wait for nothing; the one that fills a bound waits for the sync of all of them.
///
/// The bounds count the *whole* tail, the sync in flight included. So they hold however slow a sync
/// is: when the tail is full every further append waits until it is shorter, and this
/// back-pressure is what a bound on the loss costs. The delay syncs what an idle log left behind.
///
/// | bound reached | then |
/// | --- | --- |
/// | `records` or `bytes` in the tail, this append counted | it is acknowledged when durable, sync now |
/// | oldest pending record is `delay` old | sync now; appends that find it overdue wait for it |
/// | none | acknowledged when written |
///
/// A bound that is not set does not exist: `Batch::of_records(32)` keeps up to 31
/// records of an idle log unsynced for ever. An append of a batch that alone reaches a bound is
/// durable when it returns.
///
/// *Durability*: a process crash loses nothing. A power loss loses at most `records - 1` records
/// and `bytes - 1` encoded bytes; with a delay, the lost records that the sync in flight covers were
/// appended within one delay, and so were those since it began ([`Loss::window`]).
/// With `records` or `bytes` of 1 every append is durable, and nothing is lost.
///
/// ```
/// use std::time::Duration;
/// use wal_core::SyncStrategy;
/// use wal_sync::Batch;
///
/// let batch = Batch::default(); // 1000 records, 1 MiB, 10 ms
/// let loss = batch.claim().power_loss;
/// assert_eq!(loss.records, Some(999));
/// assert_eq!(loss.bytes, Some((1 << 20) - 1));
/// assert_eq!(loss.window, Some(Duration::from_millis(10)));
/// assert!(Batch::from_bounds(None, None, None).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    records: Option<u64>,
    bytes: Option<u64>,
    delay: Option<Duration>,
}

impl Default for Batch {
    /// 1000 records, 1 MiB, 10 ms.
    fn default() -> Self {
        Batch { records: Some(1000), bytes: Some(1 << 20), delay: Some(Duration::from_millis(10)) }
    }
}

impl Batch {
    /// A batch is synced at so many records; 1 or more.
    ///
    /// # Errors
    /// `Invalid` if it is 0.
    pub fn of_records(records: u64) -> Result<Self> {
        Batch::from_bounds(Some(records), None, None)
    }

    /// A batch is synced at so many encoded bytes; 1 or more.
    ///
    /// # Errors
    /// `Invalid` if it is 0.
    pub fn of_bytes(bytes: u64) -> Result<Self> {
        Batch::from_bounds(None, Some(bytes), None)
    }

    /// A batch is synced when its oldest record is so old; 1 µs to 1 hour.
    ///
    /// # Errors
    /// `Invalid` if it is out of range.
    pub fn of_age(delay: Duration) -> Result<Self> {
        Batch::from_bounds(None, None, Some(delay))
    }

    /// The bounds that a configuration gives, each if there is one.
    ///
    /// A batch is synced at `records` records (1 or more), `bytes` encoded bytes (1 or more) or
    /// when its oldest record is `delay` old (1 µs to 1 hour), whichever comes first.
    ///
    /// # Errors
    /// `Invalid` if a bound is out of its range, or if there is none.
    pub fn from_bounds(
        records: Option<u64>,
        bytes: Option<u64>,
        delay: Option<Duration>,
    ) -> Result<Self> {
        if records.is_none() && bytes.is_none() && delay.is_none() {
            return Err(limits::invalid(
                "a batch needs at least one bound: records, bytes or delay (or use Os)".into(),
            ));
        }
        let batch = Batch { records, bytes, delay };
        records.map_or(Ok(0), |n| limits::check("records", n, &limits::COUNT))?;
        bytes.map_or(Ok(0), |n| limits::check("bytes", n, &limits::COUNT))?;
        delay.map_or(Ok(Duration::ZERO), |d| limits::check("delay", d, &limits::AGE))?;
        Ok(batch)
    }

    /// Replaces the bound in records; 1 or more.
    ///
    /// # Errors
    /// `Invalid` if it is 0.
    pub fn with_records(self, records: u64) -> Result<Self> {
        Batch::from_bounds(Some(records), self.bytes, self.delay)
    }

    /// Replaces the bound in encoded bytes; 1 or more.
    ///
    /// # Errors
    /// `Invalid` if it is 0.
    pub fn with_bytes(self, bytes: u64) -> Result<Self> {
        Batch::from_bounds(self.records, Some(bytes), self.delay)
    }

    /// Replaces the bound in time; 1 µs to 1 hour.
    ///
    /// # Errors
    /// `Invalid` if it is out of range.
    pub fn with_delay(self, delay: Duration) -> Result<Self> {
        Batch::from_bounds(self.records, self.bytes, Some(delay))
    }

    /// The number of records at which an append waits for the sync.
    #[must_use]
    pub const fn records(&self) -> Option<u64> {
        self.records
    }

    /// The number of encoded bytes at which an append waits for the sync.
    #[must_use]
    pub const fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// The age at which a record is synced.
    #[must_use]
    pub const fn delay(&self) -> Option<Duration> {
        self.delay
    }

    /// A bound of 1 leaves room for nothing. A byte bound of 1 would let through empty records,
    /// whose loss "0 bytes" could not express.
    fn is_strict(&self) -> bool {
        self.records == Some(1) || self.bytes == Some(1)
    }

    fn is_full(&self, tail: &TailView) -> bool {
        self.is_strict()
            || self.records.is_some_and(|bound| tail.records >= bound)
            || self.bytes.is_some_and(|bound| tail.bytes >= bound)
    }
}

impl SyncStrategy for Batch {
    fn name(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.records.map(|n| format!("{n} records")));
        parts.extend(self.bytes.map(|n| format!("{n} bytes")));
        parts.extend(self.delay.map(|d| format!("{d:?}")));
        format!("batch({})", parts.join(", "))
    }

    fn claim(&self) -> Claim {
        if self.is_strict() {
            return Claim::NOTHING_LOST;
        }
        let mut loss = Loss::UNBOUNDED;
        loss.records = self.records.map(|n| n - 1);
        loss.bytes = self.bytes.map(|n| n - 1);
        loss.window = self.delay;
        Claim::written(loss)
    }

    fn decide(&self, tail: &TailView) -> Decision {
        if self.is_full(tail) {
            return Decision::durable(SyncWhen::Now);
        }
        // Somebody waits for what the last sync did not cover: another delay would be his.
        if tail.trigger != Trigger::Append && tail.waiting > 0 {
            return Decision::durable(SyncWhen::Now);
        }
        match self.delay.map(|delay| delay.saturating_sub(tail.pending_age)) {
            Some(Duration::ZERO) => Decision::durable(SyncWhen::Now),
            Some(left) => Decision::written(SyncWhen::Within(left)),
            None => Decision::written(SyncWhen::OnRequest),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::simulated_log::{Append, Checks, Load, any_load, check, run};

    pub(crate) fn any_batch() -> impl Strategy<Value = Batch> {
        let records = prop::option::of(1u64..40);
        let bytes = prop::option::of(1u64..400);
        let delay = prop::option::of((1u64..5000).prop_map(Duration::from_micros));
        (records, bytes, delay)
            .prop_filter_map("no bound", |(r, b, d)| Batch::from_bounds(r, b, d).ok())
    }

    fn checks(batch: &Batch) -> Checks {
        match batch.delay {
            Some(delay) => Checks::all_durable().idle_age(delay),
            None => Checks::default(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn the_claim_is_true(batch in any_batch(), load in any_load()) {
            check(&batch, &load, checks(&batch))?;
        }
    }

    /// The claimed number of records, and of bytes, is really lost by some crash, whether a sync is
    /// in flight or not.
    #[test]
    fn the_claim_is_tight() {
        for sync_us in [0, 100, 1_000_000] {
            for n in [1, 2, 3, 32, 1000] {
                let batch =
                    Batch::from_bounds(Some(n), None, Some(Duration::from_secs(1))).unwrap();
                let appends = vec![Append::after_us(1).bytes(3); 3000];
                let load = Load { appends, sync_us: vec![sync_us], ..Load::default() };
                let worst = run(&batch, &load, checks(&batch)).unwrap().worst;
                assert_eq!(Some(worst.records), batch.claim().power_loss.records, "{n}, {sync_us}");

                let batch =
                    Batch::from_bounds(None, Some(n), Some(Duration::from_secs(1))).unwrap();
                let appends = vec![Append::after_us(1).bytes(1); 3000];
                let load = Load { appends, sync_us: vec![sync_us], ..Load::default() };
                let worst = run(&batch, &load, checks(&batch)).unwrap().worst;
                assert_eq!(Some(worst.bytes), batch.claim().power_loss.bytes, "{n}, {sync_us}");
            }
        }
    }

    #[test]
    fn both_bounds_together_are_tight_too() {
        let batch = Batch::from_bounds(Some(10), Some(100), None).unwrap();
        for append in [Append::after_us(1).bytes(0), Append::after_us(1).bytes(99)] {
            let load = Load { appends: vec![append; 50], ..Load::default() };
            let worst = run(&batch, &load, checks(&batch)).unwrap().worst;
            assert!(worst.records == 9 || worst.bytes == 99, "{worst:?}");
        }
    }

    #[test]
    fn a_batch_beyond_the_bound_is_durable() {
        let batch = Batch::of_records(10).unwrap();
        let load = Load { appends: vec![Append::after_us(1).records(500); 9], ..Load::default() };
        let report = run(&batch, &load, Checks::all_durable()).unwrap();
        assert_eq!(report.worst.records, 0);
    }

    #[test]
    fn the_timer_syncs_an_idle_log() {
        let load = Load { appends: vec![Append::after_us(0)], ..Load::default() };
        let report = run(&Batch::default(), &load, checks(&Batch::default())).unwrap();
        assert_eq!(report.syncs, 1);
    }

    #[test]
    fn overdue_appends_wait() {
        let batch = Batch::default();
        let mut tail = TailView::empty(Trigger::Append);
        (tail.records, tail.pending_records) = (2, 2);
        tail.pending_age = Duration::from_millis(4);
        let left = Duration::from_millis(6);
        assert_eq!(batch.decide(&tail), Decision::written(SyncWhen::Within(left)));
        tail.pending_age = Duration::from_millis(10);
        assert_eq!(batch.decide(&tail), Decision::durable(SyncWhen::Now));
    }

    #[test]
    fn refuses_what_is_out_of_range() {
        let error = Batch::from_bounds(None, None, None).unwrap_err();
        assert!(error.to_string().contains("at least one bound"), "{error}");
        assert!(Batch::default().with_records(0).is_err());
        assert!(Batch::default().with_bytes(0).is_err());
        assert!(Batch::default().with_delay(Duration::ZERO).is_err());
        assert_eq!(Batch::default().name(), "batch(1000 records, 1048576 bytes, 10ms)");
    }
}
