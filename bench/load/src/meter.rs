//! The clock of one writer.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use wal_core::{Clock, SystemClock};

use crate::sample::{Latency, Sample};
use crate::{Timing, Workload};

/// Latencies are handed over by so many: the lock costs little, and a task keeps little.
const HANDFUL: usize = 64;
/// More histograms than processors, so that tasks seldom meet at one.
const SHARDS: usize = 16;
/// Ten minutes. What takes longer counts as that.
const LONGEST_NS: u64 = 600_000_000_000;

/// One measurement of all writers together.
pub(crate) struct Measurement {
    clock: SystemClock,
    timing: Timing,
    records_per_call: u64,
    start: OnceLock<Duration>,
    shards: Vec<Mutex<Histogram<u64>>>,
}

impl Measurement {
    pub(crate) fn new(load: &Workload, timing: &Timing) -> anyhow::Result<Arc<Self>> {
        let shard = || histogram().map(Mutex::new);
        Ok(Arc::new(Measurement {
            clock: SystemClock::new(),
            timing: *timing,
            records_per_call: load.records_per_call() as u64,
            start: OnceLock::new(),
            shards: (0..SHARDS).map(|_| shard()).collect::<anyhow::Result<_>>()?,
        }))
    }

    /// Starts the clock of a writer; the first one starts that of all.
    pub(crate) fn meter(self: &Arc<Self>, writer: usize) -> Meter {
        let now = self.clock.monotonic();
        let begin = *self.start.get_or_init(|| now) + self.timing.warm_up;
        Meter {
            all: self.clone(),
            shard: writer % SHARDS,
            begin,
            end: begin + self.timing.measured,
            calls: 0,
            before: now,
            records: 0,
            latencies: Vec::new(),
        }
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
            ..Sample::once(records.iter().sum(), self.timing.measured)
        })
    }
}

/// Three digits are kept of every latency.
fn histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_max(LONGEST_NS, 3).context("a histogram of latencies")
}

/// Counts and times the calls of one writer.
pub(crate) struct Meter {
    all: Arc<Measurement>,
    shard: usize,
    begin: Duration,
    end: Duration,
    /// Since the clock was read.
    calls: u32,
    before: Duration,
    records: u64,
    latencies: Vec<u64>,
}

impl Meter {
    /// One call has ended; whether there is time for another one.
    #[inline]
    pub(crate) fn call_ended(&mut self) -> bool {
        self.calls += 1;
        self.calls < self.all.timing.stride || self.read(self.all.clock.monotonic())
    }

    fn read(&mut self, now: Duration) -> bool {
        let calls = std::mem::take(&mut self.calls);
        let before = std::mem::replace(&mut self.before, now);
        if (self.begin..=self.end).contains(&now) {
            self.records += u64::from(calls) * self.all.records_per_call;
        }
        if (self.begin..self.end).contains(&before) {
            self.latencies.push((now - before).as_nanos() as u64 / u64::from(calls));
            if self.latencies.len() >= HANDFUL {
                self.hand_over();
            }
        }
        now < self.end
    }

    fn hand_over(&mut self) {
        let shard = &self.all.shards[self.shard];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        for latency in self.latencies.drain(..) {
            shard.saturating_record(latency);
        }
    }

    /// Records that were acknowledged in time.
    pub(crate) fn finish(mut self) -> u64 {
        self.hand_over();
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn measurement(load: &str, stride: u32) -> Arc<Measurement> {
        let timing = Timing { warm_up: 10 * MS, measured: 100 * MS, stride };
        Measurement::new(&load.parse().unwrap(), &timing).unwrap()
    }

    #[test]
    fn what_ends_in_time_counts_and_what_begins_in_time_is_timed() {
        let all = measurement("threads:1:10x100", 1);
        let mut meter = all.meter(0);
        let start = meter.before;
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
        let mut meter = all.meter(0);
        let start = meter.before;
        meter.before = start + 20 * MS;
        assert!(meter.call_ended() && meter.call_ended() && meter.call_ended());
        assert_eq!(meter.latencies.len(), 0, "the clock was not read");
        meter.calls = 4;
        assert!(meter.read(start + 60 * MS));
        assert_eq!(meter.latencies, [10_000_000]);
        assert_eq!(meter.finish(), 4);
    }
}
