//! Full disks, short and interrupted calls, failed syncs.

use std::io::ErrorKind as Os;

use bytes::Bytes;
use wal_core::{Access, ErrorKind, LogStorage, Lsn, Publish, WriteMode};
use wal_fs::{FileSettings, FileStorage, FileSystem, RealFs};
use wal_testkit::{Call, CrashPolicy, FaultFs, Faults, ModelFs, SyncFault};

fn settings() -> FileSettings {
    FileSettings::default().preallocate_bytes(4096)
}

fn over<F: FileSystem>(fs: F, dir: &str) -> (FileStorage<FaultFs<F>>, Faults) {
    let fs = FaultFs::new(fs);
    let faults = fs.faults().clone();
    (FileStorage::create_with_file_system(fs, dir, settings()).unwrap(), faults)
}

fn model() -> (FileStorage<FaultFs<ModelFs>>, ModelFs, Faults) {
    let fs = ModelFs::new();
    let (storage, faults) = over(fs.clone(), "/wal");
    (storage, fs, faults)
}

fn pattern(len: usize) -> Bytes {
    (0..len).map(|i| (i % 251) as u8 + 1).collect::<Vec<_>>().into()
}

#[test]
fn short_and_interrupted_calls_are_finished() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, faults) = over(RealFs, dir.path().to_str().unwrap());
    faults.short_writes(Some(700));
    faults.short_reads(Some(333));
    faults.interrupt_every(Some(2));
    let segment = storage.create(Lsn::FIRST, pattern(2000), 20_000, Publish::New).wait().unwrap();
    segment.write_at(2000, pattern(5000), WriteMode::Cached).wait().unwrap();
    segment.write_at(7000, pattern(5000), WriteMode::Through).wait().unwrap();
    segment.write_at(7000, pattern(5000), WriteMode::Through).wait().unwrap();
    assert_eq!(segment.read_at(0, 2000).wait().unwrap(), pattern(2000));
    assert_eq!(segment.read_at(2000, 5000).wait().unwrap(), pattern(5000));
    assert_eq!(segment.read_at(7000, 5000).wait().unwrap(), pattern(5000));
    assert_eq!(segment.read_at(11_999, 9999).wait().unwrap()[1..], [0; 288]);
    let name = storage.set_aside("tail", pattern(3000)).wait().unwrap();
    assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), pattern(3000));
}

#[test]
fn no_room_for_zeros_is_no_failure_while_the_data_fits() {
    let (storage, fs, faults) = model();
    let segment =
        storage.create(Lsn::FIRST, "header".into(), 1 << 20, Publish::New).wait().unwrap();
    assert_eq!(fs.used_bytes(), 4096);
    fs.set_capacity(Some(4096 + 2000));
    for (i, mode) in [WriteMode::Cached, WriteMode::Through].into_iter().enumerate() {
        let offset = 4000 + 1000 * i as u64;
        segment.write_at(offset, pattern(1000), mode).wait().unwrap();
    }
    segment.sync().wait().unwrap();
    // Filling ahead took the rest and then gave up for good.
    assert_eq!(segment.len().wait().unwrap(), 6096);
    faults.clear_trace();
    fs.set_capacity(None);
    segment.write_at(6000, pattern(5000), WriteMode::Cached).wait().unwrap();
    assert_eq!(faults.trace_lines(), ["write 00000000000000000001.wal 6000+5000"]);
    assert_eq!(segment.read_at(4000, 1000).wait().unwrap(), pattern(1000));
    assert_eq!(segment.read_at(5000, 1000).wait().unwrap(), pattern(1000));
    assert_eq!(segment.read_at(6000, 5000).wait().unwrap(), pattern(5000));
}

#[test]
fn no_room_for_data_is_a_full_disk() {
    let (storage, fs, _) = model();
    let segment =
        storage.create(Lsn::FIRST, "header".into(), 1 << 20, Publish::New).wait().unwrap();
    fs.set_capacity(Some(4096 + 100));
    let error = segment.write_at(4000, pattern(1000), WriteMode::Cached).wait().unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Full, Some(4000)));
    assert_eq!(error.segment(), Some(Lsn::FIRST));
}

#[test]
fn a_segment_is_created_without_zeros_where_only_its_header_fits() {
    let (storage, fs, _) = model();
    fs.set_capacity(Some(1000));
    let segment = storage.create(Lsn::FIRST, pattern(600), 4096, Publish::New).wait().unwrap();
    assert_eq!(segment.len().wait().unwrap(), 1000);
    assert_eq!(segment.read_at(0, 600).wait().unwrap(), pattern(600));
}

#[test]
fn a_failed_create_leaves_nothing_behind() {
    for call in [Call::Create, Call::Write, Call::Sync, Call::Rename] {
        let (storage, fs, faults) = model();
        faults.fail_once(call, 1, Os::StorageFull);
        let error =
            storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().err().unwrap();
        assert_eq!((error.kind(), error.segment()), (ErrorKind::Full, Some(Lsn::FIRST)));
        assert_eq!(fs.read_dir("/wal".as_ref()).unwrap(), [], "{call:?}");
        storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    }
    let (storage, _, faults) = model();
    faults.fail_once(Call::SyncDir, 1, Os::Other);
    let error =
        storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().err().unwrap();
    assert_eq!((error.kind(), error.op()), (ErrorKind::Io, "sync directory"));
}

#[test]
fn a_failed_set_aside_leaves_nothing_behind() {
    for call in [Call::Write, Call::Sync] {
        let (storage, fs, faults) = model();
        faults.fail_once(call, 1, Os::StorageFull);
        let error = storage.set_aside("tail", "bytes".into()).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);
        assert_eq!(fs.read_dir("/wal".as_ref()).unwrap(), [], "{call:?}");
    }
}

#[test]
fn a_file_whose_removal_was_not_made_durable_is_not_recycled() {
    let (storage, _, faults) = model();
    storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    faults.fail_once(Call::SyncDir, 1, Os::Other);
    storage.remove(&[Lsn::FIRST]).wait().unwrap_err();
    faults.clear_trace();
    storage.create(Lsn::new(2), "header".into(), 4096, Publish::New).wait().unwrap();
    assert!(faults.trace_lines()[0].starts_with("create spare-"));
}

#[test]
fn a_failed_sync_is_never_repeated() {
    let (storage, fs, faults) = model();
    let segment = storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    segment.write_at(6, "frame".into(), WriteMode::Cached).wait().unwrap();
    fs.fail_sync(1, SyncFault::MarkedClean);
    let before = faults.counters().data_syncs;
    segment.sync().wait().unwrap_err();
    // The device would say `Ok` now, although the bytes are lost.
    let error = segment.sync().wait().unwrap_err();
    assert!(error.to_string().contains("an earlier sync"), "{error}");
    segment.write_at(6, "frame".into(), WriteMode::Through).wait().unwrap_err();
    assert_eq!(faults.counters().data_syncs, before + 1);
    let image = fs.crash(CrashPolicy::DropUnsynced);
    let storage = FileStorage::with_file_system(image, "/wal", settings()).unwrap();
    let segment = storage.open(Lsn::FIRST, Access::Read).wait().unwrap();
    assert_eq!(segment.read_at(6, 5).wait().unwrap(), "\0\0\0\0\0");
}

#[test]
fn a_failed_write_through_also_ends_the_syncs() {
    let (storage, _, faults) = model();
    let segment = storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    faults.fail_once(Call::Write, 1, Os::Other);
    segment.write_at(6, "frame".into(), WriteMode::Through).wait().unwrap_err();
    segment.sync().wait().unwrap_err();
}

#[test]
fn an_interrupted_sync_is_not_taken_for_a_good_one() {
    let (storage, _, faults) = model();
    let segment = storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    faults.fail_once(Call::Sync, 1, Os::Interrupted);
    segment.sync().wait().unwrap_err();
}

#[test]
fn a_read_error_is_an_io_error() {
    let (storage, _, faults) = model();
    let segment = storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    faults.fail_once(Call::Read, 1, Os::Other);
    let error = segment.read_at(2, 4).wait().unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Io, Some(2)));
}

#[test]
fn reads_go_on_while_a_sync_is_slow() {
    let (storage, _, faults) = model();
    let segment = storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    let (started, is_started) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    faults.on_sync(move |_| {
        started.send(()).unwrap();
        may_go_on.lock().unwrap().recv().unwrap();
    });
    let syncing = std::thread::spawn({
        let segment = segment.clone();
        move || segment.sync().wait()
    });
    is_started.recv().unwrap();
    segment.write_at(6, "frame".into(), WriteMode::Cached).wait().unwrap();
    assert_eq!(segment.read_at(0, 11).wait().unwrap(), "headerframe");
    go_on.send(()).unwrap();
    syncing.join().unwrap().unwrap();
}
