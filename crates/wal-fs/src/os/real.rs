//! `RealFs`: the operating system's own files, through the standard library.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use wal_core::Access;

#[cfg(target_os = "linux")]
use super::fs::DirectFile;
#[cfg(unix)]
use super::fs::Links;
use super::fs::{DirEntry, File, FileSystem, Mapping, NodeKind};
#[cfg(target_os = "linux")]
use super::{FsProfile, names, notice, profile, through};
use super::{mapping, process};

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

    #[cfg(unix)]
    fn links(&self, path: &Path) -> io::Result<Links> {
        fs::metadata(path).map(|told| links(&told))
    }

    fn process(&self) -> u64 {
        process::current().into()
    }

    fn ask_process(&self) -> u64 {
        process::ask().into()
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
        let directory = fs::File::open(path)?;
        directory.sync_all().or_else(|error| sync_otherwise(&directory, error))
    }

    /// Windows has no call for it; see the platform notes of the crate.
    #[cfg(windows)]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::metadata(path).map(drop)
    }

    #[cfg(target_os = "linux")]
    fn profile(&self, dir: &Path) -> FsProfile {
        profile::of_directory(dir)
    }

    #[cfg(target_os = "linux")]
    fn changes(&self, path: &Path) -> Option<Box<dyn wal_core::Changes>> {
        let noticed = notice::Noticed::begin(path).ok()?;
        Some(Box::new(noticed))
    }
}

/// Makes names durable where a directory cannot be synced by itself: with all else of the file system, if that is
/// known to cover names. An error of the device stays one.
#[cfg(not(windows))]
fn sync_otherwise(directory: &fs::File, error: io::Error) -> io::Result<()> {
    if !is_refusal(&error) {
        return Err(error);
    }
    #[cfg(target_os = "linux")]
    if profile::syncfs_covers_names(directory) {
        return Ok(rustix::fs::syncfs(directory)?);
    }
    let _ = directory;
    Err(io::Error::new(io::ErrorKind::Unsupported, error))
}

/// Whether the system says that it cannot, and not that it failed: `EINVAL` (CIFS, vboxsf), `ENOTSUP`, `ENOSYS`, or
/// `EBADF` for a handle that is open (some virtiofs).
#[cfg(not(windows))]
fn is_refusal(error: &io::Error) -> bool {
    const EBADF: i32 = 9;
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(EBADF)
}

/// Whether the system says that there are no locks, and not that somebody has this one. `ENOLCK` is how NFS says that
/// its lock service does not answer.
fn has_no_locks(error: &io::Error) -> bool {
    const ENOLCK: i32 = if cfg!(target_os = "linux") { 37 } else { 77 };
    error.kind() == io::ErrorKind::Unsupported || cfg!(unix) && error.raw_os_error() == Some(ENOLCK)
}

#[cfg(unix)]
fn links(told: &fs::Metadata) -> Links {
    use std::os::unix::fs::MetadataExt;
    Links { count: told.nlink(), inode: told.ino(), device: told.dev() }
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

    #[cfg(target_os = "linux")]
    fn touch(&self) {
        notice::touch(&self.file);
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    #[cfg(target_os = "linux")]
    fn allocate(&self, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        loop {
            return match fallocate(&self.file, FallocateFlags::empty(), 0, len) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                    Err(io::ErrorKind::Unsupported.into())
                }
                allocated => Ok(allocated?),
            };
        }
    }

    /// Bytes are written instead.
    #[cfg(not(target_os = "linux"))]
    fn allocate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn map(&self, offset: u64, len: usize) -> io::Result<Box<dyn Mapping>> {
        mapping::map(&self.file, offset, len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(unix)]
    fn links(&self) -> io::Result<Links> {
        self.file.metadata().map(|told| links(&told))
    }

    fn backing(&self) -> Option<&dyn std::any::Any> {
        Some(&self.file)
    }

    /// `FICLONE`: btrfs, XFS, bcachefs and others share blocks within one file system.
    #[cfg(target_os = "linux")]
    fn share_blocks_of(&self, source: &dyn std::any::Any) -> io::Result<()> {
        let Some(source) = source.downcast_ref::<fs::File>() else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        Ok(rustix::fs::ioctl_ficlone(&self.file, source)?)
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) if has_no_locks(&error) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, error))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_from_a_failure() {
        let error = io::Error::from_raw_os_error;
        let [ebadf, einval, eio, enospc] = [9, 22, 5, 28].map(error);
        assert!(is_refusal(&ebadf) && is_refusal(&einval));
        assert!(!is_refusal(&eio) && !is_refusal(&enospc));
    }

    /// Here a directory can be synced; what is done where it cannot needs no other directory to be tried.
    #[test]
    fn a_refused_sync_is_made_otherwise_or_told_and_a_failed_one_is_neither() {
        let dir = tempfile::tempdir().unwrap();
        let directory = fs::File::open(dir.path()).unwrap();
        let refused = sync_otherwise(&directory, io::Error::from_raw_os_error(22));
        #[cfg(target_os = "linux")]
        let covered = profile::syncfs_covers_names(&directory);
        #[cfg(not(target_os = "linux"))]
        let covered = false;
        match refused {
            Ok(()) => assert!(covered),
            Err(error) => assert_eq!((error.kind(), covered), (io::ErrorKind::Unsupported, false)),
        }
        let failed = sync_otherwise(&directory, io::Error::from_raw_os_error(5)).unwrap_err();
        assert_eq!(failed.raw_os_error(), Some(5));
    }

    #[test]
    fn a_second_name_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
        let file = RealFs.create_new(&one).unwrap();
        let before = file.links().unwrap();
        assert_eq!(before.count, 1);
        fs::hard_link(&one, &two).unwrap();
        assert_eq!(file.links().unwrap(), Links { count: 2, ..before });
        assert_eq!(RealFs.open(&two, Access::Read).unwrap().links().unwrap().inode, before.inode);
        fs::remove_file(&one).unwrap();
        fs::remove_file(&two).unwrap();
        assert_eq!(file.links().unwrap().count, 0);
    }
}
