//! A file system whose calls wait for their turn, and whose locks lie.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use wal_core::{Access, Changes};
use wal_fs::{DirEntry, DirectFile, File, FileSystem, FsProfile, Links, Mapping, NodeKind};

use super::turns::{Footprint, Key, Turns, Use};
use crate::{ModelFile, ModelFs};

/// The file system as one owner sees it. Every lock is granted, as on a file system that does not know locks.
#[derive(Clone)]
pub(super) struct Scheduled {
    pub(super) disk: ModelFs,
    pub(super) owner: usize,
    pub(super) turns: Arc<Turns>,
    pub(super) tells_files_apart: bool,
}

impl Scheduled {
    fn step(&self, footprint: Footprint) {
        self.turns.wait(self.owner, footprint);
    }

    fn names(&self, paths: &[&Path]) {
        let mut footprint: Footprint =
            paths.iter().map(|path| (Key::Name(path.to_path_buf()), Use::Writes)).collect();
        footprint.push((Key::Listing, Use::Changes));
        self.step(footprint);
    }

    fn looks(&self, path: &Path) {
        self.step(vec![(Key::Name(path.to_path_buf()), Use::Reads)]);
    }

    fn wrap(&self, path: &Path, inner: ModelFile) -> io::Result<ScheduledFile> {
        let inode = inner.links()?.inode;
        Ok(ScheduledFile { inner, inode, is_note: is_note(path), fs: self.clone() })
    }
}

fn unsupported() -> io::Result<Links> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether what is in the file decides nothing: it is for people.
fn is_note(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name == "LOCK" || name.starts_with("OWNER-")
}

#[deny(clippy::missing_trait_methods)]
impl FileSystem for Scheduled {
    type File = ScheduledFile;

    fn create_new(&self, path: &Path) -> io::Result<ScheduledFile> {
        self.names(&[path]);
        self.wrap(path, self.disk.create_new(path)?)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<ScheduledFile> {
        self.looks(path);
        self.wrap(path, self.disk.open(path, access)?)
    }

    fn open_direct(&self, path: &Path) -> io::Result<DirectFile<ScheduledFile>> {
        self.looks(path);
        let DirectFile { file, block_bytes } = self.disk.open_direct(path)?;
        Ok(DirectFile { file: self.wrap(path, file)?, block_bytes })
    }

    fn kind(&self, path: &Path) -> io::Result<NodeKind> {
        self.looks(path);
        self.disk.kind(path)
    }

    fn links(&self, path: &Path) -> io::Result<Links> {
        self.looks(path);
        if self.tells_files_apart { self.disk.links(path) } else { unsupported() }
    }

    fn process(&self) -> u64 {
        self.disk.process()
    }

    fn ask_process(&self) -> u64 {
        self.disk.ask_process()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.disk.random()
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.step(vec![(Key::Listing, Use::Reads)]);
        self.disk.read_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.names(&[path]);
        self.disk.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.names(&[from, to]);
        self.disk.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.names(&[from, to]);
        self.disk.rename_new(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.names(&[one, other]);
        self.disk.exchange(one, other)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.names(&[path]);
        self.disk.remove_file(path)
    }

    fn profile(&self, dir: &Path) -> FsProfile {
        self.disk.profile(dir)
    }

    /// Nobody waits in a simulation.
    fn changes(&self, _: &Path) -> Option<Box<dyn Changes>> {
        None
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // What it covers is what was changed before.
        self.step(vec![(Key::Listing, Use::Reads)]);
        self.disk.sync_dir(path)
    }
}

pub(super) struct ScheduledFile {
    inner: ModelFile,
    inode: u64,
    is_note: bool,
    fs: Scheduled,
}

impl ScheduledFile {
    fn step(&self, how: Use) {
        if !self.is_note {
            self.fs.step(vec![(Key::Bytes(self.inode), how)]);
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl File for ScheduledFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.step(Use::Reads);
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.step(Use::Writes);
        self.inner.write_at(buf, offset)
    }

    fn write_through_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.step(Use::Writes);
        self.inner.write_through_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        // What it covers is what was written before.
        self.step(Use::Reads);
        self.inner.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.step(Use::Reads);
        self.inner.sync_all()
    }

    fn begin_write_back(&self, offset: u64, len: u64) {
        self.inner.begin_write_back(offset, len);
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step(Use::Writes);
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.step(Use::Writes);
        self.inner.allocate(len)
    }

    fn map(&self, offset: u64, len: usize) -> io::Result<Box<dyn Mapping>> {
        self.step(Use::Reads);
        self.inner.map(offset, len)
    }

    fn len(&self) -> io::Result<u64> {
        self.step(Use::Reads);
        self.inner.len()
    }

    fn links(&self) -> io::Result<Links> {
        if self.fs.tells_files_apart { self.inner.links() } else { unsupported() }
    }

    fn touch(&self) {
        self.inner.touch();
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn unlock(&self) -> io::Result<()> {
        Ok(())
    }

    /// Reads are to come through here.
    fn backing(&self) -> Option<&dyn std::any::Any> {
        None
    }

    fn share_blocks_of(&self, _: &dyn std::any::Any) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
