//! For how long is measured.

use std::time::Duration;

/// The time box of one measurement.
///
/// ```
/// use std::time::Duration;
/// use wal_load::Timing;
/// let timing = Timing::of(Duration::from_secs(1));
/// assert_eq!((timing.warm_up, timing.stride), (Duration::from_millis(200), 1));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Timing {
    /// Runs first, and does not count.
    pub warm_up: Duration,
    /// Runs then, and counts.
    pub measured: Duration,
    /// The clock is read after so many calls. 1 unless a call is so short that reading the clock would
    /// cost as much as the call; a latency is then the mean of so many calls.
    pub stride: u32,
}

impl Timing {
    /// Measures for this long, after a fifth of it to warm up; reads the clock at every call.
    #[must_use]
    pub fn of(measured: Duration) -> Self {
        Timing { warm_up: measured / 5, measured, stride: 1 }
    }

    /// The same, with the clock read after so many calls.
    #[must_use]
    pub fn stride(mut self, calls: u32) -> Self {
        self.stride = calls.max(1);
        self
    }
}
