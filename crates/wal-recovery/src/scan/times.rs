//! What the times of a log tell of the clock: that it was set, or that it is behind them now.
//!
//! Records carry the time of day as the clock said it. The [log clock](wal_core::format::log_clock) beside it goes on
//! whatever the time of day does. Each header and each footer has both. So where the time of day went on by more than the log
//! clock, or by less, it was set in between. (Or the machine slept: the log clock does not count that.)

use std::time::Duration;

use wal_core::Timestamp;

use crate::report::{Finding, FindingKind};
use crate::scan::found::{Live, Scan};
use crate::segment::outcome::time;

/// The two clocks are read one after the other, and the time of day not at every append.
const TOLERANCE: Duration = Duration::from_secs(10);

/// What is to be said of the times.
pub(super) fn findings(scan: &Scan, now: Timestamp) -> Vec<Finding> {
    ahead(scan, now).into_iter().chain(was_set(scan)).collect()
}

/// The first segment with records whose times lie ahead of the clock, and how far they do at most.
fn ahead(scan: &Scan, now: Timestamp) -> Option<Finding> {
    let latest = |live: &Live<'_>| {
        let latest = time(live.header, live.walk.summary.max_time);
        (live.walk.summary.records > 0).then(|| latest.micros_since(now))
    };
    let mut ahead = scan.live().filter_map(|live| {
        let by = latest(&live).filter(|&by| by > TOLERANCE.as_micros() as i64)?;
        Some((live.header.first_lsn, by))
    });
    let (name, first) = ahead.next()?;
    let by = ahead.map(|(_, by)| by).fold(first, i64::max);
    Some(Finding {
        kind: FindingKind::Ahead,
        segment: name,
        lsn: name.max(scan.log_start),
        reason: format!(
            "some records of segment {name} or behind it have times up to {} ahead of the clock: it was ahead when they were \
             appended, or it is behind now",
            in_words(by)
        ),
    })
}

/// How often the time of day was set while the log was written, and the largest step.
fn was_set(scan: &Scan) -> Option<Finding> {
    let mut steps = Vec::new();
    let mut before: Option<(u64, Timestamp)> = None;
    for live in scan.live() {
        let begun = (live.header.log_time, live.header.created);
        let ended = live.walk.log_time(live.header);
        let name = live.header.first_lsn;
        steps.extend(before.map(|before| (step(before, begun), name)));
        steps.push((step(begun, ended), name));
        before = Some(ended);
    }
    steps.retain(|(step, _)| step.unsigned_abs() > TOLERANCE.as_micros() as u64);
    let &(largest, name) = steps.iter().max_by_key(|(step, _)| step.unsigned_abs())?;
    Some(Finding {
        kind: FindingKind::ClockSet,
        segment: name,
        lsn: name,
        reason: format!(
            "{} of the time of day, the largest {} by {}, in segment {name} or right before it; the order of records is \
             that of their LSNs",
            if steps.len() == 1 { "a step".to_owned() } else { format!("{} steps", steps.len()) },
            if largest < 0 { "backwards" } else { "forwards (or the machine slept)" },
            in_words(largest)
        ),
    })
}

/// By how many microseconds the time of day went on more than the log clock did.
fn step(from: (u64, Timestamp), to: (u64, Timestamp)) -> i64 {
    let lived = i128::from(to.0) - i128::from(from.0);
    let passed = i128::from(to.1.micros_since(from.1));
    (passed - lived).clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// So many microseconds, in the largest unit that fits.
fn in_words(micros: i64) -> String {
    let seconds = micros.unsigned_abs() / 1_000_000;
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds")];
    let (unit, name) =
        units.into_iter().find(|(unit, _)| seconds >= 2 * unit).unwrap_or((1, "seconds"));
    format!("{} {name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_what_the_log_clock_did_not_see() {
        let at = Timestamp::from_micros;
        assert_eq!(step((5, at(1_000)), (25, at(1_020))), 0);
        assert_eq!(step((5, at(1_000)), (25, at(1_500))), 480);
        assert_eq!(step((5, at(1_000)), (25, at(900))), -120);
        assert_eq!(step((0, at(0)), (u64::MAX, at(0))), i64::MIN);
    }

    #[test]
    fn durations_are_told_in_the_largest_unit() {
        let days = |n: i64| n * 86_400_000_000;
        assert_eq!(in_words(days(3650)), "3650 days");
        assert_eq!(in_words(-days(1)), "24 hours");
        assert_eq!(in_words(11_000_000), "11 seconds");
        assert_eq!(in_words(0), "0 seconds");
    }
}
