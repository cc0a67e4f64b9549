//! The time of day that records carry, with clocks that leap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::*;
use wal_core::format::*;
use wal_core::*;

/// Both times in microseconds, and how often the time of day was read.
#[derive(Clone, Default)]
struct Hands {
    monotonic: Arc<AtomicU64>,
    wall: Arc<AtomicU64>,
    readings: Arc<AtomicU64>,
}

impl Hands {
    fn at(wall: u64) -> Self {
        let hands = Hands::default();
        hands.wall.store(wall, Ordering::SeqCst);
        hands
    }
    fn pass(&self, micros: u64) {
        self.monotonic.fetch_add(micros, Ordering::SeqCst);
        self.wall.fetch_add(micros, Ordering::SeqCst);
    }
    fn open(&self, memory: &MemoryStorage) -> Wal {
        let recovered = memory.clone().into_empty_log().unwrap();
        Wal::builder(os()).clock(self.clone()).manual_driver().open(recovered).unwrap()
    }
}

impl Clock for Hands {
    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.monotonic.load(Ordering::SeqCst))
    }
    fn wall(&self) -> Timestamp {
        self.readings.fetch_add(1, Ordering::SeqCst);
        Timestamp::from_micros(self.wall.load(Ordering::SeqCst))
    }
}

fn times(log: &Wal) -> Vec<u64> {
    log.iter(Lsn::ZERO).unwrap().map(|e| e.unwrap().timestamp.as_micros()).collect()
}

#[test]
fn a_clock_that_leaps_further_than_a_frame_can_say_begins_a_new_segment() {
    let clock = Hands::at(1_700_000_000_000_000);
    let memory = MemoryStorage::new();
    let log = clock.open(&memory);
    let mut expected = Vec::new();
    for leap in [0, (1 << 47) - 1, 1, 7] {
        clock.pass(leap);
        expected.push(clock.wall.load(Ordering::SeqCst));
        log.append(b"x").unwrap();
    }
    assert_eq!(times(&log), expected);
    assert_eq!(memory.list().wait().unwrap().segments, [1, 3].map(Lsn::new));
}

#[test]
fn the_time_of_day_is_read_seldom_yet_a_clock_that_was_set_is_followed() {
    let clock = Hands::at(1_000_000);
    let log = clock.open(&MemoryStorage::new());
    for _ in 0..100 {
        log.append(b"x").unwrap();
        clock.pass(100);
    }
    assert_eq!(clock.readings.load(Ordering::SeqCst), 1, "100 records in 10 ms");
    assert_eq!(times(&log), (0..100).map(|i| 1_000_000 + 100 * i).collect::<Vec<_>>());
    clock.wall.store(5_000_000, Ordering::SeqCst);
    clock.pass(10_000);
    log.append(b"after the clock was set, 20 ms after it was read").unwrap();
    assert_eq!(times(&log).last(), Some(&5_010_000));
    // Set back, it is followed as well: the order of records is that of their numbers.
    clock.wall.store(2_000_000, Ordering::SeqCst);
    clock.pass(20_000);
    log.append(b"x").unwrap();
    assert_eq!(times(&log).last(), Some(&2_020_000));
}

fn headers(memory: &MemoryStorage) -> Vec<SegmentHeader> {
    let names = memory.list().wait().unwrap().segments.into_iter();
    let read = |name| {
        let segment = memory.open(name, Access::Read).wait().unwrap();
        let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait().unwrap();
        SegmentHeader::decode(&bytes, name).unwrap()
    };
    names.map(read).collect()
}

/// Opens a log that was closed.
fn reopen(clock: &Hands, memory: &MemoryStorage) -> Wal {
    let headers = headers(memory);
    let lock = memory.lock().wait().unwrap();
    let mut parts = RecoveredParts::new(Arc::new(memory.clone()), lock, headers[0].log_id);
    parts.next_generation = headers.iter().map(|header| header.generation).max().unwrap() + 1;
    for header in headers {
        let segment = memory.open(header.first_lsn, Access::Read).wait().unwrap();
        let len = segment.len().wait().unwrap();
        let summary = read_footer(&*segment, &header, len).unwrap().unwrap().summary;
        let last = header.first_lsn.advance(u64::from(summary.records)).prev();
        parts.segments.push(RecoveredSegment::new(header, summary, last));
    }
    let recovered = Recovered::assert_recovered(parts);
    Wal::builder(os()).clock(clock.clone()).manual_driver().open(recovered).unwrap()
}

const SECOND: u64 = 1_000_000;

#[test]
fn the_log_clock_counts_for_how_long_a_log_has_lived_whatever_is_done_to_the_time_of_day() {
    let clock = Hands::at(1_700_000_000 * SECOND);
    let memory = MemoryStorage::new();
    let log = clock.open(&memory);
    log.append(b"x").unwrap();
    clock.pass(5 * SECOND);
    // While it is open, the time of day does not matter.
    clock.wall.fetch_add(1_000_000 * SECOND, Ordering::SeqCst);
    log.truncate_after(Lsn::ZERO).unwrap();
    assert_eq!(headers(&memory).last().unwrap().log_time, 5 * SECOND);
    log.append(b"y").unwrap();
    clock.pass(SECOND);
    log.close().unwrap();
    drop(log);
    // What passes while it is closed counts; what cannot have passed does not.
    let steps: [(i64, u64); 5] =
        [(60, 66), (0, 66), (-3600, 66), (40 * 86_400, 66), (86_400, 86_466)];
    for (set, log_time) in steps {
        clock.wall.fetch_add((set * SECOND as i64) as u64, Ordering::SeqCst);
        let log = reopen(&clock, &memory);
        log.append(b"x").unwrap();
        assert_eq!(headers(&memory).last().unwrap().log_time, log_time * SECOND, "{set} s");
        log.close().unwrap();
    }
}

#[test]
fn the_observer_is_told_that_the_clock_was_set() {
    const DAY: u64 = 86_400_000_000;
    let clock = Hands::at(1_700_000_000_000_000);
    let memory = MemoryStorage::new();
    let steps = Arc::new(std::sync::Mutex::new(Vec::new()));
    let open = |recovered| {
        let steps = steps.clone();
        Wal::builder(os())
            .clock(clock.clone())
            .manual_driver()
            .on_event(move |event| {
                if let Event::ClockSet { by_micros, .. } = event {
                    steps.lock().unwrap().push(*by_micros);
                }
            })
            .open(recovered)
            .unwrap()
    };
    let told = || std::mem::take(&mut *steps.lock().unwrap());
    let log = open(memory.clone().into_empty_log().unwrap());
    let append = || {
        log.append(b"record").unwrap();
        clock.pass(30_000);
    };
    append();
    // What passes anyway is no step, nor is a little.
    clock.pass(DAY);
    append();
    clock.wall.fetch_add(9_000_000, Ordering::SeqCst);
    append();
    assert_eq!(told(), [0; 0]);
    clock.wall.fetch_add(3650 * DAY, Ordering::SeqCst);
    append();
    assert_eq!(told(), [3650 * DAY as i64]);
    clock.wall.fetch_sub(3650 * DAY, Ordering::SeqCst);
    append();
    append();
    assert_eq!(told(), [-3650 * DAY as i64]);
}
