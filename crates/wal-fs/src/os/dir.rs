//! The directory of a log: is it one, and how it comes to be.

use std::io;
use std::path::{Path, PathBuf};

use wal_core::{Error, ErrorKind, Result};

use super::fs::{FileSystem, NodeKind};

/// The path from the root, so that a later change of the working directory means nothing.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|source| failed("open log", path, source))
}

/// Makes sure that `path` is a directory.
pub(crate) fn check<F: FileSystem>(fs: &F, path: &Path) -> Result<()> {
    match fs.kind(path).map_err(|source| failed("open log", path, source))? {
        NodeKind::Directory => Ok(()),
        NodeKind::File => Err(Error::new(ErrorKind::NotALog, "open log")
            .with_detail(format!("{} is a file, not a directory", path.display()))),
    }
}

/// Creates what is missing of `path`, from above, each name durable before the next is made.
///
/// The name of a directory that was there is made durable as well: whoever made it, perhaps this
/// program just before it was killed, need not have done so. Only if the system denies that (one
/// may use a directory without being allowed to open its parent) it is left to whoever made it.
pub(crate) fn create<F: FileSystem>(fs: &F, path: &Path) -> Result<()> {
    let mut missing = vec![path];
    while let Some(parent) = missing[missing.len() - 1].parent() {
        match fs.kind(parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(parent),
            _ => break,
        }
    }
    for path in missing.into_iter().rev() {
        let created = match fs.create_dir(path) {
            Ok(()) => true,
            Err(_) if fs.kind(path).is_ok() => false,
            Err(source) => return Err(failed("create directory", path, source)),
        };
        let Some(parent) = path.parent() else { continue };
        match fs.sync_dir(parent) {
            Err(error) if !created && error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(|source| failed("sync directory", parent, source))?,
        }
    }
    Ok(())
}

/// An error at a path.
pub(crate) fn failed(op: &'static str, path: &Path, source: io::Error) -> Error {
    Error::io(op, source).with_detail(path.display().to_string())
}
