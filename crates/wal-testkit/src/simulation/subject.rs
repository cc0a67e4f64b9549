//! What is put to the proof: a strategy, and a storage to run it on.

use std::fmt;
use std::sync::Arc;

use wal_core::{LogStorage, Result, SyncStrategy};
use wal_fs::{
    DirectSettings, DirectStorage, FileSettings, FileStorage, LastBlock, MmapSettings, MmapStorage,
};

use crate::{FaultFs, ModelFs};

/// The file system that stands below a storage under test.
pub type Tested = FaultFs<ModelFs>;

type MakeStorage = dyn Fn(Tested) -> Result<Arc<dyn LogStorage>> + Send + Sync;

/// A storage to be tested: how to open it over a given file system, as a new process would.
#[derive(Clone)]
pub struct StorageUnderTest {
    name: String,
    make: Arc<MakeStorage>,
    powersafe: bool,
    reserve: Option<u64>,
    maps_files: bool,
}

/// The bytes of each file of a reserve under test: a segment of the usual size, with its footer.
const RESERVED: u64 = 8192;

impl StorageUnderTest {
    /// The length of the largest segment whose end can be moved into the reserve of
    /// [`with_reserve`](Self::with_reserve): it gets a longer header there, padding and a footer.
    pub(crate) const FITS_IN_RESERVE: u64 = RESERVED - 2048;

    /// A storage of one's own. `open` is called for every opening of the log, thousands of times,
    /// each time with the file system as a crash left it.
    pub fn new(
        name: impl Into<String>,
        open: impl Fn(Tested) -> Result<Arc<dyn LogStorage>> + Send + Sync + 'static,
    ) -> Self {
        StorageUnderTest {
            name: name.into(),
            make: Arc::new(open),
            powersafe: true,
            reserve: None,
            maps_files: false,
        }
    }

    /// `FileStorage` with these settings.
    pub fn files(name: impl Into<String>, settings: FileSettings) -> Self {
        Self::new(name, move |fs| {
            let storage = FileStorage::create_with_file_system(fs, "/log", settings.clone())?;
            Ok(Arc::new(storage))
        })
    }

    /// `DirectStorage` with these settings.
    pub fn direct(name: impl Into<String>, settings: DirectSettings) -> Self {
        Self::new(name, move |fs| {
            let storage = DirectStorage::create_with_file_system(fs, "/log", settings.clone())?;
            Ok(Arc::new(storage))
        })
    }

    /// `MmapStorage` with these settings.
    pub fn mmap(name: impl Into<String>, settings: MmapSettings) -> Self {
        let storage = Self::new(name, move |fs| {
            let storage = MmapStorage::create_with_file_system(fs, "/log", settings.clone())?;
            Ok(Arc::new(storage))
        });
        StorageUnderTest { maps_files: true, ..storage }
    }

    /// The settings of files under test, by their name: small, so that a short workload fills ahead several times, and
    /// without a reserve, which only a full disk needs.
    ///
    /// # Panics
    /// If no files are called so.
    pub(crate) fn settings_of(name: &str) -> FileSettings {
        let filled =
            FileSettings::default().preallocate_bytes(1024).max_spares(1).reserve_bytes(Some(0));
        match name {
            "file" => filled,
            "file-plain" => filled.preallocate_bytes(0).max_spares(0),
            "file-through" => filled.write_through(true),
            "file-reserve" => filled.reserve_bytes(Some(3 * RESERVED)),
            _ => panic!("no files are called {name}"),
        }
    }

    fn files_called(name: &str) -> Self {
        Self::files(name, Self::settings_of(name))
    }

    /// The shipped storages: files that are filled ahead and recycled, files that are neither, files
    /// written through, files written past the cache, and files that are mapped.
    ///
    /// Where a write and its sync are one call (`file-through`, `direct`), no sync is simulated that is
    /// slow while others append: on the one thread of a simulation nobody could.
    #[must_use]
    pub fn shipped() -> Vec<Self> {
        let direct = small_blocks();
        let mmap = MmapSettings::default()
            .window_bytes(1024)
            .helper_thread(false)
            .max_spares(1)
            .reserve_bytes(Some(0));
        vec![
            Self::files_called("file"),
            Self::files_called("file-plain"),
            Self::files_called("file-through"),
            Self::direct("direct", direct),
            Self::mmap("mmap", mmap),
        ]
    }

    /// `DirectStorage` that pads the last block of each write, on a device without powersafe overwrite:
    /// whatever becomes of a block that is being written, the claims hold.
    #[must_use]
    pub fn direct_padded() -> Self {
        // What is filled ahead is synced, with all that was written before: where each record takes a block,
        // little filling would make more durable than a strategy claims.
        let settings = small_blocks().preallocate_bytes(8192).last_block(LastBlock::Padded);
        Self::direct("direct-padded", settings).without_powersafe_overwrite()
    }

    /// `DirectStorage` on a file system where a write-through of one call was not tried, and is not to be believed: the
    /// first one in place after a sync stays in the cache of the device, as on f2fs.
    #[must_use]
    pub fn direct_untried() -> Self {
        Self::direct("direct-untried", small_blocks()).with_lazy_write_through()
    }

    /// The one of [`all`](Self::all) that is called so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|storage| storage.name == name)
    }

    /// The [`shipped`](Self::shipped) ones, those [on other devices](Self::on_other_devices) and those
    /// [with a reserve](Self::with_reserve).
    #[must_use]
    pub fn all() -> Vec<Self> {
        [Self::shipped(), Self::on_other_devices(), Self::with_reserve()].concat()
    }

    /// Storages that keep a reserve: files, files written past the cache, and files that are mapped. An exploration of one
    /// of them also fills the disk at every step.
    #[must_use]
    pub fn with_reserve() -> Vec<Self> {
        let bytes = Some(3 * RESERVED);
        let direct = small_blocks().reserve_bytes(bytes);
        let mmap = MmapSettings::default().window_bytes(1024).helper_thread(false).max_spares(1);
        let storages = [
            Self::files_called("file-reserve"),
            Self::direct("direct-reserve", direct),
            Self::mmap("mmap-reserve", mmap.reserve_bytes(bytes)),
        ];
        storages.map(|storage| StorageUnderTest { reserve: bytes, ..storage }).to_vec()
    }

    /// [`direct_padded`](Self::direct_padded) and [`direct_untried`](Self::direct_untried).
    #[must_use]
    pub fn on_other_devices() -> Vec<Self> {
        vec![Self::direct_padded(), Self::direct_untried()]
    }

    /// The same on a file system whose write-through of one call is not to be believed
    /// ([`ModelFs::set_lazy_write_through`]).
    #[must_use]
    pub fn with_lazy_write_through(&self) -> Self {
        self.over(|fs| fs.inner().set_lazy_write_through(true))
    }

    /// The same over a file system that `change` was made to.
    fn over(&self, change: impl Fn(&Tested) + Send + Sync + 'static) -> Self {
        let inner = self.make.clone();
        let make = move |fs: Tested| {
            change(&fs);
            inner(fs)
        };
        StorageUnderTest { make: Arc::new(make), ..self.clone() }
    }

    /// The same on a device that may ruin every sector that it was writing when the power failed, with the
    /// durable bytes in it.
    #[must_use]
    pub fn without_powersafe_overwrite(&self) -> Self {
        StorageUnderTest { powersafe: false, ..self.over(|fs| fs.inner().set_powersafe(false)) }
    }

    /// How many bytes its reserve is to have, if the disk is to be filled.
    pub(crate) fn reserve(&self) -> Option<u64> {
        self.reserve
    }

    /// Whether a file that somebody cuts kills who writes to it.
    pub(crate) fn maps_files(&self) -> bool {
        self.maps_files
    }

    pub(crate) fn is_powersafe(&self) -> bool {
        self.powersafe
    }

    /// Its name, for reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same storage with every opening passed through `wrap`.
    #[must_use]
    pub fn wrapped(
        &self,
        wrap: impl Fn(Arc<dyn LogStorage>) -> Arc<dyn LogStorage> + Send + Sync + 'static,
    ) -> Self {
        let inner = self.make.clone();
        let make = move |fs| inner(fs).map(&wrap);
        StorageUnderTest { make: Arc::new(make), ..self.clone() }
    }

    pub(crate) fn open(&self, fs: Tested) -> Result<Arc<dyn LogStorage>> {
        (self.make)(fs)
    }
}

/// Small, so that a short workload fills ahead several times.
fn small_blocks() -> DirectSettings {
    DirectSettings::default()
        .block_bytes(Some(512))
        .preallocate_bytes(1024)
        .max_spares(1)
        .reserve_bytes(Some(0))
}

impl fmt::Debug for StorageUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorageUnderTest({})", self.name)
    }
}

/// A strategy on a storage.
#[derive(Clone)]
#[non_exhaustive]
pub struct Subject {
    /// The strategy.
    pub strategy: Arc<dyn SyncStrategy>,
    /// How it is spelled in a trace; its own name if it has no spelling.
    pub spelling: String,
    /// The storage.
    pub storage: StorageUnderTest,
}

impl Subject {
    /// A strategy on the default storage, `FileStorage` over the model file system.
    pub fn new(strategy: impl SyncStrategy) -> Self {
        let spelling = strategy.name();
        let storage = StorageUnderTest::shipped().swap_remove(0);
        Subject { strategy: Arc::new(strategy), spelling, storage }
    }

    /// On another storage.
    #[must_use]
    pub fn on(mut self, storage: StorageUnderTest) -> Self {
        self.storage = storage;
        self
    }

    /// Spelled so in traces, for instance as the command line spells it.
    #[must_use]
    pub fn spelled(mut self, spelling: impl Into<String>) -> Self {
        self.spelling = spelling.into();
        self
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.spelling, self.storage.name)
    }
}
