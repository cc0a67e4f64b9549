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

/// Makes the names in a directory durable. Where the system syncs no directories it is an error, unless that
/// `may_be_refused`.
pub(crate) fn sync<F: FileSystem>(fs: &F, path: &Path, may_be_refused: bool) -> io::Result<()> {
    match fs.sync_dir(path) {
        Err(error) if may_be_refused && error.kind() == io::ErrorKind::Unsupported => Ok(()),
        synced => synced,
    }
}

/// What a failed [`sync`] is told as.
pub(crate) fn not_synced(path: &Path, source: io::Error) -> Error {
    const OP: &str = "sync directory";
    if source.kind() != io::ErrorKind::Unsupported {
        return failed(OP, path, source);
    }
    Error::new(ErrorKind::Unsupported, OP).with_source(source).with_detail(format!(
        "{}: this file system syncs no directories, so a power loss may take the name of a segment, and all of its \
         records with it; the setting allow_unsynced_names accepts that",
        path.display()
    ))
}

/// Creates what is missing of `path`, from above, each name durable before the next is made.
///
/// The name of a directory that was there is made durable as well: whoever made it, perhaps this
/// program just before it was killed, need not have done so. Only if the system denies that (one
/// may use a directory without being allowed to open its parent) it is left to whoever made it.
pub(crate) fn create<F: FileSystem>(fs: &F, path: &Path, may_be_refused: bool) -> Result<()> {
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
        match sync(fs, parent, may_be_refused) {
            Err(error) if !created && error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(|source| not_synced(parent, source))?,
        }
    }
    Ok(())
}

/// An error at a path.
pub(crate) fn failed(op: &'static str, path: &Path, source: io::Error) -> Error {
    Error::io(op, source).with_detail(path.display().to_string())
}
