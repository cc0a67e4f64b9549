//! A storage of one's own: any other storage, with counts of what it was asked to do.
//!
//! A storage that wraps another forwards *every* method, those with a default too: what is left out would do
//! what the default does, not what the storage below does better.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use wal_core::{
    Access, Capabilities, Changes, Copied, Io, Listing, LogStorage, Lsn, Publish, Segment, Staged,
    StorageLock, WriteMode, copy_in_pieces,
};

/// What was asked for so far.
#[derive(Debug, Default)]
pub struct Meter {
    writes: AtomicU64,
    bytes: AtomicU64,
    syncs: AtomicU64,
}

impl Meter {
    /// Writes of frames; the headers of new segments are not counted.
    pub fn writes(&self) -> u64 {
        self.writes.load(Relaxed)
    }

    /// Bytes in these writes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Syncs of segments.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Relaxed)
    }
}

/// A storage whose segments are metered.
#[derive(Debug)]
pub struct Metered<S> {
    inner: S,
    meter: Arc<Meter>,
}

impl<S: LogStorage> Metered<S> {
    /// Counts with `meter`, which may count for several storages.
    pub fn new(inner: S, meter: Arc<Meter>) -> Self {
        Metered { inner, meter }
    }

    /// How to meter a segment.
    fn metering(&self) -> impl FnOnce(Arc<dyn Segment>) -> Arc<dyn Segment> + Send + use<S> {
        let meter = self.meter.clone();
        move |inner| Arc::new(MeteredSegment { inner, meter })
    }
}

// The compiler then says what is left out.
#[deny(clippy::missing_trait_methods)]
impl<S: LogStorage> LogStorage for Metered<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        self.inner.lock()
    }

    fn list(&self) -> Io<'_, Listing> {
        self.inner.list()
    }

    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        let metering = self.metering();
        self.inner.stage(name, capacity).map(|staged| staged.wrap(metering))
    }

    fn create(
        &self,
        name: Lsn,
        data: Bytes,
        capacity: u64,
        publish: Publish,
    ) -> Io<'_, Arc<dyn Segment>> {
        self.inner.create(name, data, capacity, publish).map(self.metering())
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.inner.open(name, access).map(self.metering())
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.inner.remove(names)
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.inner.set_aside(label, data)
    }

    fn open_reserve(&self, open: bool) {
        self.inner.open_reserve(open);
    }

    fn fill_reserve(&self, segment_size: u64) -> Io<'_, ()> {
        self.inner.fill_reserve(segment_size)
    }

    fn reserve(&self) -> Io<'_, u64> {
        self.inner.reserve()
    }

    fn changes(&self) -> Option<Box<dyn Changes>> {
        self.inner.changes()
    }

    /// In pieces, each of which comes through here.
    fn copy_segment(&self, name: Lsn, source: Arc<dyn Segment>, len: u64) -> Io<'_, Copied> {
        copy_in_pieces(self, name, source, len)
    }
}

struct MeteredSegment {
    inner: Arc<dyn Segment>,
    meter: Arc<Meter>,
}

#[deny(clippy::missing_trait_methods)]
impl Segment for MeteredSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        self.meter.writes.fetch_add(1, Relaxed);
        self.meter.bytes.fetch_add(data.len() as u64, Relaxed);
        self.inner.write_at(offset, data, mode)
    }

    fn sync(&self) -> Io<'_, ()> {
        self.meter.syncs.fetch_add(1, Relaxed);
        self.inner.sync()
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.inner.read_at(offset, len)
    }

    fn read_reusing(&self, offset: u64, len: usize, spent: Bytes) -> Io<'_, Bytes> {
        self.inner.read_reusing(offset, len, spent)
    }

    fn len(&self) -> Io<'_, u64> {
        self.inner.len()
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.inner.truncate(len)
    }

    /// Reads are to come through here.
    fn backing(&self) -> Option<&dyn std::any::Any> {
        None
    }
}
