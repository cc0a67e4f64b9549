//! The files of one log: locked, listed, opened, removed, set aside.

use std::io;
use std::path::{Path, PathBuf};

use wal_core::{Access, Error, ErrorKind, Listing, Lsn, Result, StorageLock, WriteMode};

use super::lock;
use super::names::{self, Name};
use super::segment::{FileSegment, Growth};
use super::settings::FileSettings;
use super::spares::Spares;
use crate::os::dir::failed;
use crate::os::{File, FileSystem, whole};

/// One directory, shared by a storage and the segments that it has staged.
#[derive(Debug)]
pub(crate) struct Directory<F> {
    fs: F,
    path: PathBuf,
    settings: FileSettings,
    spares: Spares,
}

impl<F: FileSystem> Directory<F> {
    pub(super) fn new(fs: F, path: PathBuf, settings: FileSettings) -> Self {
        Directory { fs, path, settings, spares: Spares::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn settings(&self) -> &FileSettings {
        &self.settings
    }

    pub(crate) fn file_system(&self) -> &F {
        &self.fs
    }

    pub(crate) fn segment_path(&self, name: Lsn) -> PathBuf {
        self.path.join(names::segment(name))
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.path.join(names::LOCK)
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.fs.sync_dir(&self.path).map_err(|source| failed("sync directory", &self.path, source))
    }

    pub(super) fn take_lock(&self) -> Result<StorageLock> {
        let guard = lock::acquire(&self.fs, &self.lock_path())?;
        self.spares
            .clear(&self.fs, &self.path)
            .map_err(|(path, source)| failed("remove spare", &path, source))?;
        // An earlier process may have died between a rename and the sync of the directory. What is read
        // from now on is believed, so its names must not be lost in a power loss.
        self.sync()?;
        Ok(StorageLock::new(guard))
    }

    pub(super) fn listing(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        let entries = self.fs.read_dir(&self.path);
        for entry in entries.map_err(|source| failed("list", &self.path, source))? {
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

    /// A file under a spare's name, with old bytes in it or empty. It is the caller's.
    pub(super) fn take_spare(&self) -> Result<(PathBuf, F::File)> {
        if let Some(path) = self.spares.take() {
            match self.fs.open(&path, Access::Write) {
                Ok(file) => return Ok((path, file)),
                // Somebody tidied up the directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed("open spare", &path, source)),
            }
        }
        let created = self.spares.create(&self.fs, &self.path);
        created.map_err(|(path, source)| failed("create file", &path, source))
    }

    pub(super) fn open_segment(&self, name: Lsn, access: Access) -> Result<FileSegment<F::File>> {
        let path = self.segment_path(name);
        let fail = |source| failed("open segment", &path, source).with_segment(name);
        let file = self.fs.open(&path, access).map_err(fail)?;
        let (len, chunk) = (file.len().map_err(fail)?, self.settings.preallocate_bytes);
        let growth = Growth { len, chunk, limit: u64::MAX };
        Ok(FileSegment::new(file, name, path, access, growth))
    }

    /// Takes the names away, all of them, and then makes that durable, once for all.
    pub(super) fn remove_segments(&self, names: &[Lsn]) -> Result<()> {
        let Some(&first) = names.first() else { return Ok(()) };
        let mut spares = Vec::new();
        for &name in names {
            let path = self.segment_path(name);
            let removed = if self.spares.count() + spares.len() < self.settings.max_spares {
                let spare = self.spares.next_path(&self.path);
                self.fs.rename(&path, &spare).map(|()| spares.push(spare))
            } else {
                self.fs.remove_file(&path)
            };
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed
                    .map_err(|source| failed("remove segment", &path, source).with_segment(name))?,
            }
        }
        self.sync().map_err(|e| e.with_segment(first))?;
        // Not sooner: a file that a crash may bring back under its old name must not become another segment.
        spares.into_iter().for_each(|spare| self.spares.put(spare));
        Ok(())
    }

    /// Gives a file of the directory the name of one that was set aside.
    pub(super) fn keep(&self, path: &Path, label: &str) -> io::Result<PathBuf> {
        let (kept, renamed) = self.under_free_name(label, |kept| self.fs.rename_new(path, kept));
        renamed?;
        self.fs.sync_dir(&self.path)?;
        Ok(self.path.join(kept))
    }

    /// Makes a file with the first name for bytes set aside that is free. Returns its name, and what came of it.
    fn under_free_name<T>(
        &self,
        label: &str,
        make: impl Fn(&Path) -> io::Result<T>,
    ) -> (String, io::Result<T>) {
        let mut n = 1;
        loop {
            let name = names::set_aside(label, n);
            match make(&self.path.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n += 1,
                made => return (name, made),
            }
        }
    }

    pub(super) fn put_aside(&self, label: &str, data: &[u8]) -> Result<String> {
        if !names::is_label(label) {
            return Err(Error::new(ErrorKind::Invalid, "set bytes aside").with_detail(format!(
                "label {label:?}: 1 to 128 letters, digits, '.', '_' and '-', not '.' first"
            )));
        }
        let (name, file) = self.under_free_name(label, |path| self.fs.create_new(path));
        let path = self.path.join(&name);
        let file = file.map_err(|source| failed("set bytes aside", &path, source))?;
        let written = whole::write(&file, data, 0, WriteMode::Cached);
        if let Err(source) = written.and_then(|()| file.sync_all()) {
            let _ = self.fs.remove_file(&path);
            return Err(failed("set bytes aside", &path, source));
        }
        self.sync()?;
        Ok(name)
    }
}
