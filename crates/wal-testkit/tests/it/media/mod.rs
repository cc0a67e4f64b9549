//! Places for the storages of this project.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

#[cfg(target_os = "linux")]
use wal_core::ErrorKind;
use wal_core::{LogStorage, MemoryStorage, Result};
use wal_fs::{
    DirectSettings, DirectStorage, FileSettings, FileStorage, FileSystem, MmapSettings, MmapStorage,
};
#[cfg(target_os = "linux")]
use wal_fs::{UringSettings, UringStorage};
use wal_testkit::conformance::Medium;
use wal_testkit::{CrashPolicy, CrashStorage, FaultFs, ModelFs, Reuse};

pub(crate) mod forgetful;
pub(crate) mod liar;
mod liar_segment;

pub(crate) const DIR: &str = "/var/wal";

pub(crate) fn settings() -> FileSettings {
    FileSettings::default().preallocate_bytes(2048)
}

pub(crate) type Honest = FaultFs<ModelFs>;

type OpenOver<S> = Box<dyn Fn(Honest) -> Result<S>>;
type OpenIn<S> = Box<dyn Fn(&Path) -> Result<S>>;

/// A storage over a model of a disk.
pub(crate) struct Disk<S> {
    fs: Honest,
    /// What was opened last.
    present: RefCell<ModelFs>,
    open: OpenOver<S>,
}

/// `FileStorage` over the honest disk.
pub(crate) fn disk(settings: FileSettings) -> Disk<FileStorage<Honest>> {
    Disk::new(move |fs| FileStorage::create_with_file_system(fs, DIR, settings.clone()))
}

/// `DirectStorage` over it.
pub(crate) fn direct_disk(settings: DirectSettings) -> Disk<DirectStorage<Honest>> {
    Disk::new(move |fs| DirectStorage::create_with_file_system(fs, DIR, settings.clone()))
}

/// `MmapStorage` over it.
pub(crate) fn mmap_disk(settings: MmapSettings) -> Disk<MmapStorage<Honest>> {
    Disk::new(move |fs| MmapStorage::create_with_file_system(fs, DIR, settings.clone()))
}

impl<S> Disk<S> {
    pub(crate) fn new(open: impl Fn(Honest) -> Result<S> + 'static) -> Self {
        let model = ModelFs::new();
        let fs = FaultFs::new(model.clone());
        Disk { fs, present: RefCell::new(model), open: Box::new(open) }
    }

    fn storage(&self, fs: Honest) -> S {
        self.present.replace(fs.inner().clone());
        (self.open)(fs).unwrap()
    }
}

impl<S: LogStorage> Medium for Disk<S> {
    type Storage = S;

    fn open(&self) -> Self::Storage {
        self.storage(self.fs.clone())
    }

    fn open_after_kill(&self) -> Option<Self::Storage> {
        Some(self.storage(FaultFs::new(self.fs.inner().process_crash())))
    }

    fn cut_power_after(&self, calls: u64) {
        self.fs.faults().power_off_after(calls);
    }

    fn open_after_power_loss(&self, policy: CrashPolicy) -> Option<Self::Storage> {
        Some(self.storage(FaultFs::new(self.fs.inner().crash(policy))))
    }

    fn power_losses(&self) -> u64 {
        100
    }

    fn calls_below(&self) -> Vec<String> {
        self.fs.faults().trace_lines()
    }

    fn put_foreign(&self) -> Option<String> {
        drop(self.fs.create_new(&Path::new(DIR).join("notes.txt")).unwrap());
        Some("notes.txt".into())
    }

    fn read_set_aside(&self, name: &str) -> Option<Vec<u8>> {
        self.present.borrow().contents(&Path::new(DIR).join(name)).ok()
    }
}

/// A storage in a directory of this machine.
pub(crate) struct Directory<S> {
    temp: tempfile::TempDir,
    open: OpenIn<S>,
    unavailable: Option<String>,
}

pub(crate) fn directory(settings: FileSettings) -> Directory<FileStorage> {
    Directory::new(move |dir| FileStorage::open_with(dir, settings.clone()))
}

pub(crate) fn direct_directory(settings: DirectSettings) -> Directory<DirectStorage> {
    Directory::new(move |dir| DirectStorage::open_with(dir, settings.clone()))
}

pub(crate) fn mmap_directory(settings: MmapSettings) -> Directory<MmapStorage> {
    Directory::new(move |dir| MmapStorage::open_with(dir, settings.clone()))
}

/// Nothing can be run in it where the kernel forbids io_uring.
#[cfg(target_os = "linux")]
pub(crate) fn uring_directory(settings: UringSettings) -> Directory<UringStorage> {
    let mut medium =
        Directory::new(move |dir: &Path| UringStorage::open_with(dir, settings.clone()));
    medium.unavailable = (medium.open)(medium.temp.path())
        .err()
        .filter(|error| error.kind() == ErrorKind::Unsupported)
        .map(|error| error.to_string());
    medium
}

impl<S> Directory<S> {
    pub(crate) fn new(open: impl Fn(&Path) -> Result<S> + 'static) -> Self {
        let temp = tempfile::tempdir().unwrap();
        Directory { temp, open: Box::new(open), unavailable: None }
    }
}

impl<S: LogStorage> Medium for Directory<S> {
    type Storage = S;

    fn open(&self) -> S {
        (self.open)(self.temp.path()).unwrap()
    }

    fn unavailable(&self) -> Option<String> {
        self.unavailable.clone()
    }

    fn put_foreign(&self) -> Option<String> {
        std::fs::write(self.temp.path().join("notes.txt"), "mine").unwrap();
        Some("notes.txt".into())
    }

    fn read_set_aside(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.temp.path().join(name)).ok()
    }
}

/// Memory, which every opening shares.
#[derive(Default)]
pub(crate) struct Memory(pub MemoryStorage);

impl Medium for Memory {
    type Storage = MemoryStorage;

    fn open(&self) -> MemoryStorage {
        self.0.clone()
    }
}

/// Any medium, with its storages behind a pointer or in a wrapper.
pub(crate) struct Wrapped<P: Medium, T> {
    pub(crate) medium: P,
    pub(crate) wrap: fn(P::Storage) -> T,
}

#[deny(clippy::missing_trait_methods)]
impl<P: Medium, T: LogStorage> Medium for Wrapped<P, T> {
    type Storage = T;

    fn open(&self) -> T {
        (self.wrap)(self.medium.open())
    }

    fn unavailable(&self) -> Option<String> {
        self.medium.unavailable()
    }

    fn open_after_kill(&self) -> Option<T> {
        self.medium.open_after_kill().map(self.wrap)
    }

    fn cut_power_after(&self, calls: u64) {
        self.medium.cut_power_after(calls);
    }

    fn open_after_power_loss(&self, policy: CrashPolicy) -> Option<T> {
        self.medium.open_after_power_loss(policy).map(self.wrap)
    }

    fn power_losses(&self) -> u64 {
        self.medium.power_losses()
    }

    fn calls_below(&self) -> Vec<String> {
        self.medium.calls_below()
    }

    fn put_foreign(&self) -> Option<String> {
        self.medium.put_foreign()
    }

    fn read_set_aside(&self, name: &str) -> Option<Vec<u8>> {
        self.medium.read_set_aside(name)
    }
}

/// Behind `Arc<dyn LogStorage>`.
pub(crate) fn shared<P: Medium + 'static>(medium: P) -> Erased<Arc<dyn LogStorage>> {
    let wrap = |storage| Arc::new(storage) as Arc<dyn LogStorage>;
    Erased(Box::new(Wrapped { medium, wrap }))
}

/// Behind `Box<dyn LogStorage>`.
pub(crate) fn boxed<P: Medium + 'static>(medium: P) -> Erased<Box<dyn LogStorage>> {
    let wrap = |storage| Box::new(storage) as Box<dyn LogStorage>;
    Erased(Box::new(Wrapped { medium, wrap }))
}

/// A medium of which only the type of the pointer is known: the checks are compiled once for all.
pub(crate) struct Erased<T>(Box<dyn Medium<Storage = T>>);

#[deny(clippy::missing_trait_methods)]
impl<T: LogStorage> Medium for Erased<T> {
    type Storage = T;

    fn open(&self) -> T {
        self.0.open()
    }

    fn unavailable(&self) -> Option<String> {
        self.0.unavailable()
    }

    fn open_after_kill(&self) -> Option<T> {
        self.0.open_after_kill()
    }

    fn cut_power_after(&self, calls: u64) {
        self.0.cut_power_after(calls);
    }

    fn open_after_power_loss(&self, policy: CrashPolicy) -> Option<T> {
        self.0.open_after_power_loss(policy)
    }

    fn power_losses(&self) -> u64 {
        self.0.power_losses()
    }

    fn calls_below(&self) -> Vec<String> {
        self.0.calls_below()
    }

    fn put_foreign(&self) -> Option<String> {
        self.0.put_foreign()
    }

    fn read_set_aside(&self, name: &str) -> Option<Vec<u8>> {
        self.0.read_set_aside(name)
    }
}

/// Any storage below a cache that a power loss empties.
pub(crate) struct Cached<S: LogStorage>(pub CrashStorage<S>);

impl<S: LogStorage> Cached<S> {
    pub(crate) fn over(storage: S) -> Self {
        Cached(CrashStorage::new(storage))
    }

    pub(crate) fn reusing(self, reuse: Reuse) -> Self {
        self.0.reuse(reuse);
        self
    }
}

impl<S: LogStorage> Medium for Cached<S> {
    type Storage = CrashStorage<S>;

    fn open(&self) -> Self::Storage {
        self.0.clone()
    }

    fn open_after_kill(&self) -> Option<Self::Storage> {
        Some(self.0.process_crash())
    }

    fn cut_power_after(&self, calls: u64) {
        self.0.power_off_after(calls);
    }

    fn open_after_power_loss(&self, policy: CrashPolicy) -> Option<Self::Storage> {
        Some(self.0.crash(policy).unwrap())
    }
}

/// `UringStorage` below a cache that a power loss empties.
#[cfg(target_os = "linux")]
pub(crate) struct CachedUring {
    cached: Cached<Box<dyn LogStorage>>,
    directory: Directory<UringStorage>,
}

#[cfg(target_os = "linux")]
impl CachedUring {
    pub(crate) fn new(settings: UringSettings) -> Self {
        let directory = uring_directory(settings);
        let storage: Box<dyn LogStorage> = match directory.unavailable {
            None => Box::new(directory.open()),
            // Nothing will be run.
            Some(_) => Box::new(MemoryStorage::new()),
        };
        CachedUring { cached: Cached::over(storage), directory }
    }
}

#[cfg(target_os = "linux")]
impl Medium for CachedUring {
    type Storage = CrashStorage<Box<dyn LogStorage>>;

    fn open(&self) -> Self::Storage {
        self.cached.open()
    }

    fn unavailable(&self) -> Option<String> {
        self.directory.unavailable()
    }

    fn open_after_kill(&self) -> Option<Self::Storage> {
        self.cached.open_after_kill()
    }

    fn cut_power_after(&self, calls: u64) {
        self.cached.cut_power_after(calls);
    }

    fn open_after_power_loss(&self, policy: CrashPolicy) -> Option<Self::Storage> {
        self.cached.open_after_power_loss(policy)
    }

    fn power_losses(&self) -> u64 {
        self.cached.power_losses()
    }
}
