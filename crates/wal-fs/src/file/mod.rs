//! `FileStorage`: a log in a directory.
//!
//! | file | idea |
//! | --- | --- |
//! | here | how segments come and go |
//! | `segment` | one segment in one file |
//! | `spares` | files that are to become segments |
//! | `lock` | the one-writer lock |
//! | `names` | what the files are called |
//! | `settings` | its numbers |

mod lock;
mod names;
mod segment;
mod settings;
mod spares;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use wal_core::{
    Access, Capabilities, Error, ErrorKind, Io, Listing, LogStorage, Lsn, Result, Segment,
    StorageLock, WriteMode,
};

use names::Name;
pub(crate) use segment::FileSegment;
use segment::Growth;
pub use settings::FileSettings;
pub(crate) use settings::range;
use spares::Spares;

use crate::os::dir::{self, failed};
use crate::os::{File, FileSystem, RealFs, whole};

/// A log's segments as files in one directory.
///
/// ```
/// use wal_core::{LogStorage, Lsn, WriteMode};
/// use wal_fs::FileStorage;
///
/// # fn main() -> wal_core::Result<()> {
/// # let temp = tempfile::tempdir().unwrap();
/// # let path = temp.path().join("wal");
/// let storage = FileStorage::create(&path)?;
/// let _lock = storage.lock().wait()?;
/// let segment = storage.create(Lsn::FIRST, "header".into(), 1 << 20).wait()?;
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
    fs: F,
    dir: PathBuf,
    settings: FileSettings,
    spares: Spares,
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
        Ok(FileStorage { fs, dir, settings, spares: Spares::default() })
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
        dir::create(&fs, &dir)?;
        Self::with_file_system(fs, dir, settings)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The settings.
    pub fn settings(&self) -> &FileSettings {
        &self.settings
    }

    pub(crate) fn file_system(&self) -> &F {
        &self.fs
    }

    pub(crate) fn segment_path(&self, name: Lsn) -> PathBuf {
        self.dir.join(names::segment(name))
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.dir.join(names::LOCK)
    }

    fn sync_dir(&self) -> Result<()> {
        self.fs.sync_dir(&self.dir).map_err(|source| failed("sync directory", &self.dir, source))
    }

    fn take_lock(&self) -> Result<StorageLock> {
        let guard = lock::acquire(&self.fs, &self.lock_path())?;
        self.spares
            .clear(&self.fs, &self.dir)
            .map_err(|(path, source)| failed("remove spare", &path, source))?;
        // An earlier process may have died between a rename and the sync of the directory. What is read
        // from now on is believed, so its names must not be lost in a power loss.
        self.sync_dir()?;
        Ok(StorageLock::new(guard))
    }

    fn listing(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        let entries = self.fs.read_dir(&self.dir);
        for entry in entries.map_err(|source| failed("list", &self.dir, source))? {
            let name = entry.name.to_string_lossy();
            match Name::parse(&name) {
                Name::Segment(lsn) if !entry.is_dir => listing.segments.push(lsn),
                Name::Spare | Name::Other => {}
                Name::Segment(_) | Name::Foreign => listing.foreign.push(name.into_owned()),
            }
        }
        listing.segments.sort_unstable();
        listing.foreign.sort_unstable();
        Ok(listing)
    }

    /// Builds the segment under a spare's name, and gives it its own only when its header is
    /// durable: no power loss can leave the name without the header.
    pub(crate) fn create_segment(
        &self,
        name: Lsn,
        header: &[u8],
        capacity: u64,
    ) -> Result<FileSegment<F::File>> {
        let path = self.segment_path(name);
        let (spare, file) = self.take_spare().map_err(|e| e.with_segment(name))?;
        let published = self.fill_in(&file, header, capacity).and_then(|growth| {
            self.fs.rename(&spare, &path)?;
            Ok(growth)
        });
        let growth = published.map_err(|source| {
            let _ = self.fs.remove_file(&spare);
            failed("create segment", &path, source).with_segment(name)
        })?;
        self.sync_dir().map_err(|e| e.with_segment(name))?;
        Ok(FileSegment::new(file, name, path, Access::Write, growth))
    }

    fn take_spare(&self) -> Result<(PathBuf, F::File)> {
        if let Some(path) = self.spares.take() {
            match self.fs.open(&path, Access::Write) {
                Ok(file) => return Ok((path, file)),
                // Somebody tidied up the directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed("open spare", &path, source)),
            }
        }
        let created = self.spares.create(&self.fs, &self.dir);
        created.map_err(|(path, source)| failed("create file", &path, source))
    }

    fn fill_in(&self, file: &F::File, header: &[u8], capacity: u64) -> io::Result<Growth> {
        let limit = capacity.max(header.len() as u64);
        let mut growth = Growth { len: file.len()?, chunk: self.settings.preallocate_bytes, limit };
        if growth.len > limit {
            file.set_len(limit)?;
            growth.len = limit;
        }
        whole::write(file, header, 0, WriteMode::Cached)?;
        growth.len = growth.len.max(header.len() as u64);
        let target = growth.chunk.min(limit);
        if growth.len < target {
            match whole::write_zeros(file, growth.len, target) {
                Ok(()) => growth.len = target,
                Err(error) if whole::is_no_space(&error) => {
                    growth.chunk = 0;
                    growth.len = file.len()?;
                }
                Err(error) => return Err(error),
            }
        }
        file.sync_all()?;
        Ok(growth)
    }

    pub(crate) fn open_segment(&self, name: Lsn, access: Access) -> Result<FileSegment<F::File>> {
        let path = self.segment_path(name);
        let fail = |source| failed("open segment", &path, source).with_segment(name);
        let file = self.fs.open(&path, access).map_err(fail)?;
        let (len, chunk) = (file.len().map_err(fail)?, self.settings.preallocate_bytes);
        let growth = Growth { len, chunk, limit: u64::MAX };
        Ok(FileSegment::new(file, name, path, access, growth))
    }

    fn remove_segment(&self, name: Lsn) -> Result<()> {
        let path = self.segment_path(name);
        let fail = |source| failed("remove segment", &path, source).with_segment(name);
        if self.spares.count() < self.settings.max_spares {
            let spare = self.spares.next_path(&self.dir);
            self.fs.rename(&path, &spare).map_err(fail)?;
            self.sync_dir().map_err(|e| e.with_segment(name))?;
            self.spares.put(spare);
            return Ok(());
        }
        self.fs.remove_file(&path).map_err(fail)?;
        self.sync_dir().map_err(|e| e.with_segment(name))
    }

    fn put_aside(&self, label: &str, data: &[u8]) -> Result<String> {
        if !names::is_label(label) {
            return Err(Error::new(ErrorKind::Invalid, "set bytes aside").with_detail(format!(
                "label {label:?}: 1 to 128 letters, digits, '.', '_' and '-', not '.' first"
            )));
        }
        let mut n = 1;
        let (name, path, file) = loop {
            let name = names::set_aside(label, n);
            let path = self.dir.join(&name);
            match self.fs.create_new(&path) {
                Ok(file) => break (name, path, file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n += 1,
                Err(source) => return Err(failed("set bytes aside", &path, source)),
            }
        };
        let written = whole::write(&file, data, 0, WriteMode::Cached);
        if let Err(source) = written.and_then(|()| file.sync_all()) {
            let _ = self.fs.remove_file(&path);
            return Err(failed("set bytes aside", &path, source));
        }
        self.sync_dir()?;
        Ok(name)
    }
}

fn shared<H: File>(segment: FileSegment<H>) -> Arc<dyn Segment> {
    Arc::new(segment)
}

impl<F: FileSystem> LogStorage for FileStorage<F> {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::durable();
        capabilities.recycles = self.settings.max_spares > 0;
        capabilities.write_through = self.settings.write_through;
        capabilities
    }

    fn describe(&self) -> String {
        self.dir.display().to_string()
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        Io::ready(self.take_lock())
    }

    fn list(&self) -> Io<'_, Listing> {
        Io::ready(self.listing())
    }

    fn create(&self, name: Lsn, header: Bytes, capacity: u64) -> Io<'_, Arc<dyn Segment>> {
        Io::ready(self.create_segment(name, &header, capacity).map(shared))
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        Io::ready(self.open_segment(name, access).map(shared))
    }

    fn remove(&self, name: Lsn) -> Io<'_, ()> {
        Io::ready(self.remove_segment(name))
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        Io::ready(self.put_aside(label, &data))
    }
}
