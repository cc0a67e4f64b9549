//! What was done, in one line.

use std::time::Duration;

use hdrhistogram::Histogram;
use wal_core::{Clock, Stats, SystemClock};

use crate::failure::say;

/// What one writer, or all of them, did.
pub(crate) struct Tally {
    records: u64,
    bytes: u64,
    /// Nanoseconds from the call of an append to its return.
    latency: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        const HOUR: u64 = 3_600_000_000_000;
        let latency = Histogram::new_with_bounds(1, HOUR, 2).expect("sensible bounds");
        Tally { records: 0, bytes: 0, latency }
    }
}

impl Tally {
    /// An append of `records` records was acknowledged.
    pub(crate) fn count(&mut self, records: u64, bytes: u64, latency: Duration) {
        self.records += records;
        self.bytes += bytes;
        self.latency.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.latency.add(&other.latency).expect("same bounds");
    }
}

/// A whole run.
pub(crate) struct Summary {
    pub(crate) total: Tally,
    /// Counts since the run began.
    pub(crate) clock: SystemClock,
    /// Nobody reads the acknowledgements any more, and so the run ended.
    pub(crate) output_closed: bool,
}

impl Summary {
    pub(crate) fn print(&self, stats: &Stats) {
        let Tally { records, bytes, latency } = &self.total;
        let seconds = self.clock.monotonic().as_secs_f64();
        let rate = *records as f64 / seconds.max(1e-9);
        let quantile = |q| Duration::from_nanos(latency.value_at_quantile(q));
        say(format_args!(
            "appended {records} records, {bytes} bytes in {seconds:.3} s: {rate:.0} records/s, \
             {} syncs, latency p50 {:.1?}, p99 {:.1?}{}",
            stats.syncs,
            quantile(0.5),
            quantile(0.99),
            if self.output_closed { "; ended because standard output was closed" } else { "" }
        ));
    }
}
