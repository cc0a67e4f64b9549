//! The one-writer lock: a locked file, which the operating system frees when the holder dies.

use std::io;
use std::path::Path;
use std::sync::Arc;

use wal_core::{Access, Error, ErrorKind, Result, WriteMode};

use super::directory::Directory;
use super::fence::told;
use crate::os::{File, FileSystem, Links, whole};

/// Holds the lock until it is dropped.
pub(super) struct LockGuard<F: FileSystem> {
    file: F::File,
    directory: Arc<Directory<F>>,
    process: u64,
}

impl<F: FileSystem> LockGuard<F> {
    /// The file that is locked, if the system tells its files apart.
    pub(super) fn links(&self) -> io::Result<Option<Links>> {
        told(self.file.links())
    }
}

impl<F: FileSystem> Drop for LockGuard<F> {
    /// Unlocks rather than only closing: while another thread is starting a child process, the
    /// child has a copy of the handle, and the lock would live on in it until the child's `exec`.
    ///
    /// But a forked process does not unlock, as it would take the lock from the one that it was forked from.
    fn drop(&mut self) {
        if self.directory.file_system().ask_process() == self.process {
            let _ = self.file.unlock();
        }
    }
}

/// Locks the lock file of a directory, which is created if it is missing.
pub(super) fn acquire<F: FileSystem>(directory: &Arc<Directory<F>>) -> Result<LockGuard<F>> {
    let (fs, path) = (directory.file_system(), &directory.lock_path());
    let fail = |source| Error::io("lock log", source).with_detail(path.display().to_string());
    let file = directory.with_room_to_own(|| open_or_create(fs, path)).map_err(fail)?;
    let locked = file.try_lock().map_err(|source| match source.kind() {
        io::ErrorKind::Unsupported => no_locks(path, source),
        _ => fail(source),
    });
    if !locked? {
        let holder = match holder(&file) {
            Some(pid) => format!("{} is locked by process {pid}", path.display()),
            None => format!("{} is locked by another process", path.display()),
        };
        return Err(Error::new(ErrorKind::Locked, "lock log").with_detail(holder));
    }
    // Only for people: the lock holds whatever the file says, also on a full disk.
    // Always as long, so that a file system sees the same calls from every process.
    let pid = format!("{:010}", std::process::id());
    let _ = whole::write(&file, pid.as_bytes(), 0, WriteMode::Cached)
        .and_then(|()| file.set_len(pid.len() as u64));
    Ok(LockGuard { file, directory: directory.clone(), process: fs.ask_process() })
}

/// Without a lock two writers would write into each other's segments.
fn no_locks(path: &Path, source: io::Error) -> Error {
    Error::new(ErrorKind::Unsupported, "lock log").with_source(source).with_detail(format!(
        "{}: this file system grants no locks, and without one a second writer could not be kept out; start its lock \
         service, mount it with locks, or keep the log on a local disk",
        path.display()
    ))
}

fn open_or_create<F: FileSystem>(fs: &F, path: &Path) -> io::Result<F::File> {
    match fs.open(path, Access::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        outcome => return outcome,
    }
    match fs.create_new(path) {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs.open(path, Access::Write),
        outcome => outcome,
    }
}

/// The process id in the lock file. Windows lets nobody but the holder read it.
fn holder(file: &impl File) -> Option<u32> {
    let mut buf = [0; 10];
    let n = whole::read(file, &mut buf, 0).ok()?;
    std::str::from_utf8(&buf[..n]).ok()?.parse().ok()
}
