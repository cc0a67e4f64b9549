//! `RealFs`: the operating system's own files, through the standard library.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use wal_core::Access;

#[cfg(target_os = "linux")]
use super::fs::DirectFile;
use super::fs::{DirEntry, File, FileSystem, Mapping, NodeKind};
use super::mapping;
#[cfg(target_os = "linux")]
use super::{names, through};

/// The operating system's file system.
///
/// What its syncs are worth on each platform is told in the [crate's notes](crate#platform-notes).
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
pub struct RealFs;

impl FileSystem for RealFs {
    type File = RealFile;

    fn create_new(&self, path: &Path) -> io::Result<RealFile> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path).map(RealFile::new)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<RealFile> {
        let write = access == Access::Write;
        OpenOptions::new().read(true).write(write).open(path).map(RealFile::new)
    }

    #[cfg(target_os = "linux")]
    fn open_direct(&self, path: &Path) -> io::Result<DirectFile<RealFile>> {
        let (file, block_bytes) = through::open_direct(path)?;
        Ok(DirectFile { file: RealFile::new(file), block_bytes })
    }

    fn kind(&self, path: &Path) -> io::Result<NodeKind> {
        let is_dir = fs::metadata(path)?.is_dir();
        Ok(if is_dir { NodeKind::Directory } else { NodeKind::File })
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let entries = fs::read_dir(path)?;
        entries
            .map(|entry| {
                let entry = entry?;
                Ok(DirEntry { is_dir: entry.file_type()?.is_dir(), name: entry.file_name() })
            })
            .collect()
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Elsewhere than on Linux, and on file systems that do not know the flag, as the trait does it: another
    /// process may take the name between the look and the rename.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(renamed) = names::rename_new(from, to) {
            return renamed;
        }
        match fs::symlink_metadata(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
            Err(error) => Err(error),
        }
    }

    #[cfg(target_os = "linux")]
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        names::exchange(one, other)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    #[cfg(not(windows))]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    /// Windows has no call for it; see the platform notes of the crate.
    #[cfg(windows)]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::metadata(path).map(drop)
    }
}

/// An open file of [`RealFs`].
#[derive(Debug)]
pub struct RealFile {
    file: fs::File,
    #[cfg(target_os = "linux")]
    through: through::Through,
}

impl RealFile {
    fn new(file: fs::File) -> Self {
        RealFile {
            file,
            #[cfg(target_os = "linux")]
            through: through::Through::default(),
        }
    }
}

#[cfg(all(target_os = "linux", feature = "uring"))]
impl std::os::fd::AsFd for RealFile {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl File for RealFile {
    #[cfg(unix)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.file, buf, offset)
    }

    #[cfg(unix)]
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(&self.file, buf, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_write(&self.file, buf, offset)
    }

    fn write_through_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        #[cfg(target_os = "linux")]
        if let Some(outcome) = self.through.write(&self.file, buf, offset) {
            return outcome;
        }
        let written = self.write_at(buf, offset)?;
        self.sync_data()?;
        Ok(written)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    #[cfg(target_os = "linux")]
    fn begin_write_back(&self, offset: u64, len: u64) {
        through::begin_write_back(&self.file, offset, len);
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn map(&self, offset: u64, len: usize) -> io::Result<Box<dyn Mapping>> {
        mapping::map(&self.file, offset, len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
}
