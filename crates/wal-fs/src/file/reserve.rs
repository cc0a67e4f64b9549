//! The reserve: files that hold space for when there is none.
//!
//! A full disk is made room on by truncating the log, and a log that died on one is recovered first. Both need space of
//! their own: for the header of a new segment, for the end that nothing proves durable, for copies of what is cut. So
//! each of these has a file, full of zeros. Where the disk has no room for a new file, one of them is renamed and
//! becomes it: its blocks are there already, and nobody else can take them in between. Where a file that exists has to
//! grow, one of them is removed.
//!
//! Only who recovers, truncates or closes the log may use them: while the reserve is *open*.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wal_core::{Access, WriteMode};

use super::directory::is_ours_alone;
use super::names;
use crate::os::{File, FileSystem, NodeKind, whole};

/// What a segment of nothing but a header takes, in bytes, in every storage.
const HEADER: u64 = 128 << 10;

/// The bounds of each of the two larger files, in bytes.
const SMALLEST: u64 = 64 << 10;
const LARGEST: u64 = 4 << 20;

/// How large each file of the reserve is to be: for segments of this size, or so much in all.
pub(super) fn sizes(segment_size: u64, bytes: Option<u64>) -> [u64; 3] {
    let Some(bytes) = bytes else {
        let segment = segment_size.clamp(SMALLEST, LARGEST);
        return [HEADER, segment, segment];
    };
    let header = HEADER.min(bytes / 3);
    let segment = (bytes - header) / 2;
    [header, segment, segment]
}

/// The reserve of one storage.
#[derive(Debug, Default)]
pub(super) struct Reserve(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: bool,
    /// The length of each file; 0: it is not there.
    files: [u64; 3],
    /// The length that each is to have.
    wanted: [u64; 3],
    /// Whether each was seen to have its space since the lock was taken: a copy of a directory may be full of holes.
    checked: [bool; 3],
}

impl Reserve {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether it may be used from now on.
    pub(super) fn set_open(&self, open: bool) {
        self.state().open = open;
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().open
    }

    /// Notes which files an earlier process left.
    pub(super) fn find<F: FileSystem>(&self, fs: &F, dir: &Path) -> io::Result<()> {
        let files = lengths(fs, dir)?;
        let mut state = self.state();
        (state.files, state.wanted, state.checked) = (files, files, [false; 3]);
        Ok(())
    }

    /// Makes each file as long as it is to be, and none shorter, unless `bytes` says so. What there is no room for is left
    /// out: says whether all of it is there. Does nothing while the reserve is open.
    pub(super) fn fill<F: FileSystem>(
        &self,
        fs: &F,
        dir: &Path,
        segment_size: u64,
        bytes: Option<u64>,
    ) -> Result<bool, (PathBuf, io::Error)> {
        let mut whole = true;
        if self.is_open() {
            return Ok(whole);
        }
        for (n, size) in sizes(segment_size, bytes).into_iter().enumerate() {
            let (present, wanted, checked) = {
                let mut state = self.state();
                state.wanted[n] = match bytes {
                    Some(_) => size,
                    None => size.max(state.wanted[n]),
                };
                (state.files[n], state.wanted[n], state.checked[n])
            };
            if present == wanted && (checked || wanted == 0) {
                continue;
            }
            let path = dir.join(names::reserve(n));
            let outcome = resize(fs, &path, present, wanted).map_err(|error| (path, error))?;
            let mut state = self.state();
            (state.files[n], state.checked[n]) = (outcome, true);
            whole &= outcome == wanted;
        }
        Ok(whole)
    }

    /// Takes a file out of an open reserve, under the name `path`: the smallest that has room for `need` bytes, or the
    /// largest.
    pub(super) fn take<F: FileSystem>(
        &self,
        fs: &F,
        dir: &Path,
        need: u64,
        path: &Path,
    ) -> io::Result<Option<F::File>> {
        while let Some(from) = self.pick(need) {
            let named = self.with_room(fs, dir, || fs.rename_new(&dir.join(&from), path));
            match named.and_then(|()| fs.open(path, Access::Write)) {
                Ok(file) if is_ours_alone(&file) => return Ok(Some(file)),
                // What is written to it would be written to a backup made of links as well.
                Ok(_) => fs.remove_file(path)?,
                // Somebody tidied up the directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Gives a file a name. That needs space of its own on some file systems: an open reserve has it.
    pub(super) fn with_room<F: FileSystem, T>(
        &self,
        fs: &F,
        dir: &Path,
        name: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match name() {
                Err(error) if is_full(&error) && self.give_up(fs, dir, 0) => {}
                named => return named,
            }
        }
    }

    /// Gives the space of one file of an open reserve back to the file system. Whether there was one.
    pub(super) fn give_up<F: FileSystem>(&self, fs: &F, dir: &Path, need: u64) -> bool {
        while let Some(name) = self.pick(need) {
            if fs.remove_file(&dir.join(name)).is_ok() {
                return true;
            }
        }
        false
    }

    /// The name of a file that is not of the reserve from now on.
    fn pick(&self, need: u64) -> Option<String> {
        let mut state = self.state();
        if !state.open {
            return None;
        }
        let there = state.files.iter().enumerate().filter(|(_, len)| **len > 0);
        let (n, _) = there.min_by_key(|(_, len)| (**len < need, need.abs_diff(**len)))?;
        state.files[n] = 0;
        Some(names::reserve(n))
    }
}

/// The length of each file in a directory; 0: it is not there.
pub(super) fn lengths<F: FileSystem>(fs: &F, dir: &Path) -> io::Result<[u64; 3]> {
    let mut files = [0; 3];
    for (n, len) in files.iter_mut().enumerate() {
        let path = dir.join(names::reserve(n));
        *len = match fs.kind(&path) {
            Ok(NodeKind::File) => fs.open(&path, Access::Read)?.len()?,
            Ok(NodeKind::Directory) => 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
    }
    Ok(files)
}

/// Makes a file of the reserve so long, with space for all of it. Where there is not enough, it gets a little less, or
/// stays as it is. Says how long it is.
fn resize<F: FileSystem>(fs: &F, path: &Path, present: u64, wanted: u64) -> io::Result<u64> {
    if present > 0 && wanted > 0 {
        match fs.open(path, Access::Write) {
            // Otherwise what is cut off would be cut off a backup made of links as well.
            Ok(file) if is_ours_alone(&file) => {
                if wanted < present {
                    file.set_len(wanted)?;
                    file.sync_all()?;
                }
                return grow(&file, present.min(wanted), wanted);
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    if wanted == 0 {
        return match fs.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(0),
        };
    }
    let file = match fs.create_new(path) {
        // One without a byte, of an opener that was killed, or one that is in a backup as well.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs.remove_file(path).and_then(|()| fs.create_new(path))
        }
        created => created,
    };
    let file = match file {
        Ok(file) => file,
        Err(error) if is_full(&error) => return Ok(0),
        Err(error) => return Err(error),
    };
    let len = grow(&file, 0, wanted);
    if !matches!(len, Ok(1..)) {
        let _ = fs.remove_file(path);
    }
    len
}

/// Makes a file longer. Where there is no room for all of it, as on a small disk, it gets at least a little.
fn grow<H: File>(file: &H, present: u64, wanted: u64) -> io::Result<u64> {
    for len in [wanted, wanted.min(SMALLEST)] {
        if len < present {
            break;
        }
        let allocated = match file.allocate(len) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                whole::write_zeros(file, present, len)
            }
            allocated => allocated,
        };
        // What is as long as before needs no sync: holes have their space now, or there were none.
        let synced = || if len > present { file.sync_all() } else { Ok(()) };
        match allocated.and_then(|()| synced()) {
            Ok(()) => return Ok(len),
            Err(error) if is_full(&error) => file.set_len(present)?,
            Err(error) => return Err(error),
        }
    }
    Ok(present)
}

/// Whether an error says that the disk or the quota is used up. That a file must not grow is another matter.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Writes all of `data` at the beginning of a file from the reserve, and cuts off what is behind it.
pub(super) fn write_whole<H: File>(file: &H, data: &[u8]) -> io::Result<()> {
    whole::write(file, data, 0, WriteMode::Cached)?;
    file.set_len(data.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_segment_within_bounds_or_the_setting() {
        assert_eq!(sizes(4096, None), [128 << 10, 64 << 10, 64 << 10]);
        assert_eq!(sizes(1 << 20, None), [128 << 10, 1 << 20, 1 << 20]);
        assert_eq!(sizes(1 << 30, None), [128 << 10, 4 << 20, 4 << 20]);
        assert_eq!(sizes(1 << 30, Some(0)), [0, 0, 0]);
        assert_eq!(sizes(1 << 30, Some(100)), [33, 33, 33]);
        assert_eq!(sizes(4096, Some(1 << 20)), [128 << 10, 448 << 10, 448 << 10]);
    }
}
