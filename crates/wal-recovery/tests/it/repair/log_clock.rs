//! The log clock goes on over a recovery, whatever the recovery writes.

use crate::support::*;
use wal_core::format::{Ending, Footer, SEGMENT_HEADER_LEN, SegmentHeader, read_footer};
use wal_core::*;
use wal_recovery::{Recovery, Until};

const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400 * SECOND;

fn open_at(storage: impl LogStorage, clock: &Hands) -> Wal {
    let (recovered, _) = Recovery::new(storage).clock(clock.clone()).threads(1).run().unwrap();
    Wal::builder(lazy()).clock(clock.clone()).manual_driver().open(recovered).unwrap()
}

fn ends_of(memory: &MemoryStorage, name: u64) -> (SegmentHeader, Footer) {
    let segment = memory.open(Lsn::new(name), Access::Read).wait().unwrap();
    let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait().unwrap();
    let header = SegmentHeader::decode(&bytes, Lsn::new(name)).unwrap();
    let len = segment.len().wait().unwrap();
    let footer = read_footer(&*segment, &header, len).unwrap().unwrap();
    (header, footer)
}

/// Ten seconds, two records, forty days without one, closed.
fn closed(clock: &Hands) -> MemoryStorage {
    let memory = MemoryStorage::new();
    let log = open_at(memory.clone(), clock);
    log.append(b"one").unwrap();
    clock.pass(10 * SECOND);
    log.append(b"two").unwrap();
    clock.pass(40 * DAY);
    log.close().unwrap();
    memory
}

#[test]
fn a_segment_that_is_copied_keeps_what_its_footer_said() {
    let clock = Hands::new();
    let memory = closed(&clock);
    let (_, before) = ends_of(&memory, 1);
    assert_eq!((before.ending, before.log_time), (Ending::Closed, 40 * DAY + 10 * SECOND));
    clock.pass(DAY);
    // The storage wants the footer in a block of its own.
    let log = open_at(padding(memory.clone()), &clock);
    let (_, after) = ends_of(&memory, 1);
    assert!(after.summary.data_end.is_multiple_of(512) && after.summary != before.summary);
    assert_eq!(
        (after.ending, after.log_time, after.time),
        (before.ending, before.log_time, before.time)
    );
    log.append(b"three").unwrap();
    assert_eq!(header_of(&image_of(&memory)[&3], 3).log_time, 41 * DAY + 10 * SECOND);
}

#[test]
fn a_new_end_takes_the_time_that_has_passed() {
    let clock = Hands::new();
    let memory = closed(&clock);
    clock.pass(5 * DAY);
    let recovery = Recovery::new(memory.clone()).clock(clock.clone()).threads(1);
    drop(recovery.until(Until::Lsn(Lsn::FIRST)).run().unwrap());
    let (header, footer) = ends_of(&memory, 3);
    assert_eq!((header.log_time, header.created), (45 * DAY + 10 * SECOND, clock.wall()));
    assert_eq!((footer.ending, footer.log_time), (Ending::Recovered, header.log_time));
    clock.pass(DAY);
    open_at(memory.clone(), &clock).append(b"next").unwrap();
    assert_eq!(header_of(&image_of(&memory)[&3], 3).log_time, 46 * DAY + 10 * SECOND);
}

#[test]
fn a_log_that_was_not_closed_ends_for_its_clock_with_its_last_record() {
    let clock = Hands::new();
    let memory = MemoryStorage::new();
    let log = open_at(memory.clone(), &clock);
    log.append(b"one").unwrap();
    clock.pass(10 * SECOND);
    log.append(b"two").unwrap();
    log.sync().unwrap();
    log.append(b"three").unwrap();
    drop(log);
    clock.pass(DAY);
    open_at(memory.clone(), &clock).append(b"four").unwrap();
    let (_, footer) = ends_of(&memory, 1);
    assert_eq!((footer.ending, footer.log_time), (Ending::Recovered, 10 * SECOND));
    assert_eq!(header_of(&image_of(&memory)[&4], 4).log_time, DAY + 10 * SECOND);
}
