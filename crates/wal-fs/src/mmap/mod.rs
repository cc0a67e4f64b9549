//! `MmapStorage`: a log in a directory, written through memory that is mapped to its files.
//!
//! | file | idea |
//! | --- | --- |
//! | here | which segments are mapped, and when they are no more |
//! | `segment` | one file, and the part of it that is mapped |
//! | `windows` | that part, in pieces |
//! | `helper` | the thread that prepares the next piece |
//! | `settings` | its numbers |

mod helper;
mod segment;
mod settings;
mod windows;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use helper::Helper;
use segment::MmapSegment;
pub use settings::MmapSettings;
use wal_core::{Access, Io, LogStorage, Lsn, Result, Segment, StorageLock};

use crate::file::{FileStorage, Nameless, StagedFile};
use crate::layer::{Handles, forward};
use crate::os::{FileSystem, RealFs, dir};

/// A log's segments as files in one directory, written by copying into mapped memory.
///
/// The directory looks like that of a [`FileStorage`], and each opens what the other wrote. The
/// difference is that an unsynced write is a copy in memory and no call into the system. It survives the
/// death of the process all the same, as the memory is the system's cache of the file. A sync is an
/// `fdatasync`, and somewhat dearer than elsewhere, because it write-protects the page, and the next copy
/// has to lift that again: this storage is for logs whose records need to survive the process at once and a
/// power loss later, by a strategy that syncs rarely.
///
/// ```
/// use wal_core::{LogStorage, Lsn, Publish, WriteMode};
/// use wal_fs::MmapStorage;
///
/// # fn main() -> wal_core::Result<()> {
/// # let temp = tempfile::tempdir().unwrap();
/// # let path = temp.path().join("wal");
/// let storage = MmapStorage::create(&path)?;
/// let _lock = storage.lock().wait()?;
/// let segment = storage.create(Lsn::FIRST, "header".into(), 1 << 20, Publish::New).wait()?;
/// segment.write_at(6, "frame".into(), WriteMode::Cached).wait()?;
/// assert_eq!(segment.read_at(0, 11).wait()?, "headerframe");
/// # Ok(())
/// # }
/// ```
///
/// # Windows
/// Of the segment that is being written pieces of [`window_bytes`](MmapSettings::window_bytes) are mapped,
/// up to three at a time. When half of one is full, the storage's [helper](MmapSettings::helper_thread) fills
/// the file with zeros up to the end of the next one and maps that, so that who appends need not wait for
/// it. Then it unmaps the one before, and has the system begin to write to the device what no sync has
/// covered: the sync of the whole segment, for which the next segment waits, finds little left to do. A write
/// that leaves what is mapped is an ordinary one. Segments that were opened, to be read or mended, are not
/// mapped: reads are ordinary ones everywhere.
///
/// If the helper cannot map, the write that needs the window says why. What the system cannot write to the
/// device it tells to the next sync, as always.
///
/// # A store cannot fail
/// A store into mapped memory has no way to report an error: the system kills the process (`SIGBUS`).
/// So nothing is mapped that a store might not find room for: the bytes of a window were written
/// before, not only allocated, and a full disk refuses *that* write, with an error. Where there is no
/// room for the zeros but still for the data, the segment goes on with ordinary writes. On Linux a
/// window's pages are also made present when it is mapped, so that a page that cannot be had is an
/// error then, and no signal later.
///
/// What remains: **who truncates a segment's file by hand while a log writes to it, kills the log's
/// process.** So does a second opener that recovers the log because the lock had failed: the first process may die of it,
/// where another storage would say [`LostOwnership`](wal_core::ErrorKind::LostOwnership). What it had acknowledged is there.
/// A file system that copies on write (btrfs, ZFS) needs room even for bytes that were
/// written before, and can run out of it at any store: use [`FileStorage`] there. So do on network file
/// systems.
///
/// # A death in the middle of a copy
/// A process that is killed while it copies leaves any part of the bytes. That is a torn tail like any
/// other: nothing of it was acknowledged.
pub struct MmapStorage<F: FileSystem = RealFs> {
    files: FileStorage<F>,
    settings: MmapSettings,
    /// The segments that may be mapped.
    mapped: Arc<Handles<MmapSegment<F::File>>>,
    helper: Arc<Helper>,
}

impl MmapStorage {
    /// Uses an existing directory; nothing is created or changed, so it may be read-only.
    ///
    /// # Errors
    /// As for [`FileStorage::open`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(dir, MmapSettings::default())
    }

    /// The same, with other settings.
    ///
    /// # Errors
    /// As for [`open`](Self::open); `Invalid` if a setting is out of its range.
    pub fn open_with(dir: impl AsRef<Path>, settings: MmapSettings) -> Result<Self> {
        Self::with_file_system(RealFs, dir::absolute(dir.as_ref())?, settings)
    }

    /// Creates the directory, and those above it, where they are missing. When this returns, their
    /// names are durable.
    ///
    /// # Errors
    /// As for [`FileStorage::create`].
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::create_with(dir, MmapSettings::default())
    }

    /// The same, with other settings.
    ///
    /// # Errors
    /// As for [`create`](Self::create); `Invalid` if a setting is out of its range.
    pub fn create_with(dir: impl AsRef<Path>, settings: MmapSettings) -> Result<Self> {
        Self::create_with_file_system(RealFs, dir::absolute(dir.as_ref())?, settings)
    }
}

impl<F: FileSystem> MmapStorage<F> {
    /// Uses an existing directory of another file system, as [`open`](MmapStorage::open) does.
    ///
    /// # Errors
    /// As for [`FileStorage::with_file_system`].
    pub fn with_file_system(
        fs: F,
        dir: impl Into<PathBuf>,
        settings: MmapSettings,
    ) -> Result<Self> {
        settings.validate()?;
        FileStorage::with_file_system(fs, dir, settings.files())
            .map(|files| Self::new(files, settings))
    }

    /// Creates the directory in another file system, as [`create`](MmapStorage::create) does.
    ///
    /// # Errors
    /// As for [`FileStorage::create_with_file_system`].
    pub fn create_with_file_system(
        fs: F,
        dir: impl Into<PathBuf>,
        settings: MmapSettings,
    ) -> Result<Self> {
        settings.validate()?;
        FileStorage::create_with_file_system(fs, dir, settings.files())
            .map(|files| Self::new(files, settings))
    }

    fn new(files: FileStorage<F>, settings: MmapSettings) -> Self {
        let helper = Arc::new(Helper::new(settings.helper_thread));
        // Only bytes that are there can be mapped.
        let files = files.always_filled();
        MmapStorage { files, settings, mapped: Arc::new(Handles::new()), helper }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.files.dir()
    }

    /// The settings.
    pub fn settings(&self) -> &MmapSettings {
        &self.settings
    }

    fn files(&self) -> &FileStorage<F> {
        &self.files
    }

    fn stage_segment(&self, name: Lsn, capacity: u64) -> Result<StagedFile<F, Prepare<F>>> {
        let step = self.settings.window_bytes;
        let (mapped, helper) = (self.mapped.clone(), self.helper.clone());
        let prepare: Prepare<F> = Box::new(move |Nameless { segment, end, .. }| {
            let segment = MmapSegment::mapped(segment, helper, end, step)?;
            mapped.add(name, &segment);
            Ok(segment)
        });
        self.files.stage_segment(name, capacity, prepare)
    }

    fn open_segment(&self, name: Lsn, access: Access) -> Result<Arc<dyn Segment>> {
        if access == Access::Write {
            self.unmap(name)?;
        }
        let plain = self.files.open_segment(name, access)?;
        Ok(MmapSegment::unmapped(plain, self.helper.clone()))
    }

    /// Somebody else may cut the file from now on: no handle must have it mapped.
    fn unmap(&self, name: Lsn) -> Result<()> {
        self.mapped.of(name).iter().try_for_each(|segment| segment.unmap())
    }
}

/// Maps the first window of a file, just before it gets its name.
type Prepare<F> = Box<dyn FnOnce(Nameless<'_, F>) -> Result<Arc<dyn Segment>> + Send>;

/// Waits for the helper when it is dropped: for the filling of a window, if it is at that. Beside a lock, and
/// dropped before it: who has the lock after us must not find us filling files.
struct Settled(Arc<Helper>);

impl Drop for Settled {
    fn drop(&mut self) {
        self.0.settle();
    }
}

#[deny(clippy::missing_trait_methods)]
impl<F: FileSystem> LogStorage for MmapStorage<F> {
    forward!(files: capabilities, describe, list, set_aside, open_reserve, fill_reserve, reserve, copy_segment, changes);
    forward!(stage_segment: create_staged);

    fn lock(&self) -> Io<'_, StorageLock> {
        let settled = Settled(self.helper.clone());
        Io::ready(self.files.lock().wait().map(|lock| lock.wrap(|lock| (settled, lock))))
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        Io::ready(self.open_segment(name, access))
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        // Their files may become spares, and be cut when they become segments again.
        match names.iter().try_for_each(|name| self.unmap(*name)) {
            Ok(()) => self.files.remove(names),
            Err(error) => Io::ready(Err(error)),
        }
    }
}

impl<F: FileSystem> fmt::Debug for MmapStorage<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("MmapStorage");
        f.field("dir", &self.dir()).field("settings", &self.settings).finish_non_exhaustive()
    }
}
