//! Who waits for changes is told, by every storage, and it costs a writer next to nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use wal_core::{Access, Changes, Clock, LogStorage, Lsn, Publish, SystemClock, WriteMode};
use wal_fs::{
    DirEntry, DirectStorage, File, FileStorage, FileSystem, Mapping, MmapStorage, NodeKind,
    RealFile, RealFs,
};

const LONG: Duration = Duration::from_secs(20);

/// Whether a wait ends long before its limit.
fn is_told(changes: &mut dyn Changes, limit: Duration) -> bool {
    let clock = SystemClock::new();
    changes.wait(limit);
    clock.monotonic() < limit
}

fn tells(storage: &dyn LogStorage) {
    let what = storage.describe();
    let _lock = storage.lock().wait().unwrap();
    let block = u64::from(storage.capabilities().alignment.max(1));
    let header = Bytes::from(vec![1; 512]);
    let mut changes = storage.changes().expect("Linux tells of changes");
    let name = |n| Lsn::new(n);
    let first = storage.create(name(1), header.clone(), 1 << 20, Publish::New).wait().unwrap();
    assert!(is_told(&mut *changes, LONG), "{what}: a new segment");
    let mut at = 512_u64.next_multiple_of(block);
    for n in 0..3 {
        // Longer than a writer to a mapping waits until it tells again.
        std::thread::sleep(Duration::from_millis(25));
        while is_told(&mut *changes, Duration::from_millis(30)) {}
        first.write_at(at, vec![2; 100].into(), WriteMode::Cached).wait().unwrap();
        assert!(is_told(&mut *changes, LONG), "{what}: write {n}");
        at += 100;
    }
    // Looking is no change, whatever it looks at.
    while is_told(&mut *changes, Duration::from_millis(30)) {}
    storage.list().wait().unwrap();
    storage.open(name(1), Access::Read).wait().unwrap().read_at(0, 900).wait().unwrap();
    assert!(!is_told(&mut *changes, Duration::from_millis(30)), "{what}: a look");
    storage.remove(&[name(1)]).wait().unwrap();
    assert!(is_told(&mut *changes, LONG), "{what}: a removal");
}

#[cfg(target_os = "linux")]
#[test]
fn every_storage_of_files_tells_of_changes() {
    let temp = tempfile::tempdir().unwrap();
    let dir = |name: &str| temp.path().join(name);
    tells(&FileStorage::create(dir("file")).unwrap());
    tells(&MmapStorage::create(dir("mmap")).unwrap());
    // The file system of temporary files may know no direct I/O.
    let direct = DirectStorage::create(dir("direct")).unwrap();
    if direct.lock().wait().is_ok() {
        tells(&direct);
    }
    #[cfg(feature = "uring")]
    if let Ok(ring) = wal_fs::UringStorage::create(dir("uring")) {
        tells(&ring);
    }
}

/// Real files, the touches of which are counted.
#[derive(Clone, Default)]
struct Touched(Arc<AtomicU64>);

struct TouchedFile(RealFile, Touched);

impl Touched {
    fn wrap(&self, file: RealFile) -> TouchedFile {
        TouchedFile(file, self.clone())
    }
}

impl FileSystem for Touched {
    type File = TouchedFile;
    fn create_new(&self, path: &Path) -> io::Result<TouchedFile> {
        RealFs.create_new(path).map(|file| self.wrap(file))
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<TouchedFile> {
        RealFs.open(path, access).map(|file| self.wrap(file))
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

impl File for TouchedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(buf, offset)
    }
    fn write_through_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_through_at(buf, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn map(&self, offset: u64, len: usize) -> io::Result<Box<dyn Mapping>> {
        self.0.map(offset, len)
    }
    fn touch(&self) {
        self.1.0.fetch_add(1, Ordering::Relaxed);
        self.0.touch();
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }
    fn unlock(&self) -> io::Result<()> {
        self.0.unlock()
    }
}

#[test]
fn a_mapped_file_is_touched_every_20_ms_at_most_and_never_while_nobody_writes() {
    let temp = tempfile::tempdir().unwrap();
    let touched = Touched::default();
    let count = || touched.0.swap(0, Ordering::Relaxed);
    let storage = MmapStorage::create_with_file_system(
        touched.clone(),
        temp.path(),
        wal_fs::MmapSettings::default(),
    );
    let storage = storage.unwrap();
    let _lock = storage.lock().wait().unwrap();
    let segment =
        storage.create(Lsn::FIRST, vec![1; 512].into(), 8 << 20, Publish::New).wait().unwrap();
    assert_eq!(count(), 0);
    let clock = SystemClock::new();
    let mut at = 512;
    while clock.monotonic() < Duration::from_millis(210) && at < 4 << 20 {
        segment.write_at(at, vec![2; 8].into(), WriteMode::Cached).wait().unwrap();
        at += 8;
    }
    let (most, touches) = (clock.monotonic().as_millis() as u64 / 20 + 1, count());
    assert!((1..=most).contains(&touches), "{touches} of at most {most}");
    assert!(at > 512 + 100 * 8, "{at}");
    std::thread::sleep(Duration::from_millis(60));
    segment.sync().wait().unwrap();
    assert_eq!(count(), 0, "nobody wrote");
    segment.write_at(at, vec![2; 8].into(), WriteMode::Cached).wait().unwrap();
    assert_eq!(count(), 1, "at once, after a pause");
}
