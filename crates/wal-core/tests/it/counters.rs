//! What a log counts, and what it lets go of when it is closed.

use std::time::Duration;

use crate::support::*;
use wal_core::*;

#[test]
fn statistics_count_records_bytes_writes_syncs_and_segments() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default().segment_size(4096));
    assert_eq!(log.stats(), Stats::default());
    log.append(&[1; 1000]).unwrap();
    log.append_batch(&[vec![2; 500], vec![3; 500]]).unwrap();
    let stats = log.stats();
    assert_eq!((stats.records, stats.bytes, stats.writes), (3, 2000, 2));
    assert_eq!((stats.syncs, stats.sync_time, stats.segments_created), (0, Duration::ZERO, 1));
    probe.control.hold_syncs();
    std::thread::scope(|scope| {
        scope.spawn(|| log.sync().unwrap());
        probe.control.wait_for_stalled_sync();
        std::thread::sleep(Duration::from_millis(5));
        probe.control.release_syncs();
    });
    log.append(&[4; 3000]).unwrap();
    let stats = log.stats();
    assert_eq!((stats.records, stats.bytes, stats.segments_created), (4, 5000, 2));
    assert_eq!(stats.syncs, 3, "one by request, two to seal a segment");
    assert_eq!(stats.syncs, probe.syncs());
    assert!(stats.sync_time >= Duration::from_millis(5));
    // The footer of the first segment is no write of records.
    assert_eq!(probe.writes(), stats.writes + 1);
}

#[test]
fn closing_lets_go_of_the_storage_although_handles_are_left() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default());
    log.append(b"x").unwrap();
    assert_eq!(probe.memory.lock().wait().unwrap_err().kind(), ErrorKind::Locked);
    log.close().unwrap();
    probe.memory.lock().wait().unwrap();
    assert_eq!(records(&log).len(), 1, "reading goes on");
}
