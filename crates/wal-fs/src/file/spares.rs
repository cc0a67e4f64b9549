//! Spares: files that are to become segments, and removed segments kept for it.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::names::{self, Name};
use crate::os::FileSystem;

/// The spares of one storage.
///
/// Only files that this process put there since it took the lock are used. Those of an earlier
/// process may hold frames of an incarnation of the log that was lost, generation number and all.
#[derive(Debug, Default)]
pub(super) struct Spares(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<PathBuf>,
    /// The epoch of the owner. With the number it makes names that no other owner has had: one that has lost the log may
    /// still remove and rename its own.
    owner: u64,
    /// Counts up, so that no two files of one owner had the same name.
    used: u64,
}

impl Spares {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> usize {
        self.state().ready.len()
    }

    /// From now on names are those of the owner with this epoch, who has used none yet.
    pub(super) fn begin(&self, owner: u64) {
        let mut state = self.state();
        (state.owner, state.used) = (owner, 0);
    }

    /// Takes the oldest spare; the caller owns the file.
    pub(super) fn take(&self) -> Option<PathBuf> {
        self.state().ready.pop_front()
    }

    /// Hands over a file that is ready to become a segment.
    pub(super) fn put(&self, path: PathBuf) {
        self.state().ready.push_back(path);
    }

    /// A name for a new spare.
    pub(super) fn next_path(&self, dir: &Path) -> PathBuf {
        let mut state = self.state();
        state.used += 1;
        dir.join(names::spare(state.owner, state.used))
    }

    /// Creates an empty file under a spare's name.
    pub(super) fn create<F: FileSystem>(
        &self,
        fs: &F,
        dir: &Path,
    ) -> Result<(PathBuf, F::File), (PathBuf, io::Error)> {
        loop {
            let path = self.next_path(dir);
            match fs.create_new(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err((path, error)),
            }
        }
    }

    /// Removes the spares in the directory, of this process or another.
    pub(super) fn clear<F: FileSystem>(
        &self,
        fs: &F,
        dir: &Path,
    ) -> Result<(), (PathBuf, io::Error)> {
        let here = |error| (dir.to_path_buf(), error);
        self.state().ready.clear();
        for entry in fs.read_dir(dir).map_err(here)? {
            if !entry.is_dir && entry.name.to_str().map(Name::parse) == Some(Name::Spare) {
                let path = dir.join(&entry.name);
                fs.remove_file(&path).map_err(|error| (path, error))?;
            }
        }
        Ok(())
    }

    /// Gives the space of the spares back to the file system. One that stays goes when the lock is taken next.
    pub(super) fn give_back<F: FileSystem>(&self, fs: &F) {
        let ready = std::mem::take(&mut self.state().ready);
        for path in ready {
            let _ = fs.remove_file(&path);
        }
    }
}
