//! A segment without a name, as the log above the cache sees it: bytes that go with their process.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use wal_core::{Io, LogStorage, Lsn, Publish, Result, Segment, StagedSegment};

use super::CrashStorage;
use super::state::{InFlight, of_model};

/// A staged segment. Nothing of it reaches the storage below before it is published.
pub(super) struct CrashStaged<S> {
    storage: CrashStorage<S>,
    name: Lsn,
    capacity: u64,
    bytes: BytesMut,
}

impl<S: LogStorage> CrashStaged<S> {
    pub(super) fn new(storage: CrashStorage<S>, name: Lsn, capacity: u64) -> Self {
        CrashStaged { storage, name, capacity, bytes: BytesMut::new() }
    }

    /// Counts a step as a change. If the power goes off in it, the segment is lost with its process.
    fn step(&self, op: &'static str, len: usize) -> Result<()> {
        let state = self.storage.change(op, InFlight::Nothing)?;
        state.check_room(self.name, len as u64)
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        const OP: &str = "write staged segment";
        let end = usize::try_from(offset).ok().and_then(|start| start.checked_add(data.len()));
        let too_large = || of_model(OP, self.name)(std::io::ErrorKind::FileTooLarge.into());
        let end = end.filter(|end| *end <= isize::MAX as usize).ok_or_else(too_large)?;
        self.step(OP, end.max(self.bytes.len()))?;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[end - data.len()..end].copy_from_slice(data);
        Ok(())
    }
}

impl<S: LogStorage> StagedSegment for CrashStaged<S> {
    fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()> {
        Io::ready(self.write(offset, &data))
    }

    fn sync(&mut self) -> Io<'_, ()> {
        Io::ready(self.step("sync staged segment", self.bytes.len()))
    }

    fn publish(self: Box<Self>, how: Publish) -> Io<'static, Arc<dyn Segment>> {
        let CrashStaged { storage, name, capacity, bytes } = *self;
        let published = storage.publish(name, bytes.freeze(), capacity, how);
        Io::ready(published.map(|segment| Arc::new(segment) as Arc<dyn Segment>))
    }
}
