//! What the times of a log tell of the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use wal_core::*;
use wal_recovery::{FindingKind, Inspect, Recovery, Report, Until, Verdict};

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
