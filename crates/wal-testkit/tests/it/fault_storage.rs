//! The gate, the failures and the counters of `FaultStorage`.

use std::io;
use std::sync::Arc;
use std::thread;

use wal_core::{ErrorKind, LogStorage, Lsn, Publish, Segment, WriteMode};
use wal_fs::{FileSettings, FileStorage};
use wal_testkit::{CrashPolicy, FaultStorage, ModelFs, StorageCall, StorageControl};

fn start() -> (ModelFs, StorageControl, Arc<dyn Segment>) {
    let fs = ModelFs::new();
    let settings = FileSettings::default().preallocate_bytes(0);
    let inner = FileStorage::create_with_file_system(fs.clone(), "/wal", settings).unwrap();
    let storage = FaultStorage::new(inner);
    let segment = storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    (fs, storage.control(), segment)
}

fn durable_len(fs: &ModelFs) -> usize {
    let image = fs.crash(CrashPolicy::DropUnsynced);
    image.contents("/wal/00000000000000000001.wal".as_ref()).unwrap().len()
}

#[test]
fn a_held_sync_reaches_the_storage_only_when_released() {
    let (fs, control, segment) = start();
    segment.write_at(6, "frame".into(), WriteMode::Cached).wait().unwrap();
    control.hold_syncs();
    let syncing = thread::spawn(move || segment.sync().wait());
    control.wait_until_sync_started();
    assert_eq!((control.held_syncs(), durable_len(&fs)), (1, 6));
    control.release();
    syncing.join().unwrap().unwrap();
    assert_eq!((control.held_syncs(), durable_len(&fs)), (0, 11));
}

#[test]
fn write_through_is_held_as_well() {
    let (fs, control, segment) = start();
    control.hold_syncs();
    let writing = thread::spawn(move || {
        segment.write_at(6, "frame".into(), WriteMode::Through).wait()?;
        segment.sync().wait()
    });
    wal_core::block_on(control.sync_started());
    assert_eq!(durable_len(&fs), 6);
    // The write goes on, the sync that follows is held again.
    control.release_held();
    control.wait_until_sync_started();
    assert_eq!(durable_len(&fs), 11);
    control.release();
    writing.join().unwrap().unwrap();
    let counters = control.counters();
    assert_eq!((counters.writes, counters.through_writes, counters.syncs), (1, 1, 2));
}

#[test]
fn a_dropped_sync_is_no_longer_held() {
    let (_, control, segment) = start();
    control.hold_syncs();
    let sync = segment.sync();
    assert_eq!(control.held_syncs(), 1);
    drop(sync);
    assert_eq!(control.held_syncs(), 0);
}

#[test]
fn failures_strike_the_call_they_were_set_for() {
    let (_, control, segment) = start();
    control.fail_once(StorageCall::Write, 2, io::ErrorKind::StorageFull);
    control.fail_from(StorageCall::Sync, 2, io::ErrorKind::Other);
    let write = || segment.write_at(6, "x".into(), WriteMode::Cached).wait();
    write().unwrap();
    assert_eq!(write().unwrap_err().kind(), ErrorKind::Full);
    write().unwrap();
    segment.sync().wait().unwrap();
    for _ in 0..3 {
        assert_eq!(segment.sync().wait().unwrap_err().kind(), ErrorKind::Io);
    }
    control.clear_failures();
    segment.sync().wait().unwrap();
    let counters = control.counters();
    assert_eq!((counters.writes, counters.write_bytes, counters.syncs), (3, 3, 5));
}

#[test]
fn a_write_can_fail_after_a_part_of_its_bytes() {
    let (_, control, segment) = start();
    control.fail_write_after(2, 3, io::ErrorKind::StorageFull);
    let write = |offset, data: &'static str| {
        segment.write_at(offset, data.into(), WriteMode::Cached).wait()
    };
    write(6, "first").unwrap();
    assert_eq!(write(11, "second").unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(segment.read_at(0, 100).wait().unwrap(), "headerfirstsec");
    write(14, "third").unwrap();
    assert_eq!(segment.read_at(0, 100).wait().unwrap(), "headerfirstsecthird");
    // More than the write has: all of it, and the failure.
    control.fail_write_after(1, 100, io::ErrorKind::Other);
    assert_eq!(write(19, "!").unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(segment.read_at(19, 100).wait().unwrap(), "!");
}

#[test]
fn reads_can_be_cut_short_and_fail() {
    let (_, control, segment) = start();
    control.short_reads(Some(4));
    assert_eq!(segment.read_at(0, 6).wait().unwrap(), "head");
    control.fail_once(StorageCall::Read, 1, io::ErrorKind::TimedOut);
    assert_eq!(segment.read_at(0, 6).wait().unwrap_err().kind(), ErrorKind::Io);
    control.clear_failures();
    assert_eq!(segment.read_at(0, 6).wait().unwrap(), "header");
}
