//! The log clock, from one opening to the next.

use std::time::Duration;

use crate::Timestamp;

/// What the log clock says at the time of day `now`, in microseconds, if it said `known.0` at the time of day
/// `known.1` and nobody looked at it since.
///
/// It goes on by the time that has passed, if that is between zero and `tolerance`. Otherwise the time of day was set
/// meanwhile, and the log clock goes on as if none had passed.
#[must_use]
pub fn log_clock(known: (u64, Timestamp), now: Timestamp, tolerance: Duration) -> u64 {
    let (log_time, then) = known;
    let passed = u64::try_from(now.micros_since(then)).ok();
    let passed = passed.filter(|passed| u128::from(*passed) <= tolerance.as_micros());
    log_time.saturating_add(passed.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_that_is_plausible() {
        let at = Timestamp::from_micros;
        let tolerance = Duration::from_micros(100);
        let say = |now| log_clock((7, at(1000)), at(now), tolerance);
        assert_eq!([1000, 1001, 1100, 1101, 999, 0].map(say), [7, 8, 107, 7, 7, 7]);
        assert_eq!(log_clock((u64::MAX, at(0)), at(50), tolerance), u64::MAX);
        assert_eq!(log_clock((7, at(0)), Timestamp::MAX, Duration::MAX), 7 + i64::MAX as u64);
    }
}
