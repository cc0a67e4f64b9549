//! A file system whose calls wait for their turn, and whose locks lie.

use std::ffi::OsStr;
use std::hash::Hash;
use std::io;
use std::path::Path;
use std::sync::Arc;

use wal_core::{Access, Changes};
use wal_fs::{DirEntry, DirectFile, File, FileSystem, FsProfile, Links, Mapping, NodeKind};

use super::observed::Observed;
use super::scenario::Grain;
use super::turns::{Footprint, Key, Turns, Use};
use crate::{ModelFile, ModelFs, StorageCall};

/// The file system as one owner sees it. Every lock is granted, as on a file system that does not know locks.
#[derive(Clone)]
pub(super) struct Scheduled {
    pub(super) disk: ModelFs,
    pub(super) owner: usize,
    pub(super) turns: Arc<Turns>,
    pub(super) observed: Arc<Observed>,
    pub(super) tells_files_apart: bool,
    pub(super) grain: Grain,
}

impl Scheduled {
    fn step(&self, footprint: Footprint) {
        if self.grain == Grain::Files {
            self.wait(footprint);
        }
    }

    /// Waits until it is this owner's turn. That it was is noted, whatever the call shows: an owner that has come further is
    /// in another place.
    fn wait(&self, footprint: Footprint) {
        self.turns.wait(self.owner, footprint);
        self.observed.note(self.owner, &());
    }

    /// Waits before a call of the storage above that changes something.
    pub(super) fn step_above(&self, call: StorageCall) {
        if !matches!(call, StorageCall::Read | StorageCall::List | StorageCall::Open) {
            self.wait(vec![(Key::Storage, Use::Writes)]);
        }
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

    /// Notes what a call gave.
    fn note<T, H: Hash>(&self, gave: io::Result<T>, seen: impl FnOnce(&T) -> H) -> io::Result<T> {
        self.observed.note(self.owner, &gave.as_ref().map(seen).map_err(io::Error::kind));
        gave
    }

    fn note_links(&self, links: io::Result<Links>) -> io::Result<Links> {
        self.note(links, |links| (links.count, self.observed.label(links.inode)))
    }

    fn wrap(&self, path: &Path, inner: io::Result<ModelFile>) -> io::Result<ScheduledFile> {
        let opened = inner.and_then(|inner| Ok((inner.links()?.inode, inner)));
        let (inode, inner) = self.note(opened, |(inode, _)| self.observed.label(*inode))?;
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
        let created = self.disk.create_new(path);
        if let Ok(file) = &created {
            self.observed.created(self.owner, file.links()?.inode);
        }
        self.wrap(path, created)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<ScheduledFile> {
        self.looks(path);
        self.wrap(path, self.disk.open(path, access))
    }

    fn open_direct(&self, path: &Path) -> io::Result<DirectFile<ScheduledFile>> {
        self.looks(path);
        let DirectFile { file, block_bytes } = self.disk.open_direct(path)?;
        Ok(DirectFile { file: self.wrap(path, Ok(file))?, block_bytes })
    }

    fn kind(&self, path: &Path) -> io::Result<NodeKind> {
        self.looks(path);
        self.note(self.disk.kind(path), |kind| *kind == NodeKind::File)
    }

    fn links(&self, path: &Path) -> io::Result<Links> {
        match self.grain {
            Grain::Files => self.looks(path),
            // The fence asks, which is beside the storage.
            Grain::Storage => self.wait(vec![(Key::Storage, Use::Reads)]),
        }
        match self.tells_files_apart {
            true => self.note_links(self.disk.links(path)),
            false => unsupported(),
        }
    }

    fn process(&self) -> u64 {
        self.disk.process()
    }

    fn ask_process(&self) -> u64 {
        self.disk.ask_process()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        Ok(self.observed.random(self.owner))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.step(vec![(Key::Listing, Use::Reads)]);
        self.note(self.disk.read_dir(path), |entries| {
            entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>()
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.names(&[path]);
        self.note(self.disk.create_dir(path), |()| ())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.names(&[from, to]);
        self.note(self.disk.rename(from, to), |()| ())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.names(&[from, to]);
        self.note(self.disk.rename_new(from, to), |()| ())
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.names(&[one, other]);
        self.note(self.disk.exchange(one, other), |()| ())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.names(&[path]);
        self.note(self.disk.remove_file(path), |()| ())
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
        self.note(self.disk.sync_dir(path), |()| ())
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
        let read = self.inner.read_at(buf, offset);
        self.fs.note(read, |len| &buf[..*len])
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.step(Use::Writes);
        self.fs.note(self.inner.write_at(buf, offset), |len| *len)
    }

    fn write_through_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.step(Use::Writes);
        self.fs.note(self.inner.write_through_at(buf, offset), |len| *len)
    }

    fn sync_data(&self) -> io::Result<()> {
        // What it covers is what was written before.
        self.step(Use::Reads);
        self.fs.note(self.inner.sync_data(), |()| ())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.step(Use::Reads);
        self.fs.note(self.inner.sync_all(), |()| ())
    }

    fn begin_write_back(&self, offset: u64, len: u64) {
        self.inner.begin_write_back(offset, len);
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step(Use::Writes);
        self.fs.note(self.inner.set_len(len), |()| ())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.step(Use::Writes);
        self.fs.note(self.inner.allocate(len), |()| ())
    }

    fn map(&self, offset: u64, len: usize) -> io::Result<Box<dyn Mapping>> {
        self.step(Use::Reads);
        self.inner.map(offset, len)
    }

    fn len(&self) -> io::Result<u64> {
        self.step(Use::Reads);
        self.fs.note(self.inner.len(), |len| *len)
    }

    fn links(&self) -> io::Result<Links> {
        match self.fs.tells_files_apart {
            true => self.fs.note_links(self.inner.links()),
            false => unsupported(),
        }
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
