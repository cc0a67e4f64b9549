//! A clock that is not read again within a microsecond. The only `unsafe` code of this crate.

use std::time::Duration;

/// Cycles of the time stamp counter: about a microsecond on a processor whose counter runs at 2 GHz.
const FEW: u64 = 2048;

/// The last time that somebody was told, for [`Clock::monotonic_since`](super::Clock::monotonic_since).
#[derive(Clone, Copy, Debug, Default)]
pub struct Recent {
    cycles: u64,
    time: Duration,
}

impl Recent {
    /// The time that was told last, if hardly any has passed since; otherwise what `read` says.
    ///
    /// The processor's counter decides only whether the last reading is still good, so it need not be
    /// calibrated, and what it counts while the machine sleeps does not matter: a counter that jumps, or
    /// one of another processor that is not in step, has the clock read again.
    pub(super) fn or(&mut self, read: impl FnOnce() -> Duration) -> Duration {
        let Some(cycles) = cycles() else { return read() };
        if cycles.wrapping_sub(self.cycles) >= FEW {
            *self = Recent { cycles, time: read().max(self.time) };
        }
        self.time
    }
}

#[cfg(target_arch = "x86_64")]
fn cycles() -> Option<u64> {
    // SAFETY: every x86-64 processor has the counter, and reading it touches no memory. A process may have
    // itself forbidden to do that (`PR_SET_TSC`); it is then killed, as it asked for.
    #[expect(unsafe_code, reason = "an intrinsic")]
    let cycles = unsafe { std::arch::x86_64::_rdtsc() };
    Some(cycles)
}

#[cfg(not(target_arch = "x86_64"))]
fn cycles() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::{Clock, SystemClock};
    use super::*;

    #[test]
    fn it_does_not_go_back_and_is_no_more_than_microseconds_late() {
        let (clock, mut recent) = (SystemClock::new(), Recent::default());
        let mut last = Duration::ZERO;
        let mut late = Duration::ZERO;
        for _ in 0..100_000 {
            let before = clock.monotonic();
            let time = clock.monotonic_since(&mut recent);
            assert!(time >= last, "{time:?} after {last:?}");
            late = late.max(before.saturating_sub(time));
            last = time;
        }
        assert!(late < Duration::from_micros(20), "{late:?}");
    }

    #[test]
    fn time_that_passed_is_seen() {
        let (clock, mut recent) = (SystemClock::new(), Recent::default());
        let before = clock.monotonic_since(&mut recent);
        thread::sleep(Duration::from_millis(3));
        assert!(clock.monotonic_since(&mut recent) - before >= Duration::from_millis(3));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_clock_is_not_read_each_time() {
        let mut recent = Recent::default();
        let mut readings = 0_u32;
        for _ in 0..10_000 {
            recent.or(|| {
                readings += 1;
                Duration::ZERO
            });
        }
        assert!((1..5000).contains(&readings), "{readings} readings");
    }

    #[test]
    fn the_clock_is_read_again_when_the_counter_has_moved() {
        let mut recent = Recent::default();
        let mut readings = 0_u32;
        let mut read = || {
            readings += 1;
            Duration::from_secs(1)
        };
        recent.or(&mut read);
        thread::sleep(Duration::from_millis(1));
        recent.or(&mut read);
        assert_eq!(readings, 2);
    }
}
