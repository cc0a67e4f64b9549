//! `DirectStorage`: a log in a directory, written past the cache.
//!
//! | file | idea |
//! | --- | --- |
//! | here | which files are opened for direct writes |
//! | `segment` | one file with two handles |
//! | `blocks` | the aligned memory, and what is kept of the last block |
//! | `settings` | its numbers |

mod blocks;
mod segment;
mod settings;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use segment::DirectSegment;
pub use settings::{DirectSettings, LastBlock};
use wal_core::{
    Access, Capabilities, Error, ErrorKind, Io, LogStorage, Lsn, Result, Segment, StorageLock,
};

use crate::file::{FileStorage, Nameless, StagedFile};
use crate::layer::forward;
use crate::os::{DirectFile, FileSystem, RealFs, dir};

/// What the block size is taken for where neither the settings nor the system say.
const USUAL_BLOCK: u32 = 4096;

/// A log's segments as files in one directory, written with direct I/O (`O_DIRECT`). Linux only.
///
/// The directory looks like that of a [`FileStorage`], and each opens what the other wrote. The
/// difference is in how bytes are written: whole blocks, straight from memory to the device, and, where
/// a record is to be durable, in *one* call that returns when it is (`pwritev2` with `RWF_DSYNC`,
/// which is what `O_DSYNC` does to every write). On a file system where that was not tried it is a write and an
/// `fdatasync`, see [`trust_write_through`](DirectSettings::trust_write_through).
///
/// ```
/// use wal_core::{ErrorKind, LogStorage, Lsn, Publish, WriteMode};
/// use wal_fs::DirectStorage;
///
/// # fn main() -> wal_core::Result<()> {
/// # let temp = tempfile::tempdir().unwrap();
/// # let path = temp.path().join("wal");
/// let storage = match DirectStorage::create(&path) {
///     // Not Linux.
///     Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
///     opened => opened?,
/// };
/// let _lock = match storage.lock().wait() {
///     // A file system without direct I/O.
///     Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
///     locked => locked?,
/// };
/// let segment = storage.create(Lsn::FIRST, "header".into(), 1 << 20, Publish::New).wait()?;
/// segment.write_at(6, "frame".into(), WriteMode::Through).wait()?;
/// assert_eq!(segment.read_at(0, 11).wait()?, "headerframe");
/// # Ok(())
/// # }
/// ```
///
/// # The last block
/// Records rarely end where a block does. What happens to a last block that is filled partly is a
/// setting, [`DirectSettings::last_block`].
///
/// **[`Rewritten`](LastBlock::Rewritten)**, the default. Frames follow each other without gaps, and the next
/// commit begins in that block. It is written again: its bytes, which the segment keeps in memory, then the
/// new ones, then zeros up to the end of the block.
///
/// Does that endanger what was acknowledged? The bytes that are written again are the bytes that are
/// there. A write that a power loss interrupts leaves of each byte, or of each sector, the old or the
/// new, and in the durable part these are the same. Only a device that loses a whole sector while it
/// writes it, old bytes and new, could hurt; on such a device nothing is safe from an append that
/// begins within a sector, and [`FileStorage`] is not either: the kernel writes whole blocks as well.
/// The claims exclude such devices (see *powersafe overwrite* in ASSUMPTIONS.md; the model's fate is
/// `TornSectors`).
///
/// **[`Padded`](LastBlock::Padded)**. The log puts a frame without records behind the last record of each
/// write, which ends where the block does ([`Capabilities::pad_to`]). So every write begins with a block
/// that no record was acknowledged in: one that was never written, or one that holds the blank header
/// behind the write before. What a power loss makes of a block while it is being written, all of it
/// garbage included, costs only records of that write, of which none was acknowledged as durable. The same
/// holds for what recovery writes: a footer begins in a block of its own, and records that are to be
/// written again go to a new file. The claims then hold on such devices, too, if `block_bytes` is no less
/// than what the device writes at once, and than a block of the file system.
///
/// Where a log is opened padded that was written otherwise, or with smaller blocks, or where damage makes a
/// recovery cut a segment within a block, that segment is copied, as a whole and in one step, before its
/// footer is written.
///
/// The header of a segment is never rewritten in either case: frames begin in a block of their own, which
/// [`Capabilities::alignment`] asks for.
///
/// # Reading
/// Reads go through the page cache, on a handle of their own. They see every write that returned
/// before they began: Linux drops the cached pages of the range *after* a direct write, so a page that a
/// reader brought in while the write ran, with old bytes, does not stay. A page that cannot be
/// dropped is a dirty one, and nobody makes pages of such a range dirty: what is filled ahead with
/// zeros, and the block at which a file was cut, go through the cache before a direct write does, and
/// the kernel writes those out first. A reader that runs beside a write of the same block may see
/// old or new bytes of what is being written, as with any storage, and of the rest the only ones
/// there are.
///
/// # Unsupported
/// Opening fails with [`ErrorKind::Unsupported`] on other systems than Linux. Some file systems refuse
/// direct I/O (tmpfs before Linux 6.6, some network and stacked ones): there taking the lock fails
/// with that kind. [`FileStorage`] is for those.
pub struct DirectStorage<F: FileSystem = RealFs> {
    files: FileStorage<F>,
    settings: DirectSettings,
}

impl DirectStorage {
    /// Uses an existing directory; nothing is created or changed.
    ///
    /// # Errors
    /// As for [`FileStorage::open`], and `Unsupported` on other systems than Linux.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(dir, DirectSettings::default())
    }

    /// The same, with other settings.
    ///
    /// # Errors
    /// As for [`open`](Self::open); `Invalid` if a setting is out of its range.
    pub fn open_with(dir: impl AsRef<Path>, settings: DirectSettings) -> Result<Self> {
        check_platform()?;
        Self::with_file_system(RealFs, dir::absolute(dir.as_ref())?, settings)
    }

    /// Creates the directory, and those above it, where they are missing. When this returns, their
    /// names are durable.
    ///
    /// # Errors
    /// As for [`FileStorage::create`], and `Unsupported` on other systems than Linux.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::create_with(dir, DirectSettings::default())
    }

    /// The same, with other settings.
    ///
    /// # Errors
    /// As for [`create`](Self::create); `Invalid` if a setting is out of its range.
    pub fn create_with(dir: impl AsRef<Path>, settings: DirectSettings) -> Result<Self> {
        check_platform()?;
        Self::create_with_file_system(RealFs, dir::absolute(dir.as_ref())?, settings)
    }
}

/// Says early what every direct opening would say.
fn check_platform() -> Result<()> {
    if cfg!(target_os = "linux") {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, "open log")
        .with_detail("direct I/O is for Linux only; use FileStorage here"))
}

impl<F: FileSystem> DirectStorage<F> {
    /// Uses an existing directory of another file system, as [`open`](DirectStorage::open) does.
    ///
    /// # Errors
    /// As for [`FileStorage::with_file_system`].
    pub fn with_file_system(
        fs: F,
        dir: impl Into<PathBuf>,
        settings: DirectSettings,
    ) -> Result<Self> {
        settings.validate()?;
        let files = FileStorage::with_file_system(fs, dir, settings.files())?;
        Ok(DirectStorage { files, settings })
    }

    /// Creates the directory in another file system, as [`create`](DirectStorage::create) does.
    ///
    /// # Errors
    /// As for [`FileStorage::create_with_file_system`].
    pub fn create_with_file_system(
        fs: F,
        dir: impl Into<PathBuf>,
        settings: DirectSettings,
    ) -> Result<Self> {
        settings.validate()?;
        let files = FileStorage::create_with_file_system(fs, dir, settings.files())?;
        Ok(DirectStorage { files, settings })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.files.dir()
    }

    /// The settings.
    pub fn settings(&self) -> &DirectSettings {
        &self.settings
    }

    fn files(&self) -> &FileStorage<F> {
        &self.files
    }

    fn open_direct(&self, path: &Path) -> Result<(F::File, u32)> {
        self.settings.open_direct(self.files.directory().file_system(), path)
    }
    /// Takes the lock, and sees whether direct writes are possible before a record is written.
    fn take_lock(&self) -> Result<StorageLock> {
        let lock = self.files.lock().wait()?;
        self.open_direct(&self.files.directory().lock_path())?;
        Ok(lock)
    }

    fn stage_segment(&self, name: Lsn, capacity: u64) -> Result<StagedFile<F, Prepare<F>>> {
        // The last block of a full segment is written whole, too.
        let room = capacity.checked_next_multiple_of(u64::from(self.alignment()));
        let settings = self.settings.clone();
        let prepare: Prepare<F> = Box::new(move |Nameless { segment, fs, path, end }| {
            let (file, block) = settings.open_direct(fs, path)?;
            Ok(Arc::new(DirectSegment::new(segment, Some(file), block, end, false)))
        });
        self.files.stage_segment(name, room.unwrap_or(capacity), prepare)
    }

    fn open_segment(&self, name: Lsn, access: Access) -> Result<Arc<dyn Segment>> {
        let plain = self.files.open_segment(name, access)?;
        let data_end = plain.filled();
        let (file, block) = match access {
            Access::Read => (None, USUAL_BLOCK),
            Access::Write => {
                let (file, block) = self.open_direct(&self.files.directory().segment_path(name))?;
                (Some(file), block)
            }
        };
        // What an earlier process left in the cache is covered by the first sync.
        Ok(Arc::new(DirectSegment::new(plain, file, block, data_end, true)))
    }

    fn alignment(&self) -> u32 {
        self.settings.alignment()
    }

    fn is_padded(&self) -> bool {
        self.settings.is_padded()
    }
}

/// Opens the file for direct writes, too, just before it gets its name.
type Prepare<F> = Box<dyn FnOnce(Nameless<'_, F>) -> Result<Arc<dyn Segment>> + Send>;

impl DirectSettings {
    /// Opens a file for direct writes, and says in which blocks.
    fn open_direct<F: FileSystem>(&self, fs: &F, path: &Path) -> Result<(F::File, u32)> {
        let DirectFile { file, block_bytes: least } =
            fs.open_direct(path).map_err(|source| refused(path, source))?;
        let block = self.block_bytes.or(least).unwrap_or(USUAL_BLOCK);
        match least {
            Some(least) if !block.is_multiple_of(least) => {
                Err(Error::new(ErrorKind::Invalid, "open for direct writes").with_detail(format!(
                    "block_bytes is {block}, but {} is written in blocks of {least} bytes",
                    path.display()
                )))
            }
            // Known too late: writes would end where the usual block does, in the middle of this one.
            _ if self.is_padded() && !self.alignment().is_multiple_of(block) => {
                Err(Error::new(ErrorKind::Invalid, "open for direct writes").with_detail(format!(
                    "{} is written in blocks of {block} bytes; block_bytes must say so to have them padded",
                    path.display()
                )))
            }
            _ => Ok((file, block)),
        }
    }

    /// Frames begin in a block of their own. Known before any file is opened, hence the usual size
    /// where the settings leave it open.
    fn alignment(&self) -> u32 {
        self.block_bytes.unwrap_or(USUAL_BLOCK)
    }

    fn is_padded(&self) -> bool {
        self.last_block == LastBlock::Padded
    }
}

fn refused(path: &Path, source: io::Error) -> Error {
    if source.kind() != io::ErrorKind::Unsupported {
        return dir::failed("open for direct writes", path, source);
    }
    Error::new(ErrorKind::Unsupported, "open for direct writes")
        .with_detail(format!(
            "the file system of {} takes no direct I/O; use FileStorage there",
            path.display()
        ))
        .with_source(source)
}

#[deny(clippy::missing_trait_methods)]
impl<F: FileSystem> LogStorage for DirectStorage<F> {
    forward!(files: describe, list, remove, set_aside, open_reserve, fill_reserve, reserve, copy_segment, changes);
    forward!(stage_segment: create_staged);

    fn capabilities(&self) -> Capabilities {
        let one_call = self.files.directory().trusts_one_call();
        let files = self.files.capabilities().write_through(one_call).alignment(self.alignment());
        if self.is_padded() { files.pad_to(self.alignment()) } else { files }
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        Io::ready(self.take_lock())
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        Io::ready(self.open_segment(name, access))
    }
}

impl<F: FileSystem> fmt::Debug for DirectStorage<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("DirectStorage");
        f.field("dir", &self.dir()).field("settings", &self.settings).finish_non_exhaustive()
    }
}
