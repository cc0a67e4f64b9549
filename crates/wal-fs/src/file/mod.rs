//! `FileStorage`: a log in a directory.
//!
//! | file | idea |
//! | --- | --- |
//! | here | the storage: how it is opened, and what it promises |
//! | `directory` | its files: locked, listed, opened, removed, set aside |
//! | `staged` | a file that is to become a segment, and how it gets the name |
//! | `copy` | a segment copied by sharing the blocks of its file |
//! | `new_directory` | a directory that appears under its name as a whole |
//! | `segment` | one segment in one file |
//! | `spares` | files that are to become segments |
//! | `reserve` | files that hold space for when there is none |
//! | `lock` | the one-writer lock |
//! | `fence` | whether the log is still its opener's, should the lock fail |
//! | `names` | what the files are called |
//! | `settings` | its numbers |

mod copy;
mod directory;
mod fence;
mod lock;
mod names;
mod new_directory;
mod reserve;
mod segment;
mod settings;
mod spares;
mod staged;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use wal_core::{
    Access, Capabilities, Changes, Copied, Io, Listing, LogStorage, Lsn, Publish, Result, Segment,
    Staged, StorageLock, copy_in_pieces,
};

use directory::Directory;
pub use new_directory::NewDirectory;
pub(crate) use segment::FileSegment;
pub use settings::FileSettings;
pub(crate) use settings::range;
pub(crate) use staged::{Nameless, StagedFile};

use crate::os::{FileSystem, RealFs, dir};

/// A log's segments as files in one directory.
///
/// ```
/// use wal_core::{LogStorage, Lsn, Publish, WriteMode};
/// use wal_fs::FileStorage;
///
/// # fn main() -> wal_core::Result<()> {
/// # let temp = tempfile::tempdir().unwrap();
/// # let path = temp.path().join("wal");
/// let storage = FileStorage::create(&path)?;
/// let _lock = storage.lock().wait()?;
/// let segment = storage.create(Lsn::FIRST, "header".into(), 1 << 20, Publish::New).wait()?;
/// segment.write_at(6, "frame".into(), WriteMode::Cached).wait()?;
/// segment.sync().wait()?;
/// assert_eq!(storage.list().wait()?.segments, [Lsn::FIRST]);
/// # Ok(())
/// # }
/// ```
///
/// How the files are called, when they are filled with zeros and when they are recycled is told in
/// the [crate's documentation](crate).
#[derive(Debug)]
pub struct FileStorage<F: FileSystem = RealFs> {
    directory: Arc<Directory<F>>,
}

impl FileStorage {
    /// Uses an existing directory; nothing is created or changed, so it may be read-only.
    ///
    /// # Errors
    /// `NotFound` if there is nothing, `NotALog` if it is a file, or the operating system's error.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(dir, FileSettings::default())
    }

    /// The same, with other settings.
    ///
    /// # Errors
    /// As for [`open`](Self::open); `Invalid` if a setting is out of its range.
    pub fn open_with(dir: impl AsRef<Path>, settings: FileSettings) -> Result<Self> {
        Self::with_file_system(RealFs, dir::absolute(dir.as_ref())?, settings)
    }

    /// Creates the directory, and those above it, where they are missing. When this returns, their
    /// names are durable.
    ///
    /// # Errors
    /// `NotALog` if it or something above it is a file, or the operating system's error.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::create_with(dir, FileSettings::default())
    }

    /// The same, with other settings.
    ///
    /// # Errors
    /// As for [`create`](Self::create); `Invalid` if a setting is out of its range.
    pub fn create_with(dir: impl AsRef<Path>, settings: FileSettings) -> Result<Self> {
        Self::create_with_file_system(RealFs, dir::absolute(dir.as_ref())?, settings)
    }
}

impl<F: FileSystem> FileStorage<F> {
    /// Uses an existing directory of another file system, as [`open`](FileStorage::open) does.
    ///
    /// # Errors
    /// As for [`open_with`](FileStorage::open_with).
    pub fn with_file_system(
        fs: F,
        dir: impl Into<PathBuf>,
        settings: FileSettings,
    ) -> Result<Self> {
        settings.validate()?;
        let dir = dir.into();
        dir::check(&fs, &dir)?;
        Ok(FileStorage { directory: Arc::new(Directory::new(fs, dir, settings)) })
    }

    /// Creates the directory in another file system, as [`create`](FileStorage::create) does.
    ///
    /// # Errors
    /// As for [`create_with`](FileStorage::create_with).
    pub fn create_with_file_system(
        fs: F,
        dir: impl Into<PathBuf>,
        settings: FileSettings,
    ) -> Result<Self> {
        settings.validate()?;
        let dir = dir.into();
        dir::create(&fs, &dir, settings.allow_unsynced_names)?;
        Self::with_file_system(fs, dir, settings)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.directory.path()
    }

    /// The settings.
    pub fn settings(&self) -> &FileSettings {
        self.directory.settings()
    }

    pub(crate) fn directory(&self) -> &Directory<F> {
        &self.directory
    }

    /// Fills files ahead also where that makes no sync quicker.
    pub(crate) fn always_filled(mut self) -> Self {
        Arc::get_mut(&mut self.directory).expect("nothing is staged yet").always_fill();
        self
    }

    /// Begins a segment, of which `prepare` makes what is asked for just before it gets its name.
    pub(crate) fn stage_segment<P>(
        &self,
        name: Lsn,
        capacity: u64,
        prepare: P,
    ) -> Result<StagedFile<F, P>> {
        StagedFile::new(&self.directory, name, capacity, prepare)
    }

    pub(crate) fn open_segment(&self, name: Lsn, access: Access) -> Result<FileSegment<F::File>> {
        self.directory.open_segment(name, access)
    }
}

/// Nothing but the file is needed.
fn as_it_is<F: FileSystem>(Nameless { segment, .. }: Nameless<'_, F>) -> Result<Arc<dyn Segment>> {
    Ok(Arc::new(segment))
}

#[deny(clippy::missing_trait_methods)]
impl<F: FileSystem> LogStorage for FileStorage<F> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::durable()
            .survives_power_loss(self.directory.has_durable_names())
            .recycles(self.directory.max_spares() > 0)
            .write_through(self.settings().write_through && self.directory.trusts_one_call())
    }

    fn describe(&self) -> String {
        self.dir().display().to_string()
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        Io::ready(self.directory.take_lock())
    }

    fn list(&self) -> Io<'_, Listing> {
        Io::ready(self.directory.listing())
    }

    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        Io::ready(self.stage_segment(name, capacity, as_it_is).map(Staged::new))
    }

    fn create(
        &self,
        name: Lsn,
        data: Bytes,
        capacity: u64,
        publish: Publish,
    ) -> Io<'_, Arc<dyn Segment>> {
        let staged = self.stage_segment(name, capacity, as_it_is);
        Io::ready(staged.and_then(|staged| staged.create(&data, publish)))
    }

    fn copy_segment(&self, name: Lsn, source: Arc<dyn Segment>, len: u64) -> Io<'_, Copied> {
        match copy::share(self, name, &*source, len) {
            Ok(Some(copied)) => Io::ready(Ok(copied)),
            Ok(None) => copy_in_pieces(self, name, source, len),
            Err(error) => Io::ready(Err(error)),
        }
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        Io::ready(
            self.open_segment(name, access).map(|segment| Arc::new(segment) as Arc<dyn Segment>),
        )
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        Io::ready(self.directory.remove_segments(names))
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        Io::ready(self.directory.put_aside(label, &data))
    }

    fn open_reserve(&self, open: bool) {
        self.directory.open_reserve(open);
    }

    fn fill_reserve(&self, segment_size: u64) -> Io<'_, ()> {
        Io::ready(self.directory.fill_reserve(segment_size))
    }

    fn reserve(&self) -> Io<'_, u64> {
        Io::ready(self.directory.reserve())
    }

    fn changes(&self) -> Option<Box<dyn Changes>> {
        self.directory.file_system().changes(self.dir())
    }
}
