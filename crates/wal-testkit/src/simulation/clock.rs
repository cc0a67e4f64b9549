//! Time that moves when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use wal_core::{Clock, Timestamp};

/// A clock that stands still until it is advanced. Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use wal_core::Clock;
/// use wal_testkit::SimulatedClock;
///
/// let clock = SimulatedClock::new();
/// clock.advance(Duration::from_millis(5));
/// assert_eq!(clock.monotonic(), Duration::from_millis(5));
/// ```
#[derive(Clone, Debug, Default)]
pub struct SimulatedClock(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    nanos: AtomicU64,
    /// How far the time of day was set forward or back, in microseconds.
    shift: AtomicI64,
}

/// The time of day at which every simulation begins, in microseconds.
const EPOCH: u64 = 1_700_000_000_000_000;

impl SimulatedClock {
    /// A clock at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.nanos.fetch_add(by, Ordering::Relaxed);
    }

    /// Sets the time of day forward or back; the monotonic time goes on as before.
    pub fn jump_micros(&self, by: i64) {
        self.0.shift.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for SimulatedClock {
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.nanos.load(Ordering::Relaxed))
    }

    fn wall(&self) -> Timestamp {
        let passed = self.0.nanos.load(Ordering::Relaxed) / 1000;
        let shift = self.0.shift.load(Ordering::Relaxed);
        Timestamp::from_micros(EPOCH.saturating_add(passed).saturating_add_signed(shift))
    }
}
