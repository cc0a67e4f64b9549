//! What file systems differ in: write-through that is not to be believed, directories that cannot be synced, locks that
//! are refused. And what must not depend on who wrote a log with which settings.

use std::io::{self, ErrorKind as Os};
use std::path::Path;
use std::sync::Arc;

use wal_core::{
    Access, Always, Claim, ErrorKind, LogStorage, Loss, Lsn, Publish, Result, Segment, Settings,
    Wal, WriteMode,
};
use wal_fs::{
    DirEntry, DirectFile, DirectSettings, DirectStorage, FileSettings, FileStorage, FileSystem,
    FsProfile, MmapSettings, MmapStorage, NodeKind, RealFs,
};
use wal_recovery::{Inspect, Recovery, Verdict, Verify};
use wal_testkit::{Call, CrashPolicy, FaultFs, Faults, ModelFs};

const ONE: &str = "00000000000000000001.wal";

type Model = FaultFs<ModelFs>;
type Make = fn(Model, Option<bool>) -> Result<Arc<dyn LogStorage>>;

fn file_through(fs: Model, trust: Option<bool>) -> Result<Arc<dyn LogStorage>> {
    let settings = FileSettings::default()
        .preallocate_bytes(4096)
        .write_through(true)
        .trust_write_through(trust);
    Ok(Arc::new(FileStorage::create_with_file_system(fs, "/log", settings)?))
}

fn direct(fs: Model, trust: Option<bool>) -> Result<Arc<dyn LogStorage>> {
    let settings = DirectSettings::default()
        .preallocate_bytes(4096)
        .block_bytes(Some(512))
        .trust_write_through(trust);
    Ok(Arc::new(DirectStorage::create_with_file_system(fs, "/log", settings)?))
}

const THROUGH: [Make; 2] = [file_through, direct];

/// A file system whose write-through may be lazy.
fn device(lazy: bool) -> (ModelFs, Model, Faults) {
    let fs = ModelFs::new();
    fs.set_lazy_write_through(lazy);
    let watched = FaultFs::new(fs.clone());
    let faults = watched.faults().clone();
    (fs, watched, faults)
}

/// A segment with a header of 512 bytes, filled up to 4096 and synced.
fn segment(storage: &dyn LogStorage) -> Arc<dyn Segment> {
    storage.create(Lsn::FIRST, vec![b'h'; 512].into(), 1 << 20, Publish::New).wait().unwrap()
}

#[test]
fn one_call_is_believed_only_where_it_was_tried_or_where_the_setting_says_so() {
    for make in THROUGH {
        for (lazy, trust, believed) in [
            (false, None, true),
            (true, None, false),
            (false, Some(false), false),
            (true, Some(true), true),
        ] {
            let (_, fs, faults) = device(lazy);
            let storage = make(fs, trust).unwrap();
            assert_eq!(storage.capabilities().write_through, believed, "{lazy} {trust:?}");
            let segment = segment(&*storage);
            faults.clear_trace();
            segment.write_at(512, vec![1; 512].into(), WriteMode::Through).wait().unwrap();
            let calls = match believed {
                true => vec![format!("write through {ONE} 512+512")],
                false => vec![format!("write {ONE} 512+512"), format!("sync data {ONE}")],
            };
            assert_eq!(faults.trace_lines(), calls, "{lazy} {trust:?}");
        }
    }
}

#[test]
fn what_a_lazy_device_keeps_back_is_durable_unless_it_is_believed() {
    for make in THROUGH {
        for (trust, kept) in [(None, true), (Some(true), false)] {
            let (fs, watched, _) = device(true);
            let segment = segment(&*make(watched, trust).unwrap());
            segment.write_at(512, vec![7; 512].into(), WriteMode::Through).wait().unwrap();
            let image = fs.crash(CrashPolicy::DropUnsynced);
            let bytes = image.contents(&Path::new("/log").join(ONE)).unwrap();
            assert_eq!(bytes[512..1024] == [7; 512], kept, "{trust:?}");
        }
    }
}

/// The one that is asked about is that of the directory, through the whole stack.
#[test]
fn the_file_system_of_this_directory_decides() {
    let dir = tempfile::tempdir().unwrap();
    let known = RealFs.profile(dir.path());
    assert!(cfg!(target_os = "linux") || known == FsProfile::UNKNOWN);
    let settings = FileSettings::default().write_through(true);
    let believed = |settings| {
        FileStorage::open_with(dir.path(), settings).unwrap().capabilities().write_through
    };
    assert_eq!(believed(settings.clone()), known.write_through);
    assert!(believed(settings.clone().trust_write_through(Some(true))));
    assert!(!believed(settings.trust_write_through(Some(false))));
    assert!(!believed(FileSettings::default()), "it was not asked for");
}

/// A file system that copies on write.
struct CopyOnWrite(Model);

impl FileSystem for CopyOnWrite {
    type File = <Model as FileSystem>::File;
    fn create_new(&self, path: &Path) -> io::Result<Self::File> {
        self.0.create_new(path)
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File> {
        self.0.open(path, access)
    }
    fn open_direct(&self, path: &Path) -> io::Result<DirectFile<Self::File>> {
        self.0.open_direct(path)
    }
    fn kind(&self, path: &Path) -> io::Result<NodeKind> {
        self.0.kind(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.read_dir(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }
    fn profile(&self, dir: &Path) -> FsProfile {
        self.0.profile(dir).in_place(false)
    }
}

#[test]
fn where_writes_are_copied_no_zeros_are_written_ahead_unless_they_are_mapped() {
    for kind in 0..3 {
        let (_, fs, faults) = device(false);
        let fs = CopyOnWrite(fs);
        let storage: Arc<dyn LogStorage> = match kind {
            0 => Arc::new(
                FileStorage::create_with_file_system(fs, "/log", Default::default()).unwrap(),
            ),
            1 => Arc::new(
                DirectStorage::create_with_file_system(fs, "/log", Default::default()).unwrap(),
            ),
            _ => {
                let settings = MmapSettings::default().helper_thread(false);
                Arc::new(MmapStorage::create_with_file_system(fs, "/log", settings).unwrap())
            }
        };
        let segment = storage
            .create(Lsn::FIRST, vec![b'h'; 4096].into(), 4 << 20, Publish::New)
            .wait()
            .unwrap();
        for n in 0..10 {
            let data = bytes::Bytes::from(vec![n as u8 + 1; 5000]);
            segment.write_at(4096 + n * 5000, data, WriteMode::Through).wait().unwrap();
        }
        for n in 0..10 {
            let found = segment.read_at(4096 + n * 5000, 5000).wait().unwrap();
            assert!(found == vec![n as u8 + 1; 5000], "storage {kind}, write {n}");
        }
        let written = faults.counters().write_bytes;
        assert_eq!(written >= 1 << 20, kind == 2, "storage {kind}: {written} bytes");
    }
}

/// A file system that syncs no directories.
fn without_dir_syncs() -> (ModelFs, Model, Faults) {
    let (fs, watched, faults) = device(false);
    fs.refuse_dir_syncs(true);
    (fs, watched, faults)
}

#[test]
fn where_no_directory_can_be_synced_the_error_names_the_setting() {
    let refused = |storage: Result<FileStorage<Model>>| {
        let error = match storage {
            Ok(storage) => storage.lock().wait().unwrap_err(),
            Err(error) => error,
        };
        assert_eq!((error.kind(), error.op()), (ErrorKind::Unsupported, "sync directory"));
        assert!(error.to_string().contains("allow_unsynced_names"), "{error}");
        assert!(error.to_string().contains("a power loss may take"), "{error}");
    };
    let (_, fs, _) = without_dir_syncs();
    refused(FileStorage::create_with_file_system(fs.clone(), "/log", FileSettings::default()));
    // The directory is there by now.
    refused(FileStorage::with_file_system(fs, "/log", FileSettings::default()));
}

#[test]
fn what_it_costs_to_go_on_there_stands_in_the_claim() {
    let allow = FileSettings::default().allow_unsynced_names(true);
    let (fs, watched, _) = without_dir_syncs();
    let open = |fs: Model| {
        FileStorage::create_with_file_system(fs, "/log", allow.clone()).map(|storage| {
            let capabilities = storage.capabilities();
            assert!(capabilities.survives_process_crash && !capabilities.survives_power_loss);
            // A file whose old name may come back must not hold another segment.
            assert!(!capabilities.recycles);
            let (recovered, _) = Recovery::new(storage).run().unwrap();
            Wal::builder(Always).open(recovered).unwrap()
        })
    };
    let log = open(watched).unwrap();
    assert_eq!(log.claim(), Claim::written(Loss::UNBOUNDED));
    log.append(b"acknowledged as durable").unwrap();
    // A power loss takes the name, and the record with it.
    let image = fs.crash(CrashPolicy::DropUnsynced);
    assert!(image.read_dir(Path::new("/log")).is_err(), "not even the directory need be there");
    // The death of the process costs nothing.
    let next = fs.process_crash();
    drop(log);
    let log = open(FaultFs::new(next)).unwrap();
    assert_eq!(log.read(Lsn::FIRST).unwrap().record, "acknowledged as durable");
    log.truncate_before(Lsn::new(2)).unwrap();
    log.close().unwrap();
}

#[test]
fn where_directories_can_be_synced_the_setting_changes_nothing() {
    let allow = FileSettings::default().allow_unsynced_names(true);
    let (fs, watched, faults) = device(false);
    let storage = FileStorage::create_with_file_system(watched, "/log", allow).unwrap();
    assert!(storage.capabilities().survives_power_loss && storage.capabilities().recycles);
    storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    assert!(fs.crash(CrashPolicy::DropUnsynced).contents(&Path::new("/log").join(ONE)).is_ok());
    // The device failed, which is something else than a refusal.
    faults.fail_once(Call::SyncDir, 1, Os::Other);
    let error = storage.remove(&[Lsn::FIRST]).wait().unwrap_err();
    assert_eq!((error.kind(), error.op()), (ErrorKind::Io, "sync directory"));
}

#[test]
fn a_place_without_locks_is_told_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let fs = FaultFs::new(RealFs);
    let faults = fs.faults().clone();
    let storage = FileStorage::with_file_system(fs, dir.path(), FileSettings::default()).unwrap();
    faults.fail_once(Call::Lock, 1, Os::Unsupported);
    let error = storage.lock().wait().unwrap_err();
    assert_eq!((error.kind(), error.op()), (ErrorKind::Unsupported, "lock log"));
    assert!(error.to_string().contains("grants no locks"), "{error}");
    assert!(error.to_string().contains("keep the log on a local disk"), "{error}");
    faults.fail_once(Call::Lock, 1, Os::Other);
    assert_eq!(storage.lock().wait().unwrap_err().kind(), ErrorKind::Io);
    drop(storage.lock().wait().unwrap());
}

/// Every storage with its default settings, which fill ahead.
fn with_defaults(fs: &Model, kind: usize) -> Arc<dyn LogStorage> {
    let fs = fs.clone();
    match kind {
        0 => {
            Arc::new(FileStorage::create_with_file_system(fs, "/log", Default::default()).unwrap())
        }
        1 => {
            let settings = DirectSettings::default();
            Arc::new(DirectStorage::create_with_file_system(fs, "/log", settings).unwrap())
        }
        _ => {
            let settings = MmapSettings::default().helper_thread(false);
            Arc::new(MmapStorage::create_with_file_system(fs, "/log", settings).unwrap())
        }
    }
}

#[test]
fn to_open_a_log_that_was_closed_writes_no_zeros() {
    for kind in 0..3 {
        let (_, fs, faults) = device(false);
        let open = || Recovery::new(with_defaults(&fs, kind)).run().unwrap().0;
        let log = Wal::builder(Always).open(open()).unwrap();
        log.append(b"record").unwrap();
        log.close().unwrap();
        let before = faults.counters().write_bytes;
        let log = Wal::builder(Always).open(open()).unwrap();
        log.close().unwrap();
        let written = faults.counters().write_bytes - before;
        // The footer once more, in a block where blocks are written, the process id, and the name of the owner.
        assert!(written <= 4096 + 100, "storage {kind}: {written} bytes");
    }
}

/// Who wrote a segment how is in its header: a blank behind the last frame is looked for where it was written.
#[test]
fn a_killed_writers_log_is_sound_to_a_reader_with_other_settings() {
    let [plain, recycling] = [0, 2].map(|spares| FileSettings::default().max_spares(spares));
    for (writer, reader) in [(&plain, &recycling), (&recycling, &plain)] {
        let dir = tempfile::tempdir().unwrap();
        let storage =
            FileStorage::open_with(dir.path(), writer.clone().preallocate_bytes(0)).unwrap();
        let (recovered, _) = Recovery::new(storage).run().unwrap();
        let settings = Settings::default().segment_size(4096);
        let log = Wal::builder(Always).settings(settings).open(recovered).unwrap();
        for n in 0..100_u32 {
            log.append(&n.to_le_bytes()).unwrap();
        }
        // Killed: nothing of it runs any more. A copy can be locked.
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        drop(log);
        let open = || FileStorage::open_with(copy.path(), reader.clone()).unwrap();
        let report = Inspect::new(open()).verify(Verify::All).run().unwrap();
        assert_eq!((report.verdict(), report.records), (Verdict::Clean, 100), "{report}");
        let (_, report) = Recovery::new(open()).run().unwrap();
        assert_eq!((report.verdict(), report.records), (Verdict::Clean, 100), "{report}");
        assert!(report.cut.is_empty(), "{report}");
    }
}
