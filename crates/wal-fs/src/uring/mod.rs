//! `UringStorage`: a log in a directory, whose syncs are asynchronous in the kernel.
//!
//! | file | idea |
//! | --- | --- |
//! | here | what waits for an operation that is under way |
//! | `segment` | one file, and what becomes an operation |
//! | `exclusive` | one operation of a segment at a time, none after a failure |
//! | `work` | the requests that an operation is made of |
//! | `operation` | an operation, and the future that is told its outcome |
//! | `inbox` | the operations that wait for the thread, and how many are under way |
//! | `ring` | operations in, outcomes out |
//! | `reaper` | the thread that talks to the kernel |
//! | `settings` | its numbers |

mod exclusive;
mod inbox;
mod operation;
mod reaper;
mod ring;
mod segment;
mod settings;
mod work;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ring::Ring;
use segment::{SharedFile, UringSegment};
pub use settings::UringSettings;
use wal_core::{
    Access, Capabilities, Error, ErrorKind, Io, LogStorage, Lsn, Result, Segment, StorageLock,
};

use crate::file::{FileStorage, Nameless, StagedFile};
use crate::layer::{Handles, forward};
use crate::os::RealFs;

/// A log's segments as files in one directory, made durable by io_uring. Linux only, with the feature
/// `uring`.
///
/// The directory looks like that of a [`FileStorage`], and each opens what the other wrote. The
/// difference is in what waits for the device: a sync, and a write that is to be durable. Elsewhere
/// these are calls that block the thread which makes them. Here each is an operation that the kernel is
/// given through a ring, and the future that [`Segment::sync`] returns is *pending* until it is done: one
/// thread can have the syncs of many segments under way. There is one ring and one thread for each
/// storage, however many operations there are.
///
/// ```
/// use wal_core::{ErrorKind, LogStorage, Lsn, Publish, WriteMode};
/// use wal_fs::UringStorage;
///
/// # fn main() -> wal_core::Result<()> {
/// # let temp = tempfile::tempdir().unwrap();
/// # let path = temp.path().join("wal");
/// let storage = match UringStorage::create(&path) {
///     // The kernel is too old, or forbids it, as in many containers.
///     Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
///     opened => opened?,
/// };
/// let _lock = storage.lock().wait()?;
/// let segment = storage.create(Lsn::FIRST, "header".into(), 1 << 20, Publish::New).wait()?;
/// segment.write_at(6, "frame".into(), WriteMode::Through).wait()?;
/// assert_eq!(segment.read_at(0, 11).wait()?, "headerframe");
/// # Ok(())
/// # }
/// ```
///
/// # What is an operation
/// - A **durable write** is one request, `WRITE` with `RWF_DSYNC`; where the file system knows no such flag, or
///   [is not trusted](UringSettings::trust_write_through) with it, a `WRITE` and then an `FSYNC`. At the end of what was filled ahead it is an ordinary write, zeros
///   included, and an `FSYNC`.
/// - A **sync** is one request, `FSYNC` of the data.
/// - A **cached write** is an ordinary call: it copies into the page cache, in about a microsecond. The same
///   request through a ring took 65 times as long on ext4, or more, which hands every buffered write to
///   a worker of the kernel. It may block when the system has too many unwritten pages, as anywhere.
/// - Reading, listing, creating and removing segments are ordinary calls.
///
/// # A future that is dropped
/// The operation goes on. Its bytes belong to the ring until the kernel is done with them, its file
/// stays open, and what follows on the same segment waits for it: the next durable write or sync, a
/// write, a cut, the segment's removal. If it fails, the segment takes no further sync, although nobody
/// heard of it. The log's lock is not free, and the storage's last handle not dropped, before nothing is
/// under way. If the ring itself fails with requests in the kernel's hands, nobody hears when they are done:
/// then the lock is kept until the process ends, and no segment is removed.
///
/// Wakers are called on the ring's thread. An executor that polls in `wake` must not wait there for another
/// operation of the same storage.
///
/// # Unsupported
/// Opening fails with [`ErrorKind::Unsupported`](wal_core::ErrorKind::Unsupported) where the kernel has no
/// io_uring (before Linux 5.6) or forbids it: the seccomp filters of many containers do, and so does
/// `kernel.io_uring_disabled`. The message says which. [`FileStorage`] is for those.
pub struct UringStorage {
    files: FileStorage,
    settings: UringSettings,
    ring: Arc<Ring>,
    /// The files to which something may be under way.
    written: Arc<Handles<SharedFile>>,
}

impl UringStorage {
    /// Uses an existing directory; nothing is created or changed.
    ///
    /// # Errors
    /// As for [`FileStorage::open`], and `Unsupported` where there is no io_uring.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(dir, UringSettings::default())
    }

    /// The same, with other settings.
    ///
    /// # Errors
    /// As for [`open`](Self::open); `Invalid` if a setting is out of its range.
    pub fn open_with(dir: impl AsRef<Path>, settings: UringSettings) -> Result<Self> {
        settings.validate()?;
        let files = FileStorage::open_with(dir, settings.files())?;
        let ring = Ring::start(settings.queue_depth)?;
        Ok(Self::new(files, settings, ring))
    }

    /// Creates the directory, and those above it, where they are missing. When this returns, their
    /// names are durable. Where there is no io_uring nothing is created.
    ///
    /// # Errors
    /// As for [`FileStorage::create`], and `Unsupported` where there is no io_uring.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::create_with(dir, UringSettings::default())
    }

    /// The same, with other settings.
    ///
    /// # Errors
    /// As for [`create`](Self::create); `Invalid` if a setting is out of its range.
    pub fn create_with(dir: impl AsRef<Path>, settings: UringSettings) -> Result<Self> {
        settings.validate()?;
        let ring = Ring::start(settings.queue_depth)?;
        let files = FileStorage::create_with(dir, settings.files())?;
        Ok(Self::new(files, settings, ring))
    }

    fn new(files: FileStorage, settings: UringSettings, ring: Ring) -> Self {
        UringStorage { files, settings, ring: Arc::new(ring), written: Arc::new(Handles::new()) }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.files.dir()
    }

    /// The settings.
    pub fn settings(&self) -> &UringSettings {
        &self.settings
    }

    fn take_lock(&self) -> Result<StorageLock> {
        let lock = self.files.lock().wait()?;
        Ok(lock.wrap(|lock| LockGuard { lock: Some(lock), ring: self.ring.clone() }))
    }

    fn files(&self) -> &FileStorage {
        &self.files
    }

    fn stage_segment(&self, name: Lsn, capacity: u64) -> Result<StagedFile<RealFs, Prepare>> {
        let (ring, written) = (self.ring.clone(), self.written.clone());
        let prepare: Prepare = Box::new(move |Nameless { segment, .. }| {
            let segment = UringSegment::new(segment, ring);
            written.add(name, segment.file());
            Ok(Arc::new(segment))
        });
        self.files.stage_segment(name, capacity, prepare)
    }

    fn open_segment(&self, name: Lsn, access: Access) -> Result<Arc<dyn Segment>> {
        let plain = self.files.open_segment(name, access)?;
        let segment = UringSegment::new(plain, self.ring.clone());
        if access == Access::Write {
            self.written.add(name, segment.file());
        }
        Ok(Arc::new(segment))
    }

    /// The files of these names to which something is under way.
    fn busy(&self, names: &[Lsn]) -> Vec<Arc<SharedFile>> {
        let mut files: Vec<_> = names.iter().flat_map(|name| self.written.of(*name)).collect();
        files.retain(|file| file.exclusive.held_for().is_some());
        files
    }
}

/// Puts a ring beside a file, just before that gets its name.
type Prepare = Box<dyn FnOnce(Nameless<'_, RealFs>) -> Result<Arc<dyn Segment>> + Send>;

/// Holds the lock, and longer than it is held if something is under way: the next holder must not
/// find a write in the middle of what it recovered.
struct LockGuard {
    lock: Option<StorageLock>,
    ring: Arc<Ring>,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            self.ring.drop_when_idle(lock);
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl LogStorage for UringStorage {
    forward!(files: describe, list, set_aside, open_reserve, fill_reserve, reserve, copy_segment, changes);
    forward!(stage_segment: create_staged);

    fn capabilities(&self) -> Capabilities {
        self.files.capabilities().write_through(self.files.directory().trusts_one_call())
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        Io::ready(self.take_lock())
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        Io::ready(self.open_segment(name, access))
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        if self.ring.abandoned() {
            let mut error = Error::new(ErrorKind::Io, "remove segment")
                .with_detail("io_uring failed, and may still write to it");
            if let Some(first) = names.first() {
                error = error.with_segment(*first);
            }
            return Io::ready(Err(error));
        }
        let busy = self.busy(names);
        if busy.is_empty() {
            return self.files.remove(names);
        }
        let names = names.to_vec();
        Io::future(async move {
            // Their files may become spares, and then other segments.
            for file in busy {
                file.exclusive.free().await;
            }
            self.files.remove(&names).await
        })
    }
}

impl fmt::Debug for UringStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("UringStorage");
        f.field("dir", &self.dir()).field("settings", &self.settings).finish_non_exhaustive()
    }
}
