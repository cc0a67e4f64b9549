//! The segments of a storage that breaks its contract.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use wal_core::*;

use super::liar::Lie;

pub(super) struct LiarSegment {
    pub(super) inner: Arc<dyn Segment>,
    pub(super) lie: Lie,
    pub(super) storage: Arc<dyn LogStorage>,
    pub(super) name: Lsn,
    pub(super) buffer: Mutex<Vec<(u64, Bytes)>>,
}

impl LiarSegment {
    fn flush(&self) -> Result<()> {
        let buffer = std::mem::take(&mut *self.buffer.lock().unwrap());
        let mut writes = buffer.into_iter();
        writes.try_for_each(|(at, data)| self.inner.write_at(at, data, WriteMode::Cached).wait())
    }
}

#[deny(clippy::missing_trait_methods)]
impl Segment for LiarSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        let len = || self.inner.len().wait().unwrap();
        let write = |offset, data: Bytes| self.inner.write_at(offset, data, mode);
        match self.lie {
            Lie::CutsLongWrites => return write(offset, data.slice(..data.len().min(1400))),
            Lie::EmptyWritesGrow if data.is_empty() => return write(len(), vec![0].into()),
            Lie::ThroughIsCached => return self.inner.write_at(offset, data, WriteMode::Cached),
            Lie::BuffersInTheHandle => {
                self.buffer.lock().unwrap().push((offset, data));
                return Io::ready(Ok(()));
            }
            Lie::WritesTheNeighbourToo => {
                if let Ok(next) = self.storage.open(self.name.next(), Access::Write).wait() {
                    next.write_at(offset, data.clone(), mode).wait().unwrap();
                }
            }
            Lie::NoiseInGaps if offset > len() => {
                let gap = vec![0xaa; (offset - len()) as usize];
                write(len(), gap.into()).wait().unwrap();
            }
            _ => {}
        }
        write(offset, data)
    }

    fn sync(&self) -> Io<'_, ()> {
        self.flush().unwrap();
        match self.lie {
            Lie::SyncDoesNothing => return Io::ready(Ok(())),
            Lie::SyncUndoesWrites => {
                let len = self.inner.len().wait().unwrap();
                let before = self.inner.read_at(0, len as usize).wait().unwrap();
                thread::sleep(Duration::from_millis(2));
                self.inner.truncate(len).wait().unwrap();
                self.inner.write_at(0, before, WriteMode::Cached).wait().unwrap();
            }
            _ => {}
        }
        self.inner.sync()
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.flush().unwrap();
        match self.lie {
            Lie::ReadsShort => self.inner.read_at(offset, len.min(512)),
            Lie::ReadersFollowTheName => Io::ready(
                self.storage
                    .open(self.name, Access::Read)
                    .wait()
                    .and_then(|segment| segment.read_at(offset, len).wait()),
            ),
            _ => self.inner.read_at(offset, len),
        }
    }

    fn read_reusing(&self, offset: u64, len: usize, spent: Bytes) -> Io<'_, Bytes> {
        if self.lie == Lie::GivesSpentMemoryBack && !spent.is_empty() {
            return Io::ready(Ok(spent));
        }
        self.read_at(offset, len)
    }

    fn len(&self) -> Io<'_, u64> {
        self.flush().unwrap();
        self.inner.len()
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.flush().unwrap();
        let grows = (self.inner.len().wait().unwrap()..1 << 20).contains(&len);
        if self.lie == Lie::TruncateGrows && grows {
            return self.inner.write_at(len, vec![0].into(), WriteMode::Cached);
        }
        self.inner.truncate(len)
    }

    /// Reads are to come through here.
    fn backing(&self) -> Option<&dyn std::any::Any> {
        None
    }
}
