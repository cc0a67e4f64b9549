//! A storage that keeps nothing.
#![allow(unreachable_pub, reason = "tests of two crates use it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use wal_core::*;

/// Takes bytes and forgets them, so that only the log's own allocations count.
#[derive(Clone, Default)]
pub struct Drain {
    inner: MemoryStorage,
    written: Arc<AtomicU64>,
}

struct DrainSegment(Arc<AtomicU64>);

impl Drain {
    /// Bytes written so far, headers included.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }
}

impl LogStorage for Drain {
    fn capabilities(&self) -> Capabilities {
        Capabilities::volatile()
    }
    fn describe(&self) -> String {
        "drain".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.inner.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.inner.list()
    }
    fn stage(&self, _: Lsn, _: u64) -> Io<'_, Staged> {
        unreachable!("the log creates its segments in one go")
    }
    fn create(&self, _: Lsn, header: Bytes, _: u64, _: Publish) -> Io<'_, Arc<dyn Segment>> {
        self.written.fetch_add(header.len() as u64, Ordering::SeqCst);
        Io::ready(Ok(Arc::new(DrainSegment(self.written.clone()))))
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.inner.open(name, access)
    }
    fn remove(&self, _: &[Lsn]) -> Io<'_, ()> {
        Io::ready(Ok(()))
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.inner.set_aside(label, data)
    }
}

impl Segment for DrainSegment {
    fn write_at(&self, _: u64, data: Bytes, _: WriteMode) -> Io<'_, ()> {
        self.0.fetch_add(data.len() as u64, Ordering::SeqCst);
        Io::ready(Ok(()))
    }
    fn sync(&self) -> Io<'_, ()> {
        Io::ready(Ok(()))
    }
    fn read_at(&self, _: u64, _: usize) -> Io<'_, Bytes> {
        Io::ready(Ok(Bytes::new()))
    }
    fn len(&self) -> Io<'_, u64> {
        Io::ready(Ok(0))
    }
    fn truncate(&self, _: u64) -> Io<'_, ()> {
        Io::ready(Ok(()))
    }
}
