//! The one-writer lock: a locked file, which the operating system frees when the holder dies.

use std::io;
use std::path::Path;

use wal_core::{Access, Error, ErrorKind, Result, WriteMode};

use crate::os::{File, FileSystem, whole};

/// Holds the lock until it is dropped.
pub(super) struct LockGuard<H: File>(H);

impl<H: File> Drop for LockGuard<H> {
    /// Unlocks rather than only closing: while another thread is starting a child process, the
    /// child has a copy of the handle, and the lock would live on in it until the child's `exec`.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Locks the file at `path`, which is created if it is missing.
pub(super) fn acquire<F: FileSystem>(fs: &F, path: &Path) -> Result<LockGuard<F::File>> {
    let fail = |source| Error::io("lock log", source).with_detail(path.display().to_string());
    let file = open_or_create(fs, path).map_err(fail)?;
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
    Ok(LockGuard(file))
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
