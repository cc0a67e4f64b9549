//! A file system that is honest in all points but one.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wal_core::{Access, Changes};
use wal_fs::{
    DirEntry, DirectFile, File, FileSettings, FileStorage, FileSystem, FsProfile, Links, Mapping,
    NodeKind,
};

use super::lies::Lie;
use crate::{StorageUnderTest, Tested};

/// `inner`, with a lie.
pub(super) struct Lying<F> {
    inner: F,
    lie: Lie,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What changed names last.
    last: Mutex<Option<Naming>>,
    /// How many syncs were asked for.
    syncs: AtomicU64,
}

/// A call that changes names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    Create,
    Rename,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lying<Tested> {
    /// `FileStorage` on a file system that lies.
    pub(super) fn under_files(name: &str, settings: FileSettings, lie: Lie) -> StorageUnderTest {
        StorageUnderTest::new(name, move |inner| {
            let fs = Lying { inner, lie, shared: Arc::default() };
            Ok(Arc::new(FileStorage::create_with_file_system(fs, "/log", settings.clone())?))
        })
    }
}

impl<F: FileSystem> Lying<F> {
    fn wrap(&self, inner: F::File) -> LyingFile<F::File> {
        LyingFile { inner, lie: self.lie, shared: self.shared.clone(), late: Mutex::default() }
    }

    fn named(&self, how: Naming) {
        *locked(&self.shared.last) = Some(how);
    }
}

#[deny(clippy::missing_trait_methods)]
impl<F: FileSystem> FileSystem for Lying<F> {
    type File = LyingFile<F::File>;

    fn create_new(&self, path: &Path) -> io::Result<Self::File> {
        Ok(self.wrap(self.inner.create_new(path)?))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File> {
        Ok(self.wrap(self.inner.open(path, access)?))
    }

    fn open_direct(&self, path: &Path) -> io::Result<DirectFile<Self::File>> {
        let DirectFile { file, block_bytes } = self.inner.open_direct(path)?;
        Ok(DirectFile { file: self.wrap(file), block_bytes })
    }

    fn kind(&self, path: &Path) -> io::Result<NodeKind> {
        self.inner.kind(path)
    }

    fn links(&self, path: &Path) -> io::Result<Links> {
        self.inner.links(path)
    }

    fn process(&self) -> u64 {
        self.inner.process()
    }

    fn ask_process(&self) -> u64 {
        self.inner.ask_process()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.inner.random()
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = self.inner.read_dir(path)?;
        if let Lie::Listing(most) = self.lie {
            entries.truncate(most);
        }
        Ok(entries)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.named(Naming::Create);
        self.inner.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.named(Naming::Rename);
        self.inner.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.named(Naming::Rename);
        self.inner.rename_new(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.named(Naming::Rename);
        self.inner.exchange(one, other)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let last = *locked(&self.shared.last);
        match (self.lie, last) {
            (Lie::DirSyncAfterCreate, Some(Naming::Create))
            | (Lie::DirSyncAfterRename, Some(Naming::Rename)) => Ok(()),
            _ => self.inner.sync_dir(path),
        }
    }

    fn profile(&self, dir: &Path) -> FsProfile {
        self.inner.profile(dir)
    }

    fn changes(&self, path: &Path) -> Option<Box<dyn Changes>> {
        self.inner.changes(path)
    }
}

/// An open file of a file system that lies.
pub(super) struct LyingFile<H> {
    inner: H,
    lie: Lie,
    shared: Arc<Shared>,
    /// A write that was not made yet.
    late: Mutex<Option<(u64, Vec<u8>)>>,
}

impl<H: File> LyingFile<H> {
    /// Makes the write that waits in memory.
    fn catch_up(&self) -> io::Result<()> {
        let Some((offset, bytes)) = locked(&self.late).take() else { return Ok(()) };
        let mut done = 0;
        while done < bytes.len() {
            done += self.inner.write_at(&bytes[done..], offset + done as u64)?;
        }
        Ok(())
    }

    /// Passes a write on, or lies about it.
    fn writing(&self, len: usize, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        let outcome = write();
        match (self.lie, &outcome) {
            (Lie::ShortWrite, Ok(_)) => Ok(len),
            (Lie::WriteError, Err(_)) => Ok(len),
            (Lie::Interrupt, Err(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(len),
            _ => outcome,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<H: File> File for LyingFile<H> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.catch_up()?;
        let outcome = self.inner.read_at(buf, offset);
        match (self.lie, &outcome) {
            (Lie::ReadError, Err(error)) if error.kind() != io::ErrorKind::Interrupted => Ok(0),
            (Lie::ReadZeros, Ok(read)) => {
                let honest = 1000u64.saturating_sub(offset).min(*read as u64) as usize;
                buf[honest..*read].fill(0);
                outcome
            }
            _ => outcome,
        }
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.catch_up()?;
        match self.lie {
            Lie::LateWrite => {
                *locked(&self.late) = Some((offset, buf.to_vec()));
                Ok(buf.len())
            }
            Lie::Offset => self.inner.write_at(buf, offset / 8 * 8),
            _ => self.writing(buf.len(), || self.inner.write_at(buf, offset)),
        }
    }

    fn write_through_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        match self.lie {
            Lie::WriteThrough => self.inner.write_at(buf, offset),
            _ => self.inner.write_through_at(buf, offset),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.catch_up()?;
        let nth = self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        match self.lie {
            Lie::DataSync => Ok(()),
            Lie::EverySecondSync if nth % 2 == 1 => Ok(()),
            Lie::SyncError => self.inner.sync_data().or(Ok(())),
            Lie::SyncRetry => self.inner.sync_data().or_else(|_| self.inner.sync_data()),
            _ => self.inner.sync_data(),
        }
    }

    fn sync_all(&self) -> io::Result<()> {
        self.catch_up()?;
        match self.lie {
            Lie::SyncBeforeRename => Ok(()),
            _ => self.inner.sync_all(),
        }
    }

    fn begin_write_back(&self, offset: u64, len: u64) {
        self.inner.begin_write_back(offset, len);
    }

    fn touch(&self) {
        self.inner.touch();
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.catch_up()?;
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.catch_up()?;
        self.inner.allocate(len)
    }

    fn map(&self, offset: u64, len: usize) -> io::Result<Box<dyn Mapping>> {
        self.catch_up()?;
        self.inner.map(offset, len)
    }

    fn len(&self) -> io::Result<u64> {
        self.catch_up()?;
        self.inner.len()
    }

    fn links(&self) -> io::Result<Links> {
        self.inner.links()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.lie {
            Lie::Lock => Ok(true),
            _ => self.inner.try_lock(),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        self.inner.unlock()
    }

    /// Reads are to come through here.
    fn backing(&self) -> Option<&dyn std::any::Any> {
        None
    }

    fn share_blocks_of(&self, _: &dyn std::any::Any) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
