//! The clock of one writer.
//!
//! What a writer keeps between two calls lies in no cache any more when there are ten thousand of them. So
//! it keeps little, and latencies go to a histogram of the thread on which it runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use wal_core::{Clock, SystemClock};

use crate::sample::{Latency, Sample};
use crate::{Timing, Workload};

/// More histograms than processors, so that threads seldom meet at one.
const SHARDS: usize = 16;
/// Ten minutes. What takes longer counts as that.
const LONGEST_NS: u64 = 600_000_000_000;

/// One measurement of all writers together.
pub(crate) struct Measurement {
    clock: SystemClock,
    stride: u32,
    records_per_call: u64,
    warm_up_ns: u64,
    measured_ns: u64,
    /// When what is measured begins; known when the first writer has begun.
    begin_ns: OnceLock<u64>,
    shards: Vec<Mutex<Histogram<u64>>>,
}

impl Measurement {
    pub(crate) fn new(load: &Workload, timing: &Timing) -> anyhow::Result<Arc<Self>> {
        let shard = || histogram().map(Mutex::new);
        Ok(Arc::new(Measurement {
            clock: SystemClock::new(),
            stride: timing.stride,
            records_per_call: load.records_per_call() as u64,
            warm_up_ns: nanos(timing.warm_up),
            measured_ns: nanos(timing.measured),
            begin_ns: OnceLock::new(),
            shards: (0..SHARDS).map(|_| shard()).collect::<anyhow::Result<_>>()?,
        }))
    }

    /// Starts the clock of a writer; the first one starts that of all.
    pub(crate) fn meter(self: &Arc<Self>) -> Meter {
        let before_ns = self.now_ns();
        let begin_ns = *self.begin_ns.get_or_init(|| before_ns + self.warm_up_ns);
        Meter { all: self.clone(), begin_ns, before_ns, records: 0, calls: 0 }
    }

    fn now_ns(&self) -> u64 {
        nanos(self.clock.monotonic())
    }

    fn record(&self, latency_ns: u64) {
        let shard = self.shards[shard_of_this_thread()].lock();
        shard.unwrap_or_else(PoisonError::into_inner).saturating_record(latency_ns);
    }

    /// What was measured, given each writer's records.
    pub(crate) fn sample(&self, records: &[u64]) -> anyhow::Result<Sample> {
        let mut all = histogram()?;
        for shard in &self.shards {
            all.add(&*shard.lock().unwrap_or_else(PoisonError::into_inner))?;
        }
        Ok(Sample {
            latency: Latency::of(&all),
            fewest: records.iter().copied().min().unwrap_or(0),
            most: records.iter().copied().max().unwrap_or(0),
            ..Sample::once(records.iter().sum(), Duration::from_nanos(self.measured_ns))
        })
    }
}

/// Three digits are kept of every latency.
fn histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_max(LONGEST_NS, 3).context("a histogram of latencies")
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn shard_of_this_thread() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    SHARD.with(|shard| *shard)
}

/// Counts and times the calls of one writer.
pub(crate) struct Meter {
    all: Arc<Measurement>,
    begin_ns: u64,
    /// When the clock was read last.
    before_ns: u64,
    records: u64,
    /// Since then.
    calls: u32,
}

impl Meter {
    /// One call has ended; whether there is time for another one.
    #[inline]
    pub(crate) fn call_ended(&mut self) -> bool {
        self.calls += 1;
        self.calls < self.all.stride || self.read(self.all.now_ns())
    }

    fn read(&mut self, now_ns: u64) -> bool {
        let calls = u64::from(std::mem::take(&mut self.calls));
        let before_ns = std::mem::replace(&mut self.before_ns, now_ns);
        let (begin, end) = (self.begin_ns, self.begin_ns + self.all.measured_ns);
        if (begin..=end).contains(&now_ns) {
            self.records += calls * self.all.records_per_call;
        }
        if (begin..end).contains(&before_ns) {
            self.all.record((now_ns - before_ns) / calls);
        }
        now_ns < end
    }

    /// Records that were acknowledged in time.
    pub(crate) fn finish(self) -> u64 {
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A millisecond, in nanoseconds.
    const MS: u64 = 1_000_000;

    fn measurement(load: &str, stride: u32) -> Arc<Measurement> {
        let timing = Timing {
            warm_up: Duration::from_millis(10),
            measured: Duration::from_millis(100),
            stride,
        };
        Measurement::new(&load.parse().unwrap(), &timing).unwrap()
    }

    #[test]
    fn what_ends_in_time_counts_and_what_begins_in_time_is_timed() {
        let all = measurement("threads:1:10x100", 1);
        let mut meter = all.meter();
        let start = meter.before_ns;
        // Ends in the warm-up; ends in the measured time but began before; lies in it; ends behind it.
        for (at, goes_on) in [(5, true), (15, true), (40, true), (300, false)] {
            meter.calls = 1;
            assert_eq!(meter.read(start + at * MS), goes_on, "{at} ms");
        }
        let records = meter.finish();
        assert_eq!(records, 20, "two calls of ten records");
        let sample = all.sample(&[records, 7]).unwrap();
        assert_eq!((sample.records, sample.fewest, sample.most), (27, 7, 20));
        assert_eq!(sample.seconds, 0.1);
        let near = |quantile, millis: f64| {
            let found = sample.latency.at(quantile).as_secs_f64() * 1e3;
            assert!((found / millis - 1.0).abs() < 0.002, "{found} ms, expected {millis}");
        };
        // Of 25 and 260 ms; the call that was still running was waited for.
        near(0.5, 25.0);
        near(1.0, 260.0);
    }

    #[test]
    fn with_a_stride_a_latency_is_a_mean() {
        let all = measurement("threads:1:100", 4);
        let mut meter = all.meter();
        let start = meter.before_ns;
        meter.before_ns = start + 20 * MS;
        assert!(meter.call_ended() && meter.call_ended() && meter.call_ended());
        assert_eq!(meter.before_ns, start + 20 * MS, "the clock was not read");
        meter.calls = 4;
        assert!(meter.read(start + 60 * MS));
        let sample = all.sample(&[meter.finish()]).unwrap();
        let mean = sample.latency.max().as_nanos() as u64;
        assert!(mean.abs_diff(10 * MS) < MS / 100, "{mean}");
        assert_eq!(sample.records, 4);
    }
}
