//! Places for the storages of this project.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use wal_core::{LogStorage, MemoryStorage};
use wal_fs::{FileSettings, FileStorage, FileSystem};
use wal_testkit::conformance::Place;
use wal_testkit::{CrashPolicy, CrashStorage, FaultFs, ModelFs, Reuse};

pub mod forgetful;
pub mod liar;

pub const DIR: &str = "/var/wal";

pub fn settings() -> FileSettings {
    FileSettings::default().preallocate_bytes(2048)
}

/// `FileStorage` over a model of a disk, seen through `wrap`, which may change what it does.
pub struct Disk<F> {
    fs: FaultFs<ModelFs>,
    /// What was opened last.
    present: RefCell<ModelFs>,
    settings: FileSettings,
    wrap: fn(FaultFs<ModelFs>) -> F,
}

/// The honest disk.
pub fn disk(settings: FileSettings) -> Disk<FaultFs<ModelFs>> {
    Disk::new(settings, |fs| fs)
}

impl<F: FileSystem> Disk<F> {
    pub fn new(settings: FileSettings, wrap: fn(FaultFs<ModelFs>) -> F) -> Self {
        let model = ModelFs::new();
        Disk { fs: FaultFs::new(model.clone()), present: RefCell::new(model), settings, wrap }
    }

    fn storage(&self, fs: FaultFs<ModelFs>) -> FileStorage<F> {
        self.present.replace(fs.inner().clone());
        let fs = (self.wrap)(fs);
        FileStorage::create_with_file_system(fs, DIR, self.settings.clone()).unwrap()
    }
}

impl<F: FileSystem> Place for Disk<F> {
    type Storage = FileStorage<F>;

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

/// `FileStorage` in a directory of this machine.
pub struct Directory {
    temp: tempfile::TempDir,
    settings: FileSettings,
}

pub fn directory(settings: FileSettings) -> Directory {
    Directory { temp: tempfile::tempdir().unwrap(), settings }
}

impl Place for Directory {
    type Storage = FileStorage;

    fn open(&self) -> FileStorage {
        FileStorage::open_with(self.temp.path(), self.settings.clone()).unwrap()
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
