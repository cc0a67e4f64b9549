//! `FaultFs`: any file system, with faults and a record of what was asked of it.

use std::io;
use std::path::Path;

use wal_core::{Access, Changes};
use wal_fs::{DirEntry, DirectFile, File, FileSystem, FsProfile, Links, Mapping, NodeKind};

use super::faults::{Faults, NameCell, path_of};
use super::trace::{Call, Op, OpKind};
use crate::model::DIRECT_BLOCK;

/// A file system that passes every call on to another, unless a fault strikes.
///
/// ```
/// use wal_core::{ErrorKind, LogStorage, Lsn, Publish};
/// use wal_fs::FileStorage;
/// use wal_testkit::{Call, FaultFs, ModelFs};
///
/// let fs = FaultFs::new(ModelFs::new());
/// let faults = fs.faults().clone();
/// let storage = FileStorage::create_with_file_system(fs, "/wal", Default::default())?;
/// faults.fail_once(Call::Create, 1, std::io::ErrorKind::StorageFull);
/// let error = storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().err().unwrap();
/// assert_eq!(error.kind(), ErrorKind::Full);
/// # Ok::<(), wal_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultFs<F> {
    inner: F,
    faults: Faults,
}

impl<F: FileSystem> FaultFs<F> {
    /// Wraps `inner`, with no faults yet.
    pub fn new(inner: F) -> Self {
        FaultFs { inner, faults: Faults::default() }
    }

    /// The same faults over another file system: another handle on it, for instance.
    pub(crate) fn over(&self, inner: F) -> Self {
        FaultFs { inner, faults: self.faults.clone() }
    }

    /// The controls.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The file system below.
    pub fn inner(&self) -> &F {
        &self.inner
    }

    fn wrap(&self, inner: F::File, path: &Path) -> FaultFile<F::File> {
        FaultFile { inner, faults: self.faults.clone(), name: self.faults.name(path), block: 1 }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<F: FileSystem> FileSystem for FaultFs<F> {
    type File = FaultFile<F::File>;

    fn create_new(&self, path: &Path) -> io::Result<Self::File> {
        let op = Op::new(OpKind::Create, path);
        let file = self.faults.change(op, || self.inner.create_new(path))?;
        Ok(self.wrap(file, path))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File> {
        self.faults.look(Call::Open)?;
        Ok(self.wrap(self.inner.open(path, access)?, path))
    }

    fn open_direct(&self, path: &Path) -> io::Result<DirectFile<Self::File>> {
        self.faults.look(Call::Open)?;
        let DirectFile { file, block_bytes } = self.inner.open_direct(path)?;
        let block = block_bytes.unwrap_or(DIRECT_BLOCK as u32) as usize;
        Ok(DirectFile { file: FaultFile { block, ..self.wrap(file, path) }, block_bytes })
    }

    fn kind(&self, path: &Path) -> io::Result<NodeKind> {
        self.faults.power()?;
        self.inner.kind(path)
    }

    fn links(&self, path: &Path) -> io::Result<Links> {
        self.faults.power()?;
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
        self.faults.power()?;
        self.inner.read_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.faults.change(Op::new(OpKind::CreateDir, path), || self.inner.create_dir(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let op = Op::new(OpKind::Rename { to: to.to_path_buf() }, from);
        self.faults.change(op, || self.inner.rename(from, to))?;
        self.faults.renamed(from, to);
        Ok(())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let op = Op::new(OpKind::RenameNew { to: to.to_path_buf() }, from);
        self.faults.change(op, || self.inner.rename_new(from, to))?;
        self.faults.renamed(from, to);
        Ok(())
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        let op = Op::new(OpKind::Exchange { with: other.to_path_buf() }, one);
        self.faults.change(op, || self.inner.exchange(one, other))?;
        self.faults.exchanged(one, other);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.faults.change(Op::new(OpKind::Remove, path), || self.inner.remove_file(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.faults.change(Op::new(OpKind::SyncDir, path), || self.inner.sync_dir(path))
    }

    fn profile(&self, dir: &Path) -> FsProfile {
        self.inner.profile(dir)
    }

    fn changes(&self, path: &Path) -> Option<Box<dyn Changes>> {
        self.inner.changes(path)
    }
}

/// An open file of [`FaultFs`].
#[derive(Debug)]
pub struct FaultFile<H> {
    inner: H,
    faults: Faults,
    name: NameCell,
    /// A write is cut short to a multiple of this.
    block: usize,
}

impl<H: File> FaultFile<H> {
    fn shortened<'b>(&self, buf: &'b [u8]) -> &'b [u8] {
        let len = self.faults.write_len(buf.len()) / self.block * self.block;
        &buf[..len.max(self.block.min(buf.len()))]
    }

    fn change<T>(&self, kind: OpKind, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.faults.change(Op::new(kind, &path_of(&self.name)), run)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<H: File> File for FaultFile<H> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.faults.look(Call::Read)?;
        let len = self.faults.read_len(buf.len());
        self.inner.read_at(&mut buf[..len], offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let kind = OpKind::Write { offset, len: buf.len(), through: false };
        let buf = self.shortened(buf);
        self.change(kind, || self.inner.write_at(buf, offset))
    }

    fn write_through_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let kind = OpKind::Write { offset, len: buf.len(), through: true };
        let buf = self.shortened(buf);
        self.change(kind, || self.inner.write_through_at(buf, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(OpKind::SyncData, || self.inner.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.change(OpKind::SyncAll, || self.inner.sync_all())
    }

    fn begin_write_back(&self, offset: u64, len: u64) {
        self.faults.count_write_back(len);
        self.inner.begin_write_back(offset, len);
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(OpKind::SetLen(len), || self.inner.set_len(len))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.change(OpKind::SetLen(len), || self.inner.allocate(len))
    }

    fn map(&self, offset: u64, len: usize) -> io::Result<Box<dyn Mapping>> {
        self.faults.look(Call::Map)?;
        let inner = self.inner.map(offset, len)?;
        let (faults, name) = (self.faults.clone(), self.name.clone());
        Ok(Box::new(FaultMapping { inner, faults, name, offset }))
    }

    /// A hint, at a time that a real clock chooses: no fault is drawn for it.
    fn touch(&self) {
        self.inner.touch();
    }

    fn len(&self) -> io::Result<u64> {
        self.faults.power()?;
        self.inner.len()
    }

    fn links(&self) -> io::Result<Links> {
        self.faults.power()?;
        self.inner.links()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.faults.look(Call::Lock)?;
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

/// A piece of a file of [`FaultFs`]. A copy into it cannot fail, unless the power is off.
struct FaultMapping {
    inner: Box<dyn Mapping>,
    faults: Faults,
    name: NameCell,
    offset: u64,
}

#[deny(clippy::missing_trait_methods)]
impl Mapping for FaultMapping {
    fn write(&mut self, data: &[u8], at: usize) -> io::Result<()> {
        let kind = OpKind::Copy { offset: self.offset + at as u64, len: data.len() };
        let inner = &mut self.inner;
        self.faults.change(Op::new(kind, &path_of(&self.name)), || inner.write(data, at))
    }

    fn flush(&self) -> io::Result<()> {
        self.faults.power()?;
        self.inner.flush()
    }
}
