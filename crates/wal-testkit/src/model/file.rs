//! An open file of the model.

use std::fmt;
use std::io;

use wal_core::Access;
use wal_fs::File;

use super::{ModelFs, SyncFault, SyncKind};

/// An open file of [`ModelFs`]. It dies with the process that opened it.
pub struct ModelFile {
    pub(super) fs: ModelFs,
    pub(super) inode: u64,
    pub(super) handle: u64,
    pub(super) access: Access,
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
        let mut state = self.fs.change()?;
        let free = state.disk.capacity.map(|capacity| capacity.saturating_sub(state.disk.used()));
        let len = state.disk.inode(self.inode)?.cache().len() as u64;
        let mut n = buf.len() as u64;
        if let Some(free) = free {
            n = n.min((len + free).saturating_sub(offset));
            if n == 0 && !buf.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        if n > 0 {
            let seq = state.disk.next_seq();
            state.disk.inode_mut(self.inode)?.write(seq, offset, &buf[..n as usize], through);
        }
        Ok(n as usize)
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
        state.disk.read_only |= fault == SyncFault::ReadOnly;
        Err(io::Error::other("injected: the device failed a sync"))
    }
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

    fn len(&self) -> io::Result<u64> {
        Ok(self.fs.state()?.disk.inode(self.inode)?.cache().len() as u64)
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
