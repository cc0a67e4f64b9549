//! Which calls reach the file system, and in which order.

use wal_core::{Access, LogStorage, Lsn, Publish, WriteMode};
use wal_fs::{FileSettings, FileStorage, RealFs};
use wal_testkit::{FaultFs, Faults};

fn start(settings: FileSettings) -> (tempfile::TempDir, FileStorage<FaultFs<RealFs>>, Faults) {
    let dir = tempfile::tempdir().unwrap();
    let wal = dir.path().join("wal");
    let fs = FaultFs::new(RealFs);
    let faults = fs.faults().clone();
    let storage = FileStorage::create_with_file_system(fs, wal, settings).unwrap();
    (dir, storage, faults)
}

fn settings() -> FileSettings {
    FileSettings::default().preallocate_bytes(4096).trust_write_through(Some(true))
}

const ONE: &str = "00000000000000000001.wal";

fn spare(n: u32) -> String {
    format!("spare-{:020}-{n:020}.tmp", 0)
}

#[test]
fn create_makes_the_header_durable_before_the_name() {
    let (dir, storage, faults) = start(settings());
    let parent = dir.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(faults.trace_lines(), ["create dir wal", &format!("sync dir {parent}")]);
    faults.clear_trace();
    storage.create(Lsn::FIRST, "header".into(), 10_000, Publish::New).wait().unwrap();
    let new = spare(1);
    assert_eq!(
        faults.trace_lines(),
        [
            format!("create {new}"),
            format!("write {new} 0+6"),
            format!("write {new} 6+4090"),
            format!("sync all {new}"),
            format!("rename new {new} -> {ONE}"),
            "sync dir wal".into(),
        ]
    );
}

#[test]
fn remove_recycles_and_create_writes_only_the_header() {
    let (_dir, storage, faults) = start(settings());
    storage.create(Lsn::FIRST, "header".into(), 10_000, Publish::New).wait().unwrap();
    faults.clear_trace();
    storage.remove(&[Lsn::FIRST]).wait().unwrap();
    let kept = spare(2);
    assert_eq!(faults.trace_lines(), [format!("rename {ONE} -> {kept}"), "sync dir wal".into()]);
    faults.clear_trace();
    storage.create(Lsn::new(2), "header".into(), 10_000, Publish::New).wait().unwrap();
    assert_eq!(
        faults.trace_lines(),
        [
            format!("write {kept} 0+6"),
            format!("sync all {kept}"),
            format!("rename new {kept} -> 00000000000000000002.wal"),
            "sync dir wal".into(),
        ]
    );
}

#[test]
fn remove_without_spares_unlinks() {
    let (_dir, storage, faults) = start(settings().max_spares(0));
    storage.create(Lsn::FIRST, "header".into(), 10_000, Publish::New).wait().unwrap();
    faults.clear_trace();
    storage.remove(&[Lsn::FIRST]).wait().unwrap();
    assert_eq!(faults.trace_lines(), [format!("remove {ONE}"), "sync dir wal".into()]);
}

#[test]
fn zeros_follow_the_data_and_later_writes_need_none() {
    let (_dir, storage, faults) = start(settings());
    let segment = storage.create(Lsn::FIRST, "header".into(), 10_000, Publish::New).wait().unwrap();
    faults.clear_trace();
    let write = |offset, mode| {
        segment.write_at(offset, vec![1; 1000].into(), mode).wait().unwrap();
    };
    write(3000, WriteMode::Cached);
    write(4000, WriteMode::Cached);
    segment.sync().wait().unwrap();
    write(5000, WriteMode::Through);
    write(7500, WriteMode::Through);
    assert_eq!(
        faults.trace_lines(),
        [
            format!("write {ONE} 3000+1000"),
            format!("write {ONE} 4000+1000"),
            format!("write {ONE} 5000+3192"),
            format!("sync data {ONE}"),
            format!("write through {ONE} 5000+1000"),
            // Leaves the filled part: one sync for the data and the zeros that follow it.
            format!("write {ONE} 7500+1000"),
            format!("write {ONE} 8500+1500"),
            format!("sync data {ONE}"),
        ]
    );
}

#[test]
fn a_reopened_segment_is_not_filled_ahead() {
    let (_dir, storage, faults) = start(settings());
    let segment = storage.create(Lsn::FIRST, "header".into(), 10_000, Publish::New).wait().unwrap();
    segment.truncate(100).wait().unwrap();
    let segment = storage.open(Lsn::FIRST, Access::Write).wait().unwrap();
    faults.clear_trace();
    segment.write_at(100, "footer".into(), WriteMode::Cached).wait().unwrap();
    segment.sync().wait().unwrap();
    assert_eq!(faults.trace_lines(), [format!("write {ONE} 100+6"), format!("sync data {ONE}")]);
}

#[test]
fn bytes_set_aside_are_synced_with_their_name() {
    let (_dir, storage, faults) = start(settings());
    faults.clear_trace();
    storage.set_aside("tail", "bytes".into()).wait().unwrap();
    let lines =
        ["create tail-1.cut", "write tail-1.cut 0+5", "sync all tail-1.cut", "sync dir wal"];
    assert_eq!(faults.trace_lines(), lines);
}
