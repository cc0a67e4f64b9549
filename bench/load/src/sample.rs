//! What one measurement found.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The quantiles that are kept of all latencies. The last one is the longest of them.
pub const QUANTILES: [f64; 11] = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 1.0];

/// One measurement of one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Records that were acknowledged within the time.
    pub records: u64,
    /// The time, in seconds.
    pub seconds: f64,
    /// How long calls took.
    pub latency: Latency,
    /// Records of the writer that had the fewest acknowledged.
    pub fewest: u64,
    /// Records of the writer that had the most.
    pub most: u64,
    /// Syncs in all, warm-up included, if they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncs: Option<u64>,
    /// The most memory that the process ever used, in bytes, if that was the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
}

/// How long calls took, in nanoseconds, at each of [`QUANTILES`]. All zero if there was no call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency([u64; QUANTILES.len()]);

impl Sample {
    /// Records per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.records as f64 / self.seconds.max(1e-9)
    }

    /// Of work that is done once: so many records in this time.
    #[must_use]
    pub fn once(records: u64, took: Duration) -> Self {
        Sample {
            records,
            seconds: took.as_secs_f64(),
            latency: Latency::default(),
            fewest: records,
            most: records,
            syncs: None,
            peak_memory: None,
        }
    }
}

impl Latency {
    /// Of the values of a histogram, in nanoseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        Latency(QUANTILES.map(|quantile| match quantile {
            1.0 => histogram.max(),
            quantile => histogram.value_at_quantile(quantile),
        }))
    }

    /// At one of [`QUANTILES`].
    ///
    /// # Panics
    /// If the quantile was not kept.
    #[must_use]
    pub fn at(&self, quantile: f64) -> Duration {
        let kept = QUANTILES.iter().position(|&kept| kept == quantile);
        Duration::from_nanos(self.0[kept.expect("one of QUANTILES")])
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.at(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_histogram() {
        let mut histogram = Histogram::new(3).unwrap();
        (1..=1000).for_each(|value| histogram.record(value).unwrap());
        let latency = Latency::of(&histogram);
        assert_eq!(latency.at(0.5), Duration::from_nanos(500));
        assert_eq!(latency.at(0.99), Duration::from_nanos(990));
        assert_eq!(latency.max(), Duration::from_nanos(1000));
        let none = Latency::of(&Histogram::new(3).unwrap());
        assert_eq!(none, Latency::default());
    }

    #[test]
    fn samples_survive_json() {
        let mut sample = Sample::once(10, Duration::from_millis(250));
        assert_eq!(sample.rate(), 40.0);
        sample.syncs = Some(3);
        sample.latency = Latency([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        let json = serde_json::to_string(&sample).unwrap();
        assert!(!json.contains("peak_memory"), "{json}");
        assert_eq!(serde_json::from_str::<Sample>(&json).unwrap(), sample);
    }
}
