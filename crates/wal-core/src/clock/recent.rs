//! The system's monotonic clock, not read again within a microsecond. The only `unsafe` code of this crate.

use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::time::{Duration, Instant};

/// Cycles of the time stamp counter: about a microsecond on a processor whose counter runs at 2 GHz.
const FEW: u64 = 2048;

/// What all times are counted from.
static BASE: LazyLock<Instant> = LazyLock::new(read);

/// The last reading, of whichever thread.
static LAST: Last = Last { cycles: AtomicU64::new(0), nanos: AtomicU64::new(0) };

/// In a cache line of its own: all threads look at it.
#[repr(align(128))]
struct Last {
    /// When it was made. Written after the time, so that the time is never older.
    cycles: AtomicU64,
    /// The time. It only grows, so that nobody is told an earlier one than somebody before.
    nanos: AtomicU64,
}

/// The time since some moment of this process, at most some [`FEW`] cycles old.
///
/// The counter decides only whether the last reading is still good, so it need not be calibrated, and what
/// it counts while the machine sleeps does not matter: a counter that jumps has the clock read again.
pub(super) fn now() -> Duration {
    let Some(cycles) = cycles() else { return read().saturating_duration_since(*BASE) };
    if cycles.wrapping_sub(LAST.cycles.load(Acquire)) < FEW {
        return Duration::from_nanos(LAST.nanos.load(Acquire));
    }
    let base = *BASE;
    let nanos = read().saturating_duration_since(base).as_nanos();
    let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
    let before = LAST.nanos.fetch_max(nanos, AcqRel);
    LAST.cycles.store(cycles, Release);
    Duration::from_nanos(before.max(nanos))
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn read() -> Instant {
    Instant::now()
}

#[cfg(target_arch = "x86_64")]
fn cycles() -> Option<u64> {
    // SAFETY: every x86-64 processor has the counter. A process may be forbidden to read it, but then the
    // system's clock, which reads it as well, kills it anyway.
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
    use std::sync::Mutex;
    use std::thread;

    use super::*;

    #[test]
    fn nobody_is_told_an_earlier_time_than_somebody_before() {
        let last = Mutex::new(Duration::ZERO);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100_000 {
                        let mut last = last.lock().unwrap();
                        let time = now();
                        assert!(time >= *last, "{time:?} after {last:?}");
                        *last = time;
                    }
                });
            }
        });
    }

    #[test]
    fn it_is_no_more_than_microseconds_late() {
        now();
        let late = (0..100_000).map(|_| {
            let before = read().saturating_duration_since(*BASE);
            before.saturating_sub(now())
        });
        assert!(late.max() < Some(Duration::from_micros(20)));
    }

    #[test]
    fn time_that_passed_is_seen() {
        let before = now();
        thread::sleep(Duration::from_millis(3));
        assert!(now() - before >= Duration::from_millis(3));
    }
}
