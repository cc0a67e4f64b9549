//! An open file of the model.

use std::fmt;
use std::io;
use std::ops::Range;

use wal_core::Access;
use wal_fs::{File, Links, Mapping};

use super::mapping::ModelMapping;
use super::{DIRECT_BLOCK, ModelFs, SyncFault, SyncKind};

/// An open file of [`ModelFs`]. It dies with the process that opened it.
pub struct ModelFile {
    pub(super) fs: ModelFs,
    pub(super) inode: u64,
    pub(super) handle: u64,
    pub(super) access: Access,
    /// Whether it was opened for direct writes.
    pub(super) direct: bool,
}

impl ModelFile {
    fn check_writable(&self) -> io::Result<()> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    /// Writes as much as the disk has room for.
    fn write(&self, buf: &[u8], offset: u64, through: bool) -> io::Result<usize> {
        self.check_writable()?;
        self.check_direct(buf, offset)?;
        let mut state = self.fs.change()?;
        let len = state.disk.inode(self.inode)?.cache().len() as u64;
        let mut n = buf.len() as u64;
        if let Some(capacity) = state.disk.capacity {
            let free = capacity.saturating_sub(state.disk.used());
            n = n.min((len + free).saturating_sub(offset));
            if self.direct {
                n = n / DIRECT_BLOCK as u64 * DIRECT_BLOCK as u64;
            }
            if n == 0 && !buf.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let new = match self.direct && state.disk.powersafe {
            true => changed(state.disk.inode(self.inode)?.cache(), &buf[..n as usize], offset),
            false => 0..n as usize,
        };
        let (buf, seq) = (&buf[..n as usize], state.disk.next_seq());
        if !new.is_empty() {
            let at = offset + new.start as u64;
            state.disk.inode_mut(self.inode)?.write(seq, at, &buf[new]);
        }
        let end = offset + n;
        if through
            && n > 0
            && state.disk.lazy_through
            && state.disk.inode_mut(self.inode)?.is_lazy(end)
        {
            return Ok(n as usize);
        }
        if through && n > 0 {
            // The power may also fail while the write is on its way to the disk.
            drop(state);
            state = self.fs.change()?;
            state.disk.inode_mut(self.inode)?.make_durable(seq, offset, buf);
        }
        Ok(n as usize)
    }

    /// A direct write is refused unless its place, its length and its memory are aligned.
    fn check_direct(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let aligned = buf.len().is_multiple_of(DIRECT_BLOCK)
            && offset.is_multiple_of(DIRECT_BLOCK as u64)
            && buf.as_ptr().align_offset(DIRECT_BLOCK) == 0;
        if self.direct && !aligned {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(())
    }

    /// Makes durable what was written before the call, and lets others write meanwhile if somebody
    /// hooked in.
    fn sync(&self, what: SyncKind) -> io::Result<()> {
        let mut state = self.fs.change()?;
        let barrier = state.disk.seq;
        let fault = state.next_sync_fault();
        if let Some(mut hook) = state.sync_hook.take() {
            drop(state);
            hook(what);
            state = self.fs.change()?;
            state.sync_hook.get_or_insert(hook);
        }
        let inode = state.disk.inode_mut(self.inode)?;
        let Some(fault) = fault else {
            inode.sync(barrier);
            return Ok(());
        };
        inode.fail_sync(barrier, fault);
        state.failed_syncs += 1;
        state.disk.read_only |= fault == SyncFault::ReadOnly;
        Err(io::Error::other("injected: the device failed a sync"))
    }
}

/// The part of a direct write that changes bytes.
///
/// Who rewrites a block writes bytes once more that are there already. To the disk a plain write is a
/// write of whole sectors as well; that their other bytes stay, unless a sector is torn, is assumed of
/// it as it is of this one. On a device that is not powersafe all of the write is at risk.
fn changed(present: &[u8], new: &[u8], offset: u64) -> Range<usize> {
    let old = present.get(offset as usize..).unwrap_or_default();
    let old = &old[..old.len().min(new.len())];
    let Some(start) = old.iter().zip(new).position(|(a, b)| a != b) else {
        return old.len()..new.len();
    };
    if old.len() < new.len() {
        return start..new.len();
    }
    let last = old.iter().zip(new).rposition(|(a, b)| a != b).unwrap_or(start);
    start..last + 1
}

impl File for ModelFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.fs.state()?;
        let bytes = state.disk.inode(self.inode)?.cache();
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.write(buf, offset, false)
    }

    fn write_through_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.write(buf, offset, true)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(SyncKind::Data)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(SyncKind::All)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.fs.change()?;
        let seq = state.disk.next_seq();
        state.disk.inode_mut(self.inode)?.set_len(seq, len);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.fs.change()?;
        let more = len.saturating_sub(state.disk.inode(self.inode)?.cache().len() as u64);
        let used = state.disk.used();
        if more > 0 && state.disk.capacity.is_some_and(|capacity| used + more > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let seq = state.disk.next_seq();
        if more > 0 {
            state.disk.inode_mut(self.inode)?.set_len(seq, len);
        }
        Ok(())
    }

    fn map(&self, offset: u64, len: usize) -> io::Result<Box<dyn Mapping>> {
        self.check_writable()?;
        let mut state = self.fs.state()?;
        let file = self.fs.open_node(&mut state, self.inode, Access::Write)?;
        drop(state);
        Ok(Box::new(ModelMapping::new(file, offset, len)?))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.fs.state()?.disk.inode(self.inode)?.cache().len() as u64)
    }

    fn links(&self) -> io::Result<Links> {
        let count = self.fs.state()?.disk.names_of(self.inode);
        Ok(Links { count, inode: self.inode, device: 0 })
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.fs.state()?;
        let lock = &mut state.disk.inode_mut(self.inode)?.lock;
        Ok(*lock.get_or_insert(self.handle) == self.handle)
    }

    fn unlock(&self) -> io::Result<()> {
        let mut state = self.fs.state()?;
        let lock = &mut state.disk.inode_mut(self.inode)?.lock;
        lock.take_if(|holder| *holder == self.handle);
        Ok(())
    }
}

impl Drop for ModelFile {
    fn drop(&mut self) {
        let _ = self.unlock();
        if let Ok(mut state) = self.fs.state() {
            state.disk.close(self.inode);
        }
    }
}

impl fmt::Debug for ModelFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelFile").field("inode", &self.inode).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wal_fs::FileSystem;

    use super::*;
    use crate::{CrashPolicy, Fate};

    #[test]
    fn only_what_a_direct_write_changes_is_at_risk() {
        assert_eq!(changed(b"abcdef", b"abXYef", 0), 2..4);
        assert_eq!(changed(b"..abcdef", b"abcdef", 2), 6..6);
        assert_eq!(changed(b"abc", b"abc\0\0", 0), 3..5);
        assert_eq!(changed(b"abc", b"xbc\0\0", 0), 0..5);
        assert_eq!(changed(b"abc", b"xy", 700), 0..2);
    }

    #[test]
    fn on_a_device_that_is_not_powersafe_all_of_it_is() {
        let (fs, path) = (ModelFs::new(), Path::new("/a"));
        drop(fs.create_new(path).unwrap());
        let file = fs.open_direct(path).unwrap().file;
        let memory = vec![7; 3 * DIRECT_BLOCK];
        let skip = memory.as_ptr().align_offset(DIRECT_BLOCK);
        let block = &memory[skip..][..2 * DIRECT_BLOCK];
        file.write_at(block, 0).unwrap();
        file.sync_data().unwrap();
        fs.sync_dir(Path::new("/")).unwrap();
        for powersafe in [true, false] {
            fs.set_powersafe(powersafe);
            // What is there already is written once more.
            file.write_at(block, 0).unwrap();
            let image = fs.crash_with(&mut |_| Fate::Garbage(1)).contents(path).unwrap();
            assert_eq!(image == block, powersafe);
            // Also of the images that a crash leaves, and of those after them.
            let later = fs.crash(CrashPolicy::KeepAll);
            let file = later.open_direct(path).unwrap().file;
            file.write_at(block, 0).unwrap();
            let image = later.crash_with(&mut |_| Fate::Garbage(1)).contents(path).unwrap();
            assert_eq!(image == block, powersafe);
        }
    }
}
