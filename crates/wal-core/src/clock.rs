//! The only place where time enters the log.

mod recent;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use recent::Recent;

use crate::Timestamp;

/// Where the log takes its time from; a simulated clock in tests.
pub trait Clock: Send + Sync + 'static {
    /// Time since some fixed moment; never goes back. Ages and deadlines are measured by it.
    fn monotonic(&self) -> Duration;

    /// The same for a caller that asks again and again, and keeps `recent` for that: it may be the time that
    /// was told last, if that was about a microsecond ago. Never goes back for the same `recent`.
    #[doc(hidden)]
    fn monotonic_since(&self, recent: &mut Recent) -> Duration {
        let _ = recent;
        self.monotonic()
    }

    /// The time of day. May jump in either direction; records carry it as it was read.
    fn wall(&self) -> Timestamp;
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn monotonic_since(&self, recent: &mut Recent) -> Duration {
        (**self).monotonic_since(recent)
    }

    fn wall(&self) -> Timestamp {
        (**self).wall()
    }
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// Starts counting now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn new() -> Self {
        SystemClock { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    /// On x86-64 it counts the processor's cycles, which costs a third of reading the clock; and that is a
    /// quarter of what a buffered append costs.
    fn monotonic_since(&self, recent: &mut Recent) -> Duration {
        recent.or(|| self.monotonic())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn wall(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
    }
}
