//! Segments that are staged under a spare's name, and published as new or in the place of what was named.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use wal_core::format::{LogId, SegmentHeader};
use wal_core::{Access, ErrorKind, LogStorage, Lsn, Publish, Staged, WriteMode};
use wal_fs::{
    DirEntry, FileSettings, FileStorage, FileSystem, MmapSettings, MmapStorage, NodeKind, RealFile,
    RealFs,
};
use wal_testkit::{Call, FaultFs, Faults, ModelFs};

const ONE: &str = "00000000000000000001.wal";

fn settings() -> FileSettings {
    FileSettings::default().preallocate_bytes(4096)
}

fn replace(generation: impl Into<Option<u64>>) -> Publish {
    Publish::Replace { generation: generation.into() }
}

/// A whole segment: its header, and bytes that tell the generation.
fn image(generation: u64) -> Bytes {
    let header = SegmentHeader {
        data_offset: 4096,
        ..SegmentHeader::new(LogId([1; 16]), generation, Lsn::FIRST)
    };
    let mut image = header.encode().to_vec();
    image.resize(8192, generation as u8);
    image.into()
}

fn unreadable() -> Bytes {
    vec![0xee; 8192].into()
}

fn found(storage: &impl LogStorage) -> Bytes {
    let segment = storage.open(Lsn::FIRST, Access::Read).wait().unwrap();
    segment.read_at(0, 8192).wait().unwrap()
}

/// Writes a segment in pieces, the header last, and leaves it to `publish` to sync it.
fn staged(storage: &impl LogStorage, image: &Bytes) -> wal_core::Result<Staged> {
    let mut staged = storage.stage(Lsn::FIRST, 16_384).wait()?;
    staged.write_at(4096, image.slice(4096..)).wait()?;
    staged.write_at(0, image.slice(..4096)).wait()?;
    Ok(staged)
}

fn publish(storage: &impl LogStorage, image: &Bytes, how: Publish) -> Option<ErrorKind> {
    let published = staged(storage, image).unwrap().publish(how).wait();
    published.map_err(|error| (error.kind(), error.segment())).err().map(|(kind, segment)| {
        assert_eq!(segment, Some(Lsn::FIRST));
        kind
    })
}

/// What is in a directory, but for the file that says who owns the log.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("OWNER-")).collect();
    names.sort();
    names
}

fn watched(settings: FileSettings) -> (tempfile::TempDir, FileStorage<FaultFs<RealFs>>, Faults) {
    let dir = tempfile::tempdir().unwrap();
    let fs = FaultFs::new(RealFs);
    let faults = fs.faults().clone();
    let storage = FileStorage::with_file_system(fs, dir.path(), settings).unwrap();
    (dir, storage, faults)
}

/// What may be published over what.
fn replaces_only_what_is_named(dir: &Path, storage: &impl LogStorage) {
    let exists = Some(ErrorKind::Exists);
    let missing = Some(ErrorKind::NotFound);
    for how in [replace(1), replace(None)] {
        assert_eq!(publish(storage, &image(1), how), missing, "{how:?}");
    }
    assert_eq!(names(dir), [""; 0]);
    assert_eq!(publish(storage, &image(1), Publish::New), None);
    for how in [Publish::New, replace(2), replace(0), replace(None)] {
        assert_eq!(publish(storage, &image(2), how), exists, "{how:?}");
        let created = storage.create(Lsn::FIRST, image(2), 16_384, how).wait();
        assert_eq!(created.err().map(|error| error.kind()), exists, "{how:?}");
        assert_eq!((found(storage), names(dir)), (image(1), vec![ONE.to_owned()]), "{how:?}");
    }
    assert_eq!(publish(storage, &image(2), replace(1)), None);
    assert_eq!((found(storage), names(dir)), (image(2), vec![ONE.to_owned()]));
    assert_eq!(publish(storage, &unreadable(), replace(2)), None);
    for how in [Publish::New, replace(2), replace(3)] {
        assert_eq!(publish(storage, &image(3), how), exists, "{how:?}");
        assert_eq!((found(storage), names(dir)), (unreadable(), vec![ONE.to_owned()]), "{how:?}");
    }
    assert_eq!(publish(storage, &image(3), replace(None)), None);
    assert_eq!((found(storage), names(dir)), (image(3), vec![ONE.to_owned()]));
    // It can be written on, and what was replaced is not kept for another segment.
    let segment = storage.open(Lsn::FIRST, Access::Write).wait().unwrap();
    segment.write_at(8192, "more".into(), WriteMode::Through).wait().unwrap();
    assert_eq!(segment.read_at(8192, 4).wait().unwrap(), "more");
}

#[test]
fn every_storage_replaces_only_what_is_named() {
    let dir = tempfile::tempdir().unwrap();
    replaces_only_what_is_named(dir.path(), &FileStorage::open(dir.path()).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mapped = MmapSettings::default().window_bytes(4096);
    let mapped = MmapStorage::open_with(dir.path(), mapped).unwrap();
    replaces_only_what_is_named(dir.path(), &mapped);
    #[cfg(target_os = "linux")]
    {
        let dir = tempfile::tempdir().unwrap();
        let direct = wal_fs::DirectStorage::open(dir.path()).unwrap();
        replaces_only_what_is_named(dir.path(), &direct);
    }
    #[cfg(all(target_os = "linux", feature = "uring"))]
    {
        let dir = tempfile::tempdir().unwrap();
        if let Ok(ring) = wal_fs::UringStorage::open(dir.path()) {
            replaces_only_what_is_named(dir.path(), &ring);
        }
    }
}

/// Real files, on a system that knows nothing but plain renames.
struct Plain;

impl FileSystem for Plain {
    type File = RealFile;
    fn create_new(&self, path: &Path) -> io::Result<RealFile> {
        RealFs.create_new(path)
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<RealFile> {
        RealFs.open(path, access)
    }
    fn kind(&self, path: &Path) -> io::Result<NodeKind> {
        RealFs.kind(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        RealFs.read_dir(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.create_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_file(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.sync_dir(path)
    }
}

#[test]
fn so_it_is_where_the_system_knows_plain_renames_only() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::with_file_system(Plain, dir.path(), settings()).unwrap();
    replaces_only_what_is_named(dir.path(), &storage);
}

/// Does something before the next rename, once: what a second writer does that ignores the lock.
fn in_between(faults: &Faults, act: impl Fn() + Send + Sync + 'static) {
    let done = AtomicBool::new(false);
    faults.on_call(Call::Rename, move || {
        if !done.swap(true, Ordering::Relaxed) {
            act();
        }
    });
}

#[test]
fn what_came_in_between_is_put_back() {
    let (dir, storage, faults) = watched(settings());
    let path = dir.path().join(ONE);
    in_between(&faults, {
        let path = path.clone();
        move || fs::write(&path, image(7)).unwrap()
    });
    assert_eq!(publish(&storage, &image(1), Publish::New), Some(ErrorKind::Exists));
    assert_eq!((found(&storage), names(dir.path())), (image(7), vec![ONE.to_owned()]));
    let second: PathBuf = dir.path().join("second");
    in_between(&faults, move || {
        fs::write(&second, image(8)).unwrap();
        fs::rename(&second, &path).unwrap();
    });
    faults.clear_trace();
    assert_eq!(publish(&storage, &image(9), replace(7)), Some(ErrorKind::Exists));
    assert_eq!((found(&storage), names(dir.path())), (image(8), vec![ONE.to_owned()]));
    let lines = faults.trace_lines();
    let ours = |line: &&String| line.starts_with("exchange") || line.starts_with("sync dir");
    let lines: Vec<_> = lines.iter().filter(ours).map(|line| &line[..8]).collect();
    assert_eq!(lines, ["exchange", "exchange", "sync dir"]);
    assert_eq!(publish(&storage, &image(9), replace(8)), None);
    assert_eq!((found(&storage), names(dir.path())), (image(9), vec![ONE.to_owned()]));
}

#[test]
fn what_cannot_be_put_back_is_kept() {
    let (dir, storage, faults) = watched(settings());
    let path = dir.path().join(ONE);
    publish(&storage, &image(7), Publish::New);
    let second = dir.path().join("second");
    in_between(&faults, move || {
        fs::write(&second, image(8)).unwrap();
        fs::rename(&second, &path).unwrap();
    });
    faults.fail_once(Call::Rename, 2, io::ErrorKind::Other);
    let staged = staged(&storage, &image(9)).unwrap();
    let error = staged.publish(replace(7)).wait().map(|_| ()).unwrap_err();
    assert_eq!((error.kind(), error.segment()), (ErrorKind::Io, Some(Lsn::FIRST)));
    let kept = "1-replaced-1.cut";
    assert!(error.to_string().contains(kept), "{error}");
    // The next opening removes spares, but not this.
    drop(storage.lock().wait().unwrap());
    assert_eq!(names(dir.path()), [ONE, kept, "LOCK"]);
    assert_eq!(fs::read(dir.path().join(kept)).unwrap(), image(8));
    assert_eq!(found(&storage), image(9));
}

#[test]
fn missing_means_only_that_there_is_nothing_to_replace() {
    for (call, nth) in [(Call::Rename, 1), (Call::SyncDir, 1)] {
        let (_dir, storage, faults) = watched(settings());
        let staged = staged(&storage, &image(1)).unwrap();
        faults.fail_once(call, nth, io::ErrorKind::NotFound);
        let error = staged.publish(Publish::New).wait().map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{call:?}: {error}");
    }
}

#[test]
fn publishing_costs_what_it_must() {
    let (_dir, storage, faults) = watched(settings());
    let opens = || faults.counters().opens;
    publish(&storage, &image(1), Publish::New);
    let lines = faults.trace_lines();
    let spare = "spare-00000000000000000000-00000000000000000001.tmp";
    let expected = [
        format!("create {spare}"),
        format!("write {spare} 4096+4096"),
        format!("write {spare} 0+4096"),
        format!("sync all {spare}"),
        format!("rename new {spare} -> {ONE}"),
    ];
    assert_eq!(lines[..5], expected);
    assert!(lines.len() == 6 && lines[5].starts_with("sync dir"), "{lines:?}");
    assert_eq!(opens(), 0);
    faults.clear_trace();
    publish(&storage, &image(2), replace(1));
    let lines = faults.trace_lines();
    let spare = "spare-00000000000000000000-00000000000000000002.tmp";
    assert_eq!(
        lines[4..6],
        [format!("exchange {spare} <-> {ONE}"), format!("remove {spare}")],
        "{lines:?}"
    );
    assert!(lines.len() == 7 && lines[6].starts_with("sync dir"), "{lines:?}");
    assert_eq!(opens(), 2, "what was there, and what came out");
}

#[test]
fn what_was_staged_and_dropped_leaves_nothing() {
    let (dir, storage, faults) = watched(settings());
    let _lock = storage.lock().wait().unwrap();
    // Over the space of a removed segment, too.
    publish(&storage, &image(1), Publish::New);
    storage.remove(&[Lsn::FIRST]).wait().unwrap();
    for spares in [1, 0] {
        let left = names(dir.path()).iter().filter(|name| name.starts_with("spare-")).count();
        assert_eq!(left, spares);
        let mut given_up = staged(&storage, &image(2)).unwrap();
        given_up.sync().wait().unwrap();
        drop(given_up);
        assert_eq!(names(dir.path()), ["LOCK"]);
    }
    // It was frames of generation 2 that lay there: no other segment gets them.
    faults.clear_trace();
    publish(&storage, &image(2), Publish::New);
    assert!(faults.trace_lines()[0].starts_with("create spare-"));
}

/// An owner that has lost the log removes its own files, and none of the next one.
#[test]
fn a_lost_owner_cleans_up_behind_itself_alone() {
    let dir = tempfile::tempdir().unwrap();
    let open = || FileStorage::open_with(dir.path(), settings()).unwrap();
    let (first, second) = (open(), open());
    let _lost = first.lock().wait().unwrap();
    let lost = staged(&first, &image(1)).unwrap();
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    let _lock = second.lock().wait().unwrap();
    let mut own = staged(&second, &image(1)).unwrap();
    drop(lost);
    own.sync().wait().unwrap();
    own.publish(Publish::New).wait().unwrap();
    assert_eq!(second.list().wait().unwrap().segments, [Lsn::FIRST]);
}

#[test]
fn what_a_dead_process_staged_goes_with_the_next_lock() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::open_with(dir.path(), settings()).unwrap();
    std::mem::forget(staged(&storage, &image(1)).unwrap());
    assert!(names(dir.path())[0].starts_with("spare-"));
    assert!(storage.list().wait().unwrap().segments.is_empty());
    let _lock = storage.lock().wait().unwrap();
    assert_eq!(names(dir.path()), ["LOCK"]);
}

#[test]
fn many_removals_make_one_directory_sync() {
    for spares in [0, 2] {
        let (_dir, storage, faults) = watched(settings().max_spares(spares));
        for name in 1..=6 {
            storage.create(Lsn::new(name), "header".into(), 4096, Publish::New).wait().unwrap();
        }
        faults.clear_trace();
        let before = faults.counters();
        storage.remove(&[1, 2, 3, 99, 4, 5].map(Lsn::new)).wait().unwrap();
        let after = faults.counters();
        assert_eq!(after.dir_syncs - before.dir_syncs, 1);
        let lines = faults.trace_lines();
        assert!(lines.last().unwrap().starts_with("sync dir"), "{lines:?}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("rename")).count(), spares);
        assert_eq!(storage.list().wait().unwrap().segments, [Lsn::new(6)]);
        // The spares are used, and not before their removal was durable.
        faults.fail_once(Call::SyncDir, 1, io::ErrorKind::Other);
        storage.remove(&[Lsn::new(6)]).wait().unwrap_err();
        for name in 10..13 {
            faults.clear_trace();
            storage.create(Lsn::new(name), "header".into(), 4096, Publish::New).wait().unwrap();
            let created = faults.trace_lines()[0].starts_with("create spare-");
            assert_eq!(created, name >= 10 + spares as u64, "{spares} spares, {name}");
        }
    }
}

#[test]
fn a_full_disk_in_any_step_changes_nothing() {
    for how in [Publish::New, replace(1)] {
        let steps = [
            (Call::Create, 1),
            (Call::Write, 1),
            (Call::Write, 2),
            (Call::Sync, 1),
            (Call::Rename, 1),
        ];
        for (call, nth) in steps {
            let model = ModelFs::new();
            let fs = FaultFs::new(model.clone());
            let faults = fs.faults().clone();
            let storage = FileStorage::create_with_file_system(fs, "/wal", settings()).unwrap();
            if how != Publish::New {
                publish(&storage, &image(1), Publish::New);
            }
            let there = || model.read_dir("/wal".as_ref()).unwrap();
            let before = there();
            faults.fail_once(call, nth, io::ErrorKind::StorageFull);
            let outcome = staged(&storage, &image(2)).and_then(|staged| staged.publish(how).wait());
            let error = outcome.err().unwrap();
            assert_eq!((error.kind(), error.segment()), (ErrorKind::Full, Some(Lsn::FIRST)));
            assert_eq!(there(), before, "{call:?} {nth}");
            assert_eq!(publish(&storage, &image(2), how), None);
            assert_eq!(found(&storage), image(2));
        }
    }
}

#[test]
fn after_a_failed_step_there_is_none() {
    for call in [Call::Write, Call::Sync] {
        let fs = FaultFs::new(ModelFs::new());
        let faults = fs.faults().clone();
        let storage = FileStorage::create_with_file_system(fs, "/wal", settings()).unwrap();
        let mut staged = staged(&storage, &image(1)).unwrap();
        faults.fail_once(call, 1, io::ErrorKind::Other);
        let failed = match call {
            Call::Write => staged.write_at(0, image(1)).wait(),
            _ => staged.sync().wait(),
        };
        failed.unwrap_err();
        // The device would say `Ok` now.
        staged.sync().wait().unwrap_err();
        staged.write_at(0, image(1)).wait().unwrap_err();
        let error = staged.publish(Publish::New).wait().err().unwrap();
        assert!(error.chain().to_string().contains("an earlier write or sync"), "{error:?}");
        assert!(storage.list().wait().unwrap().segments.is_empty());
    }
}
