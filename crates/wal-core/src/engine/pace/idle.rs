//! Idle spin: the driver stays awake for a moment after a commit.
//!
//! The callers that a commit woke come back soon. To fall asleep and be woken again takes a good part of the
//! time of a sync. The driver is called by a word of its own meanwhile, and lets the short lock be: threads that
//! append need that.

use std::time::Duration;

use super::Pace;
use crate::Clock;

/// Whether a caller was woken since the driver spun last.
#[derive(Default)]
pub(crate) struct IdleSpin(bool);

impl IdleSpin {
    /// A commit, or a write for which tasks waited, woke somebody or not.
    pub(crate) fn woke(&mut self, somebody: bool) {
        self.0 |= somebody;
    }

    /// Whether somebody may come back soon. Asked once for each wake-up.
    pub(crate) fn expects_somebody(&mut self, pace: &Pace) -> bool {
        std::mem::take(&mut self.0) && !pace.idle_spin.is_zero()
    }

    /// Stays awake until `called`, for a part of what a sync takes at most.
    pub(crate) fn spin(
        pace: &Pace,
        clock: &dyn Clock,
        sync_cost: Duration,
        called: impl Fn() -> bool,
    ) {
        let started = clock.monotonic();
        let longest = (sync_cost / pace.idle_sync_part.max(1)).min(pace.idle_spin);
        while !called() && clock.monotonic().saturating_sub(started) < longest {
            std::thread::yield_now();
        }
    }
}

#[cfg(all(test, not(any(wal_loom, wal_shuttle))))]
mod tests {
    use super::super::ticking::Ticking;
    use super::*;

    #[test]
    fn the_driver_stays_awake_for_a_part_of_a_sync() {
        let spun = |pace: &Pace| {
            let clock = Ticking::default();
            IdleSpin::spin(pace, &clock, Duration::from_millis(1), || false);
            clock.passed().as_micros()
        };
        let mut pace = Pace::default();
        assert_eq!(spun(&pace), 1000 / 2);
        pace.idle_sync_part = 10;
        assert_eq!(spun(&pace), 100);
        pace.idle_spin = Duration::from_micros(50);
        assert_eq!(spun(&pace), 50);
    }

    #[test]
    fn a_driver_that_is_called_stays_awake_no_longer() {
        let clock = Ticking::default();
        let called = || clock.passed() >= Duration::from_micros(30);
        IdleSpin::spin(&Pace::default(), &clock, Duration::from_millis(1), called);
        assert_eq!(clock.passed(), Duration::from_micros(30));
    }

    #[test]
    fn somebody_is_expected_once_after_a_commit_that_woke_somebody() {
        let (pace, mut idle) = (Pace::default(), IdleSpin::default());
        assert!(!idle.expects_somebody(&pace), "nobody was woken");
        idle.woke(false);
        assert!(!idle.expects_somebody(&pace), "nobody was woken");
        idle.woke(true);
        idle.woke(false);
        assert!(idle.expects_somebody(&pace) && !idle.expects_somebody(&pace));
        idle.woke(true);
        assert!(!idle.expects_somebody(&Pace::OFF), "switched off");
    }
}
