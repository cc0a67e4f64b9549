//! Places for the storages of this project.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

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
use wal_testkit::conformance::Place;
use wal_testkit::{CrashPolicy, CrashStorage, FaultFs, ModelFs, Reuse};

pub mod forgetful;
pub mod liar;

pub const DIR: &str = "/var/wal";

pub fn settings() -> FileSettings {
    FileSettings::default().preallocate_bytes(2048)
}

pub type Honest = FaultFs<ModelFs>;

type OpenOver<S> = Box<dyn Fn(Honest) -> Result<S>>;
type OpenIn<S> = Box<dyn Fn(&Path) -> Result<S>>;

/// A storage over a model of a disk.
pub struct Disk<S> {
    fs: Honest,
    /// What was opened last.
    present: RefCell<ModelFs>,
    open: OpenOver<S>,
}

/// `FileStorage` over the honest disk.
pub fn disk(settings: FileSettings) -> Disk<FileStorage<Honest>> {
    Disk::new(move |fs| FileStorage::create_with_file_system(fs, DIR, settings.clone()))
}

/// `DirectStorage` over it.
pub fn direct_disk(settings: DirectSettings) -> Disk<DirectStorage<Honest>> {
    Disk::new(move |fs| DirectStorage::create_with_file_system(fs, DIR, settings.clone()))
}

/// `MmapStorage` over it.
pub fn mmap_disk(settings: MmapSettings) -> Disk<MmapStorage<Honest>> {
    Disk::new(move |fs| MmapStorage::create_with_file_system(fs, DIR, settings.clone()))
}

impl<S> Disk<S> {
    pub fn new(open: impl Fn(Honest) -> Result<S> + 'static) -> Self {
        let model = ModelFs::new();
        let fs = FaultFs::new(model.clone());
        Disk { fs, present: RefCell::new(model), open: Box::new(open) }
    }

    fn storage(&self, fs: Honest) -> S {
        self.present.replace(fs.inner().clone());
        (self.open)(fs).unwrap()
    }
}

impl<S: LogStorage> Place for Disk<S> {
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
pub struct Directory<S> {
    temp: tempfile::TempDir,
    open: OpenIn<S>,
    unavailable: Option<String>,
}

pub fn directory(settings: FileSettings) -> Directory<FileStorage> {
    Directory::new(move |dir| FileStorage::open_with(dir, settings.clone()))
}

pub fn direct_directory(settings: DirectSettings) -> Directory<DirectStorage> {
    Directory::new(move |dir| DirectStorage::open_with(dir, settings.clone()))
}

pub fn mmap_directory(settings: MmapSettings) -> Directory<MmapStorage> {
    Directory::new(move |dir| MmapStorage::open_with(dir, settings.clone()))
}

/// Nothing can be run in it where the kernel forbids io_uring.
#[cfg(target_os = "linux")]
pub fn uring_directory(settings: UringSettings) -> Directory<UringStorage> {
    let mut place =
        Directory::new(move |dir: &Path| UringStorage::open_with(dir, settings.clone()));
    place.unavailable = (place.open)(place.temp.path())
        .err()
        .filter(|error| error.kind() == ErrorKind::Unsupported)
        .map(|error| error.to_string());
    place
}

impl<S> Directory<S> {
    pub fn new(open: impl Fn(&Path) -> Result<S> + 'static) -> Self {
        let temp = tempfile::tempdir().unwrap();
        Directory { temp, open: Box::new(open), unavailable: None }
    }
}

impl<S: LogStorage> Place for Directory<S> {
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
pub struct Memory(pub MemoryStorage);

impl Place for Memory {
    type Storage = MemoryStorage;

    fn open(&self) -> MemoryStorage {
        self.0.clone()
    }
}

/// Any place, with its storages behind a pointer or in a wrapper.
pub struct Wrapped<P: Place, T> {
    pub place: P,
    pub wrap: fn(P::Storage) -> T,
}

impl<P: Place, T: LogStorage> Place for Wrapped<P, T> {
    type Storage = T;

    fn open(&self) -> T {
        (self.wrap)(self.place.open())
    }

    fn unavailable(&self) -> Option<String> {
        self.place.unavailable()
    }

    fn open_after_kill(&self) -> Option<T> {
        self.place.open_after_kill().map(self.wrap)
    }

    fn cut_power_after(&self, calls: u64) {
        self.place.cut_power_after(calls);
    }

    fn open_after_power_loss(&self, policy: CrashPolicy) -> Option<T> {
        self.place.open_after_power_loss(policy).map(self.wrap)
    }

    fn power_losses(&self) -> u64 {
        self.place.power_losses()
    }

    fn calls_below(&self) -> Vec<String> {
        self.place.calls_below()
    }

    fn put_foreign(&self) -> Option<String> {
        self.place.put_foreign()
    }

    fn read_set_aside(&self, name: &str) -> Option<Vec<u8>> {
        self.place.read_set_aside(name)
    }
}

/// Behind `Arc<dyn LogStorage>`.
pub fn shared<P: Place + 'static>(place: P) -> Erased<Arc<dyn LogStorage>> {
    let wrap = |storage| Arc::new(storage) as Arc<dyn LogStorage>;
    Erased(Box::new(Wrapped { place, wrap }))
}

/// Behind `Box<dyn LogStorage>`.
pub fn boxed<P: Place + 'static>(place: P) -> Erased<Box<dyn LogStorage>> {
    let wrap = |storage| Box::new(storage) as Box<dyn LogStorage>;
    Erased(Box::new(Wrapped { place, wrap }))
}

/// A place of which only the type of the pointer is known: the checks are compiled once for all.
pub struct Erased<T>(Box<dyn Place<Storage = T>>);

impl<T: LogStorage> Place for Erased<T> {
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
pub struct Cached<S: LogStorage>(pub CrashStorage<S>);

impl<S: LogStorage> Cached<S> {
    pub fn over(storage: S) -> Self {
        Cached(CrashStorage::new(storage))
    }

    pub fn reusing(self, reuse: Reuse) -> Self {
        self.0.reuse(reuse);
        self
    }
}

impl<S: LogStorage> Place for Cached<S> {
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
pub struct CachedUring {
    cached: Cached<Box<dyn LogStorage>>,
    directory: Directory<UringStorage>,
}

#[cfg(target_os = "linux")]
impl CachedUring {
    pub fn new(settings: UringSettings) -> Self {
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
impl Place for CachedUring {
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
