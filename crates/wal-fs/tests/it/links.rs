//! Files with a second name, as in a backup made of links: they are never written to again. And what becomes of the
//! spares when a log is closed.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use wal_core::{
    Always, Durability, ErrorKind, LogStorage, Lsn, Publish, Result, Settings, StorageLock, Wal,
    WriteMode,
};
use wal_fs::{FileSettings, FileStorage, FileSystem, MmapSettings, MmapStorage, RealFs};
use wal_recovery::{Inspect, Recovery, Verdict, Verify};
use wal_testkit::{Call, FaultFs, ModelFs};

/// Every storage of files that runs here, with small files.
fn storages(dir: &Path) -> Vec<(&'static str, Arc<dyn LogStorage>)> {
    let files = FileSettings::default().preallocate_bytes(4096);
    let mapped = MmapSettings::default().window_bytes(4096);
    let mut all: Vec<(_, Result<Arc<dyn LogStorage>>)> = vec![
        ("file", FileStorage::open_with(dir, files).map(|s| Arc::new(s) as _)),
        ("mmap", MmapStorage::open_with(dir, mapped).map(|s| Arc::new(s) as _)),
    ];
    #[cfg(target_os = "linux")]
    {
        let settings = wal_fs::DirectSettings::default().preallocate_bytes(4096);
        let storage = wal_fs::DirectStorage::open_with(dir, settings);
        all.push(("direct", storage.map(|s| Arc::new(s) as _)));
    }
    #[cfg(all(target_os = "linux", feature = "uring"))]
    {
        let settings = wal_fs::UringSettings::default().preallocate_bytes(4096);
        let storage = wal_fs::UringStorage::open_with(dir, settings);
        all.push(("uring", storage.map(|s| Arc::new(s) as _)));
    }
    // Where there is no direct I/O, or no ring, the storage says so.
    let runs = |storage: Arc<dyn LogStorage>| storage.lock().wait().is_ok().then_some(storage);
    all.into_iter().filter_map(|(name, storage)| Some((name, runs(storage.ok()?)?))).collect()
}

/// The bytes of all files of a directory that have this ending, by name.
fn bytes(dir: &Path, ending: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| name.ends_with(ending))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// `cp -al`: a second name for every file.
fn link_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::hard_link(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn open(storage: &Arc<dyn LogStorage>) -> Wal {
    let (recovered, _) = Recovery::new(storage.clone()).run().unwrap();
    let settings = Settings::default().segment_size(16 << 10);
    Wal::builder(Always).settings(settings).open(recovered).unwrap()
}

/// Appends several segments, and truncates as it goes, so that segments are recycled where they may be.
fn work(log: &Wal) {
    for round in 0..12_u8 {
        for _ in 0..5 {
            log.append(&[round; 3000]).unwrap();
        }
        log.truncate_before(log.last_lsn()).unwrap();
    }
}

/// The oldest first, without the newest, which is being written.
fn sealed(mut segments: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    segments.pop();
    segments
}

#[test]
fn a_backup_made_of_links_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for (name, storage) in storages(dir.path()) {
        let log = open(&storage);
        for n in 0..20_u8 {
            log.append(&[n; 3000]).unwrap();
        }
        // While it is being written. The segment that is written to goes on in the backup, too.
        let [beside, closed] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        link_all(dir.path(), beside.path());
        let before = sealed(bytes(beside.path(), ".wal"));
        assert!(before.len() >= 2, "{name}");
        work(&log);
        assert!(
            sealed(bytes(beside.path(), ".wal")) == before,
            "{name}: the backup was written to"
        );
        log.close().unwrap();
        // While it is closed: no later opening writes to any of it.
        link_all(dir.path(), closed.path());
        let before = bytes(closed.path(), ".wal");
        let log = open(&storage);
        work(&log);
        log.close().unwrap();
        assert!(bytes(closed.path(), ".wal") == before, "{name}: the backup was written to");
        let backup = FileStorage::open(closed.path()).unwrap();
        let report = Inspect::new(backup).verify(Verify::All).run().unwrap();
        assert_eq!(report.verdict(), Verdict::Clean, "{name}: {report}");
        for (segment, _) in bytes(dir.path(), ".wal") {
            fs::remove_file(dir.path().join(segment)).unwrap();
        }
    }
}

/// The first opening behind a writer that was killed cuts its last segment and seals it. A backup keeps what it had.
#[test]
fn a_backup_made_of_links_keeps_what_a_recovery_cuts_off() {
    let dir = tempfile::tempdir().unwrap();
    for (name, storage) in storages(dir.path()) {
        let log = open(&storage);
        for n in 0..20_u8 {
            log.append_with(&[n; 3000], Durability::Written).unwrap();
        }
        let [killed, backup] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for (file, bytes) in bytes(dir.path(), ".wal") {
            fs::write(killed.path().join(file), bytes).unwrap();
        }
        link_all(killed.path(), backup.path());
        let before = bytes(backup.path(), ".wal");
        let kept = |dir: &Path| {
            let copy = FileStorage::open(dir).unwrap();
            Inspect::new(copy).verify(Verify::All).run().unwrap().records
        };
        assert_eq!(kept(backup.path()), 20, "{name}");
        let (_, again) =
            storages(killed.path()).into_iter().find(|(other, _)| *other == name).unwrap();
        let (_, report) = Recovery::new(again).run().unwrap();
        assert_eq!(report.records, 20, "{name}");
        assert!(report.rewritten_bytes > 0, "{name}: nothing was to be proven: {report}");
        assert!(bytes(backup.path(), ".wal") == before, "{name}: the backup was written to");
        assert_eq!(kept(backup.path()), 20, "{name}");
        log.close().unwrap();
        for (segment, _) in bytes(dir.path(), ".wal") {
            fs::remove_file(dir.path().join(segment)).unwrap();
        }
    }
}

fn watched(dir: &Path) -> (FileStorage<FaultFs<RealFs>>, wal_testkit::Faults) {
    let fs = FaultFs::new(RealFs);
    let faults = fs.faults().clone();
    let settings = FileSettings::default().preallocate_bytes(4096);
    (FileStorage::with_file_system(fs, dir, settings).unwrap(), faults)
}

#[test]
fn a_segment_with_a_second_name_is_unlinked_and_one_without_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, faults) = watched(dir.path());
    let _lock = storage.lock().wait().unwrap();
    for lsn in [1, 2] {
        storage.create(Lsn::new(lsn), "header".into(), 4096, Publish::New).wait().unwrap();
    }
    let [one, two] = [1, 2].map(|lsn| format!("{lsn:020}.wal"));
    fs::hard_link(dir.path().join(&one), dir.path().join("backup")).unwrap();
    faults.clear_trace();
    storage.remove(&[Lsn::new(1), Lsn::new(2)]).wait().unwrap();
    let calls = faults.trace_lines();
    assert_eq!(calls[0], format!("remove {one}"));
    assert!(calls[1].starts_with(&format!("rename {two} -> spare-")), "{calls:?}");
    assert_eq!(fs::read(dir.path().join("backup")).unwrap()[..6], *b"header");
}

/// A backup may make its link after the look at the removal, or to the spare itself.
#[test]
fn a_spare_that_got_a_second_name_is_not_written_to() {
    let fs = ModelFs::new();
    let settings = FileSettings::default().preallocate_bytes(4096);
    let storage = FileStorage::create_with_file_system(fs.clone(), "/log", settings).unwrap();
    let _lock = storage.lock().wait().unwrap();
    let create = |lsn| {
        let lsn = Lsn::new(lsn);
        let segment = storage.create(lsn, "header".into(), 4096, Publish::New).wait().unwrap();
        segment.write_at(6, vec![lsn.get() as u8; 100].into(), WriteMode::Cached).wait().unwrap();
    };
    create(1);
    storage.remove(&[Lsn::FIRST]).wait().unwrap();
    let names = || {
        let entries = fs.read_dir(Path::new("/log")).unwrap().into_iter();
        entries.map(|entry| entry.name.into_string().unwrap()).collect::<Vec<_>>()
    };
    let spare = names().into_iter().find(|name| name.starts_with("spare-")).unwrap();
    let backup = Path::new("/backup");
    fs.link(&Path::new("/log").join(&spare), backup).unwrap();
    let before = fs.contents(backup).unwrap();
    create(2);
    assert!(fs.contents(backup).unwrap() == before);
    assert!(!names().contains(&spare), "{:?}", names());
    // One without a second name is used as ever.
    storage.remove(&[Lsn::new(2)]).wait().unwrap();
    create(3);
    assert!(!names().iter().any(|name| name.starts_with("spare-")), "{:?}", names());
}

#[test]
fn spares_go_with_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    for (name, storage) in storages(dir.path()) {
        let lock = storage.lock().wait().unwrap();
        for lsn in [1, 2, 3] {
            storage.create(Lsn::new(lsn), "header".into(), 1 << 20, Publish::New).wait().unwrap();
        }
        storage.remove(&[1, 2, 3].map(Lsn::new)).wait().unwrap();
        assert_eq!(bytes(dir.path(), ".tmp").len(), 2, "{name}");
        drop(lock);
        assert!(bytes(dir.path(), ".tmp").is_empty(), "{name}");
        // And none of them is looked for later.
        let _lock = storage.lock().wait().unwrap();
        storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
        storage.remove(&[Lsn::FIRST]).wait().unwrap();
    }
}

#[test]
fn a_log_that_was_closed_or_dropped_leaves_no_spares() {
    let dir = tempfile::tempdir().unwrap();
    for (name, storage) in storages(dir.path()) {
        for close in [true, false] {
            let log = open(&storage);
            work(&log);
            assert!(!bytes(dir.path(), ".tmp").is_empty(), "{name}: nothing was recycled");
            match close {
                true => log.close().unwrap(),
                false => drop(log),
            }
            assert!(bytes(dir.path(), ".tmp").is_empty(), "{name}, closed: {close}");
        }
        for (segment, _) in bytes(dir.path(), ".wal") {
            fs::remove_file(dir.path().join(segment)).unwrap();
        }
    }
}

/// Who has the lock next removes every spare, and makes new ones under the same names.
#[test]
fn the_lock_is_free_only_when_the_spares_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, faults) = watched(dir.path());
    let lock = storage.lock().wait().unwrap();
    storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    storage.remove(&[Lsn::FIRST]).wait().unwrap();
    let seen: Arc<Mutex<Vec<Result<StorageLock>>>> = Arc::default();
    let (other, kept) = (FileStorage::open(dir.path()).unwrap(), seen.clone());
    faults.on_call(Call::Remove, move || kept.lock().unwrap().push(other.lock().wait()));
    drop(lock);
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let kinds: Vec<_> = seen.iter().map(|lock| lock.as_ref().err().map(|e| e.kind())).collect();
    assert_eq!(kinds, [Some(ErrorKind::Locked)]);
    drop(storage.lock().wait().unwrap());
}
