//! File systems that leave out a call and say that they made it.

use std::io;
use std::path::Path;

use wal_core::{Access, Changes};
use wal_fs::{DirEntry, DirectFile, File, FileSystem, FsProfile, Links, Mapping, NodeKind};

/// The call that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgets {
    /// `sync_data`: what a storage does whose sync does nothing.
    SyncData,
    /// `sync_all`: what a storage does that gives a segment its name before its header is synced.
    SyncAll,
    /// `sync_dir`: what a storage does that creates and removes without syncing the directory.
    SyncDir,
    /// The "through" of `write_through_at`.
    Through,
    /// The one step of `rename` and `exchange`, of which they make two.
    Atomicity,
}

/// A file system that forgets one kind of call.
pub(crate) struct Forgetful<F> {
    inner: F,
    forgets: Forgets,
}

impl<F: FileSystem> Forgetful<F> {
    pub(crate) fn new(inner: F, forgets: Forgets) -> Self {
        Forgetful { inner, forgets }
    }

    fn wrap(&self, inner: F::File) -> ForgetfulFile<F::File> {
        ForgetfulFile { inner, forgets: self.forgets }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<F: FileSystem> FileSystem for Forgetful<F> {
    type File = ForgetfulFile<F::File>;

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
        self.inner.read_dir(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        // The directory of the log itself is no matter of the contract.
        self.inner.create_dir(path)?;
        path.parent().map_or(Ok(()), |parent| self.inner.sync_dir(parent))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.forgets == Forgets::Atomicity && self.inner.kind(to).is_ok() {
            self.inner.remove_file(to)?;
            self.inner.sync_dir(to.parent().unwrap())?;
        }
        self.inner.rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename_new(from, to)
    }
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        if self.forgets == Forgets::Atomicity && self.inner.kind(other).is_ok() {
            self.inner.remove_file(other)?;
            self.inner.sync_dir(other.parent().unwrap())?;
            self.inner.rename(one, other)?;
            // Something has to be there.
            self.inner.create_new(one).map(drop)?;
            return Ok(());
        }
        self.inner.exchange(one, other)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match self.forgets {
            Forgets::SyncDir => Ok(()),
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

/// An open file of [`Forgetful`].
pub(crate) struct ForgetfulFile<H> {
    inner: H,
    forgets: Forgets,
}

#[deny(clippy::missing_trait_methods)]
impl<H: File> File for ForgetfulFile<H> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buf, offset)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.inner.write_at(buf, offset)
    }
    fn write_through_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        match self.forgets {
            Forgets::Through => self.inner.write_at(buf, offset),
            _ => self.inner.write_through_at(buf, offset),
        }
    }
    fn sync_data(&self) -> io::Result<()> {
        match self.forgets {
            Forgets::SyncData => Ok(()),
            _ => self.inner.sync_data(),
        }
    }
    fn sync_all(&self) -> io::Result<()> {
        match self.forgets {
            Forgets::SyncAll => Ok(()),
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
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.inner.allocate(len)
    }
    fn map(&self, offset: u64, len: usize) -> io::Result<Box<dyn Mapping>> {
        self.inner.map(offset, len)
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn links(&self) -> io::Result<Links> {
        self.inner.links()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.inner.try_lock()
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
