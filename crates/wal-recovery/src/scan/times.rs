//! What the times of a log tell of the clock: that it was set, or that it is behind them now.
//!
//! Records carry the time of day as the clock said it. The [log clock](wal_core::format::log_clock) beside it goes on
//! whatever the time of day does. Each header and each footer has both. So where the time of day went on by more than the log
//! clock, or by less, it was set in between. (Or the machine slept: the log clock does not count that.)

use std::time::Duration;

use wal_core::{Access, LogStorage, Result, Timestamp};

use crate::report::{Finding, FindingKind};
use crate::scan::found::{Live, Scan};
use crate::segment::frames::{Frames, Next};
use crate::segment::outcome::time;
use crate::watch::Watch;

/// The two clocks are read one after the other, and the time of day not at every append.
const TOLERANCE: Duration = Duration::from_secs(10);

/// What is to be said of the times.
///
/// # Errors
/// Those of the storage.
pub(super) fn findings(
    scan: &Scan,
    storage: &dyn LogStorage,
    watch: &Watch,
) -> Result<Vec<Finding>> {
    Ok(ahead(scan, storage, watch)?.into_iter().chain(was_set(scan)).collect())
}

/// Whether a record of this time was appended while the clock was ahead of what it says now.
pub(crate) fn is_ahead(time: Timestamp, now: Timestamp) -> bool {
    time.micros_since(now) > TOLERANCE.as_micros() as i64
}

/// The first segment with records whose times lie ahead of the clock, and how far they do at most.
fn ahead(scan: &Scan, storage: &dyn LogStorage, watch: &Watch) -> Result<Option<Finding>> {
    let now = watch.wall();
    let mut all: Option<(_, Timestamp)> = None;
    for live in scan.live().filter(|live| live.walk.summary.records > 0) {
        let mut latest = Some(time(live.header, live.walk.summary.max_time));
        // A record that was truncated says nothing any more.
        let is_whole = live.limit.is_none() && live.header.first_lsn >= scan.log_start;
        if latest.is_some_and(|latest| is_ahead(latest, now)) && !is_whole {
            latest = latest_valid(scan, &live, storage, watch)
                .map_err(|e| e.with_segment(live.header.first_lsn))?;
        }
        if let Some(latest) = latest.filter(|&latest| is_ahead(latest, now)) {
            let (name, most) = all.unwrap_or((live.header.first_lsn, latest));
            all = Some((name, most.max(latest)));
        }
    }
    let Some((name, latest)) = all else { return Ok(None) };
    Ok(Some(Finding {
        kind: FindingKind::Ahead,
        segment: name,
        lsn: name.max(scan.log_start),
        reason: format!(
            "some records of segment {name} or behind it have times up to {} ahead of the clock: it was ahead when they were \
             appended, or it is behind now",
            in_words(latest.micros_since(now))
        ),
    }))
}

/// The latest time of a record that was not truncated, of a segment that was in part. A place that cannot be read ends
/// the search: it is damage, which is told anyway.
fn latest_valid(
    scan: &Scan,
    live: &Live<'_>,
    storage: &dyn LogStorage,
    watch: &Watch,
) -> Result<Option<Timestamp>> {
    let (header, summary) = (live.header, &live.walk.summary);
    let segment = storage.open(header.first_lsn, Access::Read).wait()?;
    let range = u64::from(header.data_offset)..summary.data_end;
    let mut frames = Frames::within(&segment, header, range, 0, watch);
    let mut latest = None;
    while let Next::Frame { frame, records } = frames.next()? {
        watch.check()?;
        let first = frame.header.lsn(header.first_lsn);
        let last = first.advance(u64::from(records)).prev();
        if records > 0 && last >= scan.log_start && first <= live.last_lsn() {
            latest = latest.max(Some(time(header, frame.header.time_delta)));
        }
    }
    Ok(latest)
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
