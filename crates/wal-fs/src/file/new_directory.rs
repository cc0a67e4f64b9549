//! A directory of a log that appears under its name as a whole, or not at all.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wal_core::{Error, ErrorKind, LogStorage, Result};

use super::{FileSettings, FileStorage};
use crate::os::{FileSystem, RealFs, dir};

const OP: &str = "make new directory";

/// What is put behind the name while the directory is not finished.
const SUFFIX: &str = ".unfinished";

/// A log in a directory that does not have its name yet.
///
/// It is written beside its place, as `NAME.unfinished`, and renamed by [`finish`](Self::finish). So whatever is under the
/// name is whole. If this value is dropped before, the unfinished directory is removed. If the process dies before, it
/// stays: the next [`begin`](Self::begin) for the same name removes it, and [says so](Self::found_leftover).
///
/// ```
/// use wal_core::LogStorage;
/// use wal_fs::NewDirectory;
/// # let temp = tempfile::tempdir().unwrap();
/// # let dir = temp.path().join("copy");
/// let new = NewDirectory::begin(&dir)?;
/// let storage = new.storage()?; // and something is put there
/// # drop(storage);
/// assert!(!dir.exists());
/// new.finish()?;
/// assert!(dir.exists());
/// # Ok::<(), wal_core::Error>(())
/// ```
#[derive(Debug)]
pub struct NewDirectory {
    path: PathBuf,
    unfinished: PathBuf,
    settings: FileSettings,
    found_leftover: bool,
    finished: bool,
}

impl NewDirectory {
    /// Begins a directory that is to be called `dir`. What is above it is created where it is missing.
    ///
    /// # Errors
    /// `Exists` if `dir` is there and not an empty directory, or if the unfinished directory holds something that is no
    /// log's; `Locked` if another process is just making it; or the operating system's error.
    pub fn begin(dir: impl AsRef<Path>) -> Result<Self> {
        Self::begin_with(dir, FileSettings::default())
    }

    /// The same, with other settings.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin); `Invalid` if a setting is out of its range.
    pub fn begin_with(dir: impl AsRef<Path>, settings: FileSettings) -> Result<Self> {
        settings.validate()?;
        let path = dir::absolute(dir.as_ref())?;
        check_free(&path)?;
        let unfinished = beside(&path)?;
        let found_leftover = remove_leftover(&unfinished)?;
        dir::create(&RealFs, &unfinished, settings.allow_unsynced_names)?;
        Ok(NewDirectory { path, unfinished, settings, found_leftover, finished: false })
    }

    /// The directory that it is to be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether an unfinished directory was there and was removed: something that made it was interrupted.
    #[must_use]
    pub fn found_leftover(&self) -> bool {
        self.found_leftover
    }

    /// The storage in it. It is of no use once the directory has its name: open it by that.
    ///
    /// # Errors
    /// As for [`FileStorage::open`].
    pub fn storage(&self) -> Result<FileStorage> {
        FileStorage::open_with(&self.unfinished, self.settings.clone())
    }

    /// Gives the directory its name.
    ///
    /// - **On `Ok`**: it has the name, and that is durable. What is in it has to be durable before.
    /// - **On `Err`**: `Exists` if something has the name by now, which is left as it is. As anything else, it may have
    ///   the name or not.
    ///
    /// # Errors
    /// As said above.
    pub fn finish(mut self) -> Result<()> {
        let synced = dir::sync(&RealFs, &self.unfinished, self.settings.allow_unsynced_names);
        synced.map_err(|source| dir::not_synced(&self.unfinished, source))?;
        // Elsewhere than on Unix an empty directory is in the way of a rename. One that is not empty always is.
        #[cfg(not(unix))]
        let _ = fs::remove_dir(&self.path);
        fs::rename(&self.unfinished, &self.path).map_err(|source| match source.kind() {
            io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotADirectory => taken(&self.path).with_source(source),
            _ => dir::failed(OP, &self.path, source),
        })?;
        self.finished = true;
        let Some(parent) = self.path.parent() else { return Ok(()) };
        let synced = dir::sync(&RealFs, parent, self.settings.allow_unsynced_names);
        synced.map_err(|source| dir::not_synced(parent, source))
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if !self.finished {
            // What stays goes when the same is begun again.
            let _ = fs::remove_dir_all(&self.unfinished);
        }
    }
}

/// Where a directory is before it has its name.
fn beside(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(Error::new(ErrorKind::Invalid, OP)
            .with_detail(format!("{} has no name of its own", path.display())));
    };
    let mut unfinished = OsString::from(name);
    unfinished.push(SUFFIX);
    Ok(path.with_file_name(unfinished))
}

fn taken(path: &Path) -> Error {
    Error::new(ErrorKind::Exists, OP)
        .with_detail(format!("{} exists, and is not an empty directory", path.display()))
}

/// Whether nothing is in the way; an empty directory is not.
fn check_free(path: &Path) -> Result<()> {
    let fail = |source| dir::failed(OP, path, source);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(told) if told.is_dir() => match fs::read_dir(path).map_err(fail)?.next() {
            None => Ok(()),
            Some(_) => Err(taken(path)),
        },
        Ok(_) => Err(taken(path)),
        Err(source) => Err(fail(source)),
    }
}

/// Removes what somebody left who was interrupted; says whether there was anything.
fn remove_leftover(unfinished: &Path) -> Result<bool> {
    match RealFs.kind(unfinished) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        kind => kind.map_err(|source| dir::failed(OP, unfinished, source))?,
    };
    let storage = FileStorage::open(unfinished)?;
    let listing = storage.list().wait()?;
    if let Some(foreign) = listing.foreign.first() {
        return Err(Error::new(ErrorKind::Exists, OP).with_detail(format!(
            "{} is in the way, and holds {foreign:?}, which is no file of a log: move it away by hand",
            unfinished.display()
        )));
    }
    // Whoever is at work there holds it.
    drop(storage.lock().wait()?);
    fs::remove_dir_all(unfinished).map_err(|source| dir::failed(OP, unfinished, source))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_there_when_it_is_finished_and_not_before() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a").join("copy");
        let new = NewDirectory::begin(&dir).unwrap();
        assert!(!dir.exists() && !new.found_leftover());
        new.storage().unwrap().set_aside("label", "bytes".into()).wait().unwrap();
        new.finish().unwrap();
        assert_eq!(fs::read(dir.join("label-1.cut")).unwrap(), b"bytes");
        assert!(!temp.path().join("a/copy.unfinished").exists());
        // Now the name is taken, also for a directory that was begun before.
        let error = NewDirectory::begin(&dir).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
        let other = temp.path().join("other");
        fs::create_dir(&other).unwrap();
        let new = NewDirectory::begin(&other).unwrap();
        fs::write(other.join("file"), "").unwrap();
        assert_eq!(new.finish().unwrap_err().kind(), ErrorKind::Exists);
        assert!(!temp.path().join("other.unfinished").exists());
        // An empty directory is not in the way.
        fs::remove_file(other.join("file")).unwrap();
        NewDirectory::begin(&other).unwrap().finish().unwrap();
    }

    #[test]
    fn what_was_left_is_removed_unless_it_is_somebodys() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, unfinished) = (temp.path().join("copy"), temp.path().join("copy.unfinished"));
        let leave = |new: NewDirectory| std::mem::forget(new);
        leave(NewDirectory::begin(&dir).unwrap());
        let again = NewDirectory::begin(&dir).unwrap();
        assert!(again.found_leftover());
        let storage = again.storage().unwrap();
        let held = storage.lock().wait().unwrap();
        let error = NewDirectory::begin(&dir).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        drop(held);
        drop(again);
        assert!(!unfinished.exists());
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("photo.jpg"), "").unwrap();
        let error = NewDirectory::begin(&dir).unwrap_err();
        assert!(error.kind() == ErrorKind::Exists && error.to_string().contains("photo.jpg"));
        assert!(unfinished.join("photo.jpg").exists());
    }
}
