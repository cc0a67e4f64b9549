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

use super::names;
use crate::os::{File, FileSystem, whole};

/// What a segment of nothing but a header takes, in bytes, in every storage.
const HEADER: u64 = 128 << 10;

/// The bounds of each of the two larger files, in bytes.
const SMALLEST: u64 = 64 << 10;
const LARGEST: u64 = 4 << 20;

/// How large each file of the reserve is to be, for segments of this size, and with this bound for all together.
pub(super) fn sizes(segment_size: u64, most: Option<u64>) -> [u64; 3] {
    let segment = segment_size.clamp(SMALLEST, LARGEST);
    let Some(most) = most else { return [HEADER, segment, segment] };
    let header = HEADER.min(most / 3);
    let segment = segment.min((most - header) / 2);
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
        let mut files = [0; 3];
        for (n, len) in files.iter_mut().enumerate() {
            *len = match fs.open(&dir.join(names::reserve(n)), Access::Read) {
                Ok(file) => file.len()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(error),
            };
        }
        let mut state = self.state();
        (state.files, state.wanted) = (files, files);
        Ok(())
    }

    /// Makes each file as long as it is to be, and none shorter, unless `most` says so. What there is no room for is left
    /// out: says whether all of it is there. Does nothing while the reserve is open.
    pub(super) fn fill<F: FileSystem>(
        &self,
        fs: &F,
        dir: &Path,
        segment_size: u64,
        most: Option<u64>,
    ) -> Result<bool, (PathBuf, io::Error)> {
        let mut whole = true;
        if self.is_open() {
            return Ok(whole);
        }
        for (n, size) in sizes(segment_size, most).into_iter().enumerate() {
            let (present, wanted) = {
                let mut state = self.state();
                state.wanted[n] = if most.is_some() { size } else { size.max(state.wanted[n]) };
                (state.files[n], state.wanted[n])
            };
            if present == wanted {
                continue;
            }
            let path = dir.join(names::reserve(n));
            match resize(fs, &path, present, wanted) {
                Ok(()) => self.state().files[n] = wanted,
                Err(error) if is_full(&error) => whole = false,
                Err(error) => return Err((path, error)),
            }
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
            match fs.rename_new(&dir.join(from), path).and_then(|()| fs.open(path, Access::Write)) {
                Ok(file) => return Ok(Some(file)),
                // Somebody tidied up the directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
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

/// Makes a file of so many bytes longer or shorter; the file system has room for all of it. If it has not, the file is
/// as it was.
fn resize<F: FileSystem>(fs: &F, path: &Path, present: u64, wanted: u64) -> io::Result<()> {
    if present > 0 && wanted == 0 {
        return fs.remove_file(path);
    }
    let file = match present {
        0 => fs.create_new(path)?,
        _ => fs.open(path, Access::Write)?,
    };
    if wanted < present {
        file.set_len(wanted)?;
        return file.sync_all();
    }
    let allocated = match file.allocate(wanted) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            whole::write_zeros(&file, present, wanted)
        }
        allocated => allocated,
    };
    allocated.and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = match present {
            0 => fs.remove_file(path),
            _ => file.set_len(present),
        };
    })
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
    fn sizes_follow_the_segment_within_bounds() {
        assert_eq!(sizes(4096, None), [128 << 10, 64 << 10, 64 << 10]);
        assert_eq!(sizes(1 << 20, None), [128 << 10, 1 << 20, 1 << 20]);
        assert_eq!(sizes(1 << 30, None), [128 << 10, 4 << 20, 4 << 20]);
        assert_eq!(sizes(1 << 30, Some(0)), [0, 0, 0]);
        assert_eq!(sizes(1 << 30, Some(100)), [33, 33, 33]);
        assert_eq!(sizes(1 << 30, Some(1 << 20)), [128 << 10, 448 << 10, 448 << 10]);
        assert_eq!(sizes(4096, Some(1 << 30)), [128 << 10, 64 << 10, 64 << 10]);
    }
}
