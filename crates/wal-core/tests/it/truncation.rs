//! What a truncation takes, in which calls, and beside what.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::support::*;
use wal_core::format::{SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::*;

/// A log of twelve records, three in each segment: 1, 4, 7 and 10 begin one.
fn twelve(probe: &Probe) -> Wal {
    let log = probe.open(always(), Settings::default().segment_size(4096));
    for _ in 0..12 {
        log.append(&[1; 1000]).unwrap();
    }
    assert_eq!(names(probe), [1, 4, 7, 10]);
    log
}

fn names(probe: &Probe) -> Vec<u64> {
    probe.memory.list().wait().unwrap().segments.into_iter().map(Lsn::get).collect()
}

fn removed(probe: &Probe) -> Vec<Vec<u64>> {
    std::mem::take(&mut *probe.control.removed.lock().unwrap())
}

/// Lets removals go on also if a test fails while they stall: nobody is to wait for them for ever.
struct LetsGo<'a>(&'a Probe);

impl Drop for LetsGo<'_> {
    fn drop(&mut self) {
        self.0.control.removing.open();
    }
}

/// Where the newest header says that the log starts.
fn start_on_record(probe: &Probe) -> Lsn {
    let newest = Lsn::new(*names(probe).last().unwrap());
    let segment = probe.memory.open(newest, Access::Read).wait().unwrap();
    let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait().unwrap();
    SegmentHeader::decode(&bytes, newest).unwrap().log_start
}

#[test]
fn appends_go_on_while_segments_are_removed() {
    let probe = Probe::default();
    let log = twelve(&probe);
    probe.control.removing.shut();
    thread::scope(|scope| {
        let _lets_go = LetsGo(&probe);
        let truncating = scope.spawn(|| log.truncate_before(Lsn::new(8)));
        probe.control.removing.wait_for_stalled();
        // Also through changes of the segment.
        for i in 13..=20 {
            assert_eq!(log.append(&[2; 1000]).unwrap(), Lsn::new(i));
            assert_eq!(log.durable_lsn(), Lsn::new(i));
        }
        assert_eq!(log.read(Lsn::new(8)).unwrap().record, vec![1; 1000]);
        assert_eq!(log.read(Lsn::new(3)).unwrap_err().kind(), ErrorKind::NotInLog);
        assert!(!truncating.is_finished());
        probe.control.removing.open();
        assert_eq!(truncating.join().unwrap().unwrap(), Lsn::new(8));
    });
    assert_eq!(removed(&probe), [[1, 4]]);
    assert_eq!(start_on_record(&probe), Lsn::new(8));
}

#[test]
fn truncations_come_one_after_the_other_and_closing_waits_for_them() {
    let probe = Probe::default();
    let log = twelve(&probe);
    probe.control.removing.shut();
    thread::scope(|scope| {
        let _lets_go = LetsGo(&probe);
        let front = scope.spawn(|| log.truncate_before(Lsn::new(5)));
        probe.control.removing.wait_for_stalled();
        let back = scope.spawn(|| log.truncate_after(Lsn::new(8)));
        thread::sleep(Duration::from_millis(30));
        assert_eq!(log.last_lsn(), Lsn::new(12), "the second one has not begun");
        probe.control.removing.let_one_pass();
        assert_eq!(front.join().unwrap().unwrap(), Lsn::new(5));
        probe.control.removing.wait_for_stalled();
        let closing = scope.spawn(|| log.close());
        thread::sleep(Duration::from_millis(30));
        assert!(!closing.is_finished() && !probe.control.released.load(Ordering::SeqCst));
        probe.control.removing.open();
        assert_eq!(back.join().unwrap().unwrap(), Lsn::new(8));
        closing.join().unwrap().unwrap();
    });
    assert!(probe.control.released.load(Ordering::SeqCst));
    assert_eq!(removed(&probe), [vec![1], vec![10]]);
}

/// The driver leads the commits of tasks, so it must not be the one that removes.
#[test]
fn tasks_append_while_segments_are_removed_and_dropping_the_log_waits() {
    let probe = Probe::default();
    let log = twelve(&probe).asynchronous();
    let _lets_go = LetsGo(&probe);
    probe.control.removing.shut();
    let truncating = log.clone();
    let truncating = thread::spawn(move || block_on(truncating.truncate_before(Lsn::new(8))));
    probe.control.removing.wait_for_stalled();
    assert_eq!(within_a_minute(log.append(b"beside")).unwrap(), Lsn::new(13));
    assert!(!truncating.is_finished());
    probe.control.removing.open();
    assert_eq!(truncating.join().unwrap().unwrap(), Lsn::new(8));
    assert_eq!(removed(&probe), [[1, 4]]);

    // Nobody waits for the outcome, and the last handle goes.
    probe.control.removing.shut();
    let mut unawaited = Box::pin(log.truncate_before(Lsn::new(11)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(unawaited.as_mut().poll(&mut context).is_pending());
    probe.control.removing.wait_for_stalled();
    drop(unawaited);
    let dropping = thread::spawn(move || drop(log));
    thread::sleep(Duration::from_millis(30));
    assert!(!dropping.is_finished() && !probe.control.released.load(Ordering::SeqCst));
    probe.control.removing.open();
    dropping.join().unwrap();
    assert!(probe.control.released.load(Ordering::SeqCst));
    assert_eq!(removed(&probe), [[7]]);
}

#[test]
fn a_log_that_failed_removes_nothing_any_more() {
    let probe = Probe::default();
    let log = twelve(&probe);
    // The sync of the segment that is sealed for the truncation fails.
    let syncs = probe.control.syncs.load(Ordering::SeqCst);
    probe.control.fail_sync.store(syncs + 1, Ordering::SeqCst);
    assert!(log.truncate_before(Lsn::new(8)).is_err());
    assert_eq!(log.truncate_before(Lsn::new(4)).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!((removed(&probe), names(&probe)), (vec![], vec![1, 4, 7, 10]));
}

#[test]
fn a_log_that_fails_while_it_removes_is_told_so_and_so_is_one_whose_removal_fails() {
    let probe = Probe::default();
    let log = twelve(&probe);
    probe.control.removing.shut();
    thread::scope(|scope| {
        let _lets_go = LetsGo(&probe);
        let truncating = scope.spawn(|| log.truncate_before(Lsn::new(8)));
        probe.control.removing.wait_for_stalled();
        let syncs = probe.control.syncs.load(Ordering::SeqCst);
        probe.control.fail_sync.store(syncs + 1, Ordering::SeqCst);
        assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Io);
        probe.control.removing.open();
        // The truncation itself is durable by then.
        assert_eq!(truncating.join().unwrap().unwrap(), Lsn::new(8));
    });
    assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Poisoned);

    let probe = Probe::default();
    let log = twelve(&probe);
    probe.control.fail_remove.store(true, Ordering::SeqCst);
    let error = log.truncate_before(Lsn::new(8)).unwrap_err();
    assert_eq!((error.kind(), error.segment()), (ErrorKind::Io, Some(Lsn::FIRST)), "{error}");
    assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(start_on_record(&probe), Lsn::new(8), "it has happened all the same");
}

/// No record lies between 8 and 13.
#[test]
fn the_start_is_told_as_the_first_record_that_there_is() {
    for (asked, begins) in [(8, 8), (9, 13), (12, 13), (13, 13), (14, 14), (99, 15)] {
        let probe = Probe::default();
        let log = twelve(&probe);
        log.truncate_after(Lsn::new(8)).unwrap();
        log.append(b"13").unwrap();
        log.append(b"14").unwrap();
        assert_eq!(log.truncate_before(Lsn::new(asked)).unwrap(), Lsn::new(begins), "{asked}");
        assert_eq!(log.first_lsn(), Lsn::new(begins), "{asked}");
        assert_eq!(
            log.truncate_before(Lsn::new(asked)).unwrap(),
            Lsn::new(begins),
            "again {asked}"
        );
    }
    // Emptied at the back: the first record is the next one.
    let probe = Probe::default();
    let log = twelve(&probe);
    log.truncate_before(Lsn::new(5)).unwrap();
    assert_eq!(log.truncate_after(Lsn::new(4)).unwrap(), Lsn::new(4));
    assert_eq!((log.first_lsn(), log.last_lsn()), (Lsn::new(13), Lsn::new(4)));
    assert_eq!(log.append(b"13").unwrap(), Lsn::new(13));
    assert_eq!(log.first_lsn(), Lsn::new(13));
    assert_eq!(log.truncate_before(Lsn::new(7)).unwrap(), Lsn::new(13));
}

/// The calls that a truncation makes do not depend on how many segments it takes.
#[test]
fn a_truncation_of_many_segments_makes_as_many_calls_as_one_of_few() {
    let calls = |segments: u64| {
        let probe = Probe::default();
        let log = probe.open(always(), Settings::default().segment_size(4096));
        for _ in 0..segments * 3 {
            log.append(&[1; 1000]).unwrap();
        }
        let before = (probe.writes(), probe.syncs());
        log.truncate_before(Lsn::new(segments * 3 - 1)).unwrap();
        let front = (probe.writes() - before.0, probe.syncs() - before.1, removed(&probe).len());
        for _ in 0..segments * 3 {
            log.append(&[1; 1000]).unwrap();
        }
        let before = (probe.writes(), probe.syncs());
        log.truncate_after(Lsn::new(segments * 3 + 1)).unwrap();
        (front, (probe.writes() - before.0, probe.syncs() - before.1, removed(&probe).len()))
    };
    assert_eq!(calls(5), calls(100));
    assert_eq!(calls(5).0.2, 1);
}

#[test]
fn a_truncation_waits_for_what_must_not_lose_a_segment() {
    let log = Wal::builder(Always).open(MemoryStorage::new().into_empty_log().unwrap()).unwrap();
    for _ in 0..3 {
        log.append(b"record").unwrap();
    }
    let (done, told) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        log.without_truncation(|| {
            scope.spawn(|| done.send(log.truncate_before(Lsn::new(3)).unwrap()).unwrap());
            let early = told.recv_timeout(Duration::from_millis(100));
            assert!(early.is_err(), "truncated to {early:?} meanwhile");
            // Appends do not wait.
            log.append(b"record").unwrap();
            assert_eq!(log.first_lsn(), Lsn::FIRST);
        });
        let truncated = told.recv_timeout(Duration::from_secs(30));
        assert_eq!(truncated, Ok(Lsn::new(3)), "and afterwards it goes on");
    });
}
