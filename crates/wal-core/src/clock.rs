//! The only place where time enters the log.

mod recent;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Timestamp;

/// Where the log takes its time from; a simulated clock in tests.
pub trait Clock: Send + Sync + 'static {
    /// Time since some fixed moment; never goes back. Ages and deadlines are measured by it.
    fn monotonic(&self) -> Duration;

    /// The time of day. May jump in either direction; records still carry ascending timestamps.
    fn wall(&self) -> Timestamp;
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn wall(&self) -> Timestamp {
        (**self).wall()
    }
}

/// The operating system's clocks.
///
/// On x86-64 who asks within a microsecond after somebody else may be told the same time: to count the
/// processor's cycles costs a third of reading the clock, and that is a quarter of what an append costs.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Duration,
}

impl SystemClock {
    /// Starts counting now.
    #[must_use]
    pub fn new() -> Self {
        SystemClock { origin: recent::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        recent::now().saturating_sub(self.origin)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn wall(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
    }
}
