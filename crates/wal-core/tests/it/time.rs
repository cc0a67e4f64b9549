//! The time of day that records carry, with clocks that leap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::*;
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
    for leap in [0, (1 << 48) - 1, 1, 7] {
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
    // Set back, it stands still: the times of a log never decrease.
    clock.wall.store(2_000_000, Ordering::SeqCst);
    clock.pass(20_000);
    log.append(b"x").unwrap();
    assert_eq!(times(&log).last(), Some(&5_010_000));
}
