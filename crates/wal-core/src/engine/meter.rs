//! What syncs cost and how much they cover, for strategies: moving averages.

use std::time::Duration;

#[derive(Default)]
pub(super) struct SyncMeter {
    cost: Duration,
    records: f64,
    last_end: Duration,
}

impl SyncMeter {
    /// A sync has ended that made so many records durable.
    pub(super) fn ended(&mut self, records: u64, took: Duration, now: Duration) {
        self.last_end = now;
        if records == 0 {
            return;
        }
        self.cost = if self.cost.is_zero() { took } else { (self.cost * 7 + took) / 8 };
        let n = records as f64;
        self.records = if self.records == 0.0 { n } else { (self.records * 3.0 + n) / 4.0 };
    }

    /// What a sync takes; zero before the first.
    pub(super) fn cost(&self) -> Duration {
        self.cost
    }

    /// Records that a sync covers; zero before the first.
    pub(super) fn records(&self) -> f64 {
        self.records
    }

    /// When the last one ended, by the log's clock.
    pub(super) fn last_end(&self) -> Duration {
        self.last_end
    }
}
