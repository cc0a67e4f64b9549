//! What the times of a log tell of the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use wal_core::*;
use wal_recovery::{Applied, FindingKind, Inspect, Recovery, Report, Until, Verdict, View};

const SECOND: i64 = 1_000_000;
const YEARS: i64 = 10 * 365 * 86_400 * SECOND;
const NOW: i64 = 1_700_000_000 * SECOND;

/// A clock that is ahead by so many microseconds.
#[derive(Clone, Default)]
struct Ahead {
    by: Arc<AtomicI64>,
    passed: Arc<AtomicI64>,
}

impl Ahead {
    fn set(&self, by: i64) {
        self.by.store(by, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.passed.fetch_add(SECOND, Ordering::SeqCst) as u64)
    }
    fn wall(&self) -> Timestamp {
        let now = NOW + self.passed.load(Ordering::SeqCst) + self.by.load(Ordering::SeqCst);
        Timestamp::from_micros(now as u64)
    }
}

fn append(memory: &MemoryStorage, clock: &Ahead, record: &str) {
    let recovery = Recovery::new(memory.clone()).clock(clock.clone());
    let (recovered, _) = recovery.run().unwrap();
    let log = Wal::builder(Always).clock(clock.clone()).manual_driver().open(recovered).unwrap();
    log.append(record.as_bytes()).unwrap();
    log.close().unwrap();
}

/// The clock was ten years ahead at the first opening.
fn begun_ahead(clock: &Ahead) -> MemoryStorage {
    let memory = MemoryStorage::new();
    clock.set(YEARS);
    append(&memory, clock, "early");
    clock.set(0);
    append(&memory, clock, "one");
    append(&memory, clock, "two");
    memory
}

fn inspect(memory: &MemoryStorage, clock: &Ahead) -> Report {
    Inspect::new(memory.clone()).clock(clock.clone()).run().unwrap()
}

fn kinds(report: &Report) -> Vec<FindingKind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn a_clock_that_was_right_leaves_nothing_to_say() {
    let (memory, clock) = (MemoryStorage::new(), Ahead::default());
    for record in ["one", "two", "three"] {
        append(&memory, &clock, record);
    }
    assert_eq!(kinds(&inspect(&memory, &clock)), []);
}

#[test]
fn times_ahead_of_the_clock_are_told_and_so_is_that_it_was_set() {
    let clock = Ahead::default();
    let report = inspect(&begun_ahead(&clock), &clock);
    assert_eq!(kinds(&report), [FindingKind::Ahead, FindingKind::ClockSet], "{report}");
    assert_eq!(report.findings[0].lsn, Lsn::FIRST);
    let text = report.to_string();
    assert!(text.contains("times are ahead of the clock") && text.contains("days ahead"), "{text}");
    assert!(
        text.contains("backwards by 3649 days") || text.contains("backwards by 3650 days"),
        "{text}"
    );
    assert_eq!(report.verdict(), Verdict::Clean, "nothing is damaged, and nothing is missing");
}

#[test]
fn nothing_is_cut_by_a_time_that_says_nothing() {
    let clock = Ahead::default();
    let memory = begun_ahead(&clock);
    let until = |time| Recovery::new(memory.clone()).clock(clock.clone()).until(Until::Time(time));
    let now = clock.wall();
    let error = until(now).run().unwrap_err();
    assert_eq!((error.kind(), error.segment()), (ErrorKind::Invalid, Some(Lsn::FIRST)), "{error}");
    assert!(error.to_string().contains("ahead of the clock"), "{error}");
    assert_eq!(inspect(&memory, &clock).records, 3, "nothing was changed");
    // What it means is defined all the same: in front of the first record that is later.
    let (recovered, report) = until(now).allow_times_ahead(true).run().unwrap();
    assert_eq!((report.records, recovered.next_lsn()), (0, Lsn::new(4)));
}

/// A day is not long enough to begin a segment of its own.
const DAY: i64 = 86_400 * SECOND;

/// Four records in one segment, of which these were appended while the clock was a day ahead.
fn ahead_for(clock: &Ahead, those: std::ops::Range<u64>) -> MemoryStorage {
    let memory = MemoryStorage::new();
    let (recovered, _) = Recovery::new(memory.clone()).clock(clock.clone()).run().unwrap();
    let log = Wal::builder(Always).clock(clock.clone()).manual_driver().open(recovered).unwrap();
    for n in 1..=4 {
        clock.set(if those.contains(&n) { DAY } else { 0 });
        log.append(&n.to_le_bytes()).unwrap();
    }
    clock.set(0);
    log.close().unwrap();
    let report = inspect(&memory, clock);
    assert_eq!(report.segments.len(), 1, "{report}");
    assert!(kinds(&report).contains(&FindingKind::Ahead), "{report}");
    memory
}

#[test]
fn times_of_records_that_were_truncated_say_nothing() {
    let clock = Ahead::default();
    let until = |memory: &MemoryStorage, until| {
        Recovery::new(memory.clone()).clock(clock.clone()).until(until).run()
    };
    // At the front: truncated, as an owner of the log does it.
    let front = ahead_for(&clock, 1..3);
    until(&front, Until::Time(clock.wall())).unwrap_err();
    let (recovered, _) = Recovery::new(front.clone()).clock(clock.clone()).run().unwrap();
    let log = Wal::builder(Always).clock(clock.clone()).manual_driver().open(recovered).unwrap();
    assert_eq!(log.truncate_before(Lsn::new(2)).unwrap(), Lsn::new(2));
    assert!(kinds(&inspect(&front, &clock)).contains(&FindingKind::Ahead), "one is left");
    assert_eq!(log.truncate_before(Lsn::new(3)).unwrap(), Lsn::new(3));
    log.close().unwrap();
    assert!(!kinds(&inspect(&front, &clock)).contains(&FindingKind::Ahead));
    let (_, report) = until(&front, Until::Time(clock.wall())).unwrap();
    assert_eq!((report.first_lsn, report.last_lsn), (Lsn::new(3), Lsn::new(4)), "{report}");
    // At the end: the log is ended in front of them, by an LSN.
    let end = ahead_for(&clock, 3..5);
    until(&end, Until::Lsn(Lsn::new(3))).unwrap();
    assert!(kinds(&inspect(&end, &clock)).contains(&FindingKind::Ahead), "one is left");
    until(&end, Until::Lsn(Lsn::new(2))).unwrap();
    assert!(!kinds(&inspect(&end, &clock)).contains(&FindingKind::Ahead));
    let (_, report) = until(&end, Until::Time(clock.wall())).unwrap();
    assert_eq!((report.records, report.last_lsn), (2, Lsn::new(2)), "{report}");
}

#[test]
fn a_replay_does_not_end_early_at_a_time_that_says_nothing() {
    let clock = Ahead::default();
    let replay = |memory: &MemoryStorage, until, allow| {
        let view = View::open(memory.clone()).unwrap().clock(clock.clone());
        let view = view.allow_times_ahead(allow);
        view.replay(Lsn::ZERO, until, |_| Ok(Applied::Applied))
    };
    let memory = ahead_for(&clock, 2..3);
    let now = clock.wall();
    let error = replay(&memory, Until::Time(now), false).unwrap_err();
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Invalid, Some(Lsn::new(2))), "{error}");
    assert!(error.to_string().contains("ahead of the clock"), "{error}");
    assert_eq!(replay(&memory, Until::Time(now), true).unwrap().total, 1);
    assert_eq!(replay(&memory, Until::Lsn(Lsn::new(3)), false).unwrap().total, 3);
    // In front of it a time means what it says.
    let first = View::open(memory.clone()).unwrap().records(Lsn::ZERO).next().unwrap().unwrap();
    assert_eq!(replay(&memory, Until::Time(Timestamp::EPOCH), false).unwrap().total, 0);
    // Once the clock has come so far, the record is one like any other.
    clock.set(2 * DAY);
    assert_eq!(replay(&memory, Until::Time(first.timestamp), false).unwrap().total, 1);
    assert_eq!(replay(&memory, Until::Time(clock.wall()), false).unwrap().total, 4);
}
