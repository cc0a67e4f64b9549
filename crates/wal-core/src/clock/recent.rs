//! The system's monotonic clock, not read again within a microsecond. The only `unsafe` code of this crate.

use std::cell::Cell;
use std::time::Instant;

/// Cycles of the time stamp counter: less than a microsecond on every processor whose counter runs at more
/// than 2 GHz, two on one of half of that.
const FEW: u64 = 2048;

/// The time, at most some [`FEW`] cycles ago.
///
/// The counter decides only whether the last reading is still good, so it need not be calibrated, and what
/// it counts while the machine sleeps does not matter: a counter that jumps has the clock read again.
pub(super) fn now() -> Instant {
    std::thread_local! {
        static LAST: Cell<Option<(u64, Instant)>> = const { Cell::new(None) };
    }
    let Some(cycles) = cycles() else { return read() };
    match LAST.get() {
        Some((at, time)) if cycles.wrapping_sub(at) < FEW => time,
        _ => {
            let time = read();
            LAST.set(Some((cycles, time)));
            time
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn read() -> Instant {
    Instant::now()
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn cycles() -> Option<u64> {
    // SAFETY: every x86-64 processor has the counter. A process may be forbidden to read it, but then the
    // system's clock, which reads it as well, kills it anyway.
    #[expect(unsafe_code, reason = "an intrinsic")]
    let cycles = unsafe { std::arch::x86_64::_rdtsc() };
    Some(cycles)
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn cycles() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn never_goes_back_and_is_no_more_than_microseconds_late() {
        let mut last = now();
        for _ in 0..200_000 {
            let (before, time) = (read(), now());
            assert!(time >= last);
            assert!(before.saturating_duration_since(time) < Duration::from_micros(20));
            last = time;
        }
    }

    #[test]
    fn time_that_passed_is_seen() {
        let before = now();
        std::thread::sleep(Duration::from_millis(3));
        assert!(now() - before >= Duration::from_millis(3));
    }
}
