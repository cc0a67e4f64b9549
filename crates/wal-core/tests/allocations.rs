//! Appending allocates nothing per record, and framing costs what FORMAT.md says.
//!
//! One test only: the allocator counts for the whole process.

mod support;

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::*;
use wal_core::format::{SEGMENT_HEADER_LEN, record_overhead};
use wal_core::*;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Takes bytes and forgets them, so that only the log's own allocations count.
#[derive(Clone, Default)]
struct Drain {
    inner: MemoryStorage,
    written: Arc<AtomicU64>,
}

struct DrainSegment(Arc<AtomicU64>);

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
    fn create(&self, _: Lsn, header: Bytes, _: u64) -> Io<'_, Arc<dyn Segment>> {
        self.written.fetch_add(header.len() as u64, Ordering::SeqCst);
        Io::ready(Ok(Arc::new(DrainSegment(self.written.clone()))))
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.inner.open(name, access)
    }
    fn remove(&self, _: Lsn) -> Io<'_, ()> {
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

const ROUNDS: u64 = 20_000;
/// The sparse index grows now and then: logarithmically often.
const GROWTH: usize = 16;

fn count<T>(what: &str, records: u64, round: impl Fn() -> T) {
    let round = || drop(std::hint::black_box(round()));
    (0..1000).for_each(|_| round());
    let before = ALLOCATOR.stats().allocations;
    (0..ROUNDS / records).for_each(|_| round());
    let made = ALLOCATOR.stats().allocations - before;
    println!("{what}: {made} allocations for {ROUNDS} records");
    assert!(made <= GROWTH, "{what}: {made} allocations for {ROUNDS} records");
}

#[test]
fn appending_allocates_nothing_per_record() {
    let storage = Drain::default();
    let open = |strategy: Box<dyn SyncStrategy>| {
        let mut recovered = MemoryStorage::new().into_empty_log().unwrap();
        recovered.storage = Arc::new(storage.clone());
        Wal::builder(strategy).open(recovered).unwrap()
    };

    let log = open(Box::new(always()));
    count("durable", 1, || log.append(&[1; 100]).unwrap());
    let log = open(Box::new(os()));
    count("written", 1, || log.append(&[1; 100]).unwrap());
    count("buffered", 1, || log.append_with(&[1; 100], Durability::Buffered).unwrap());
    let batch: Vec<_> = (0..100).map(|i| vec![i; 100]).collect();
    count("batches of 100", 100, || log.append_batch(&batch).unwrap());

    let log = open(Box::new(always())).into_async();
    count("asynchronous, durable", 1, || block_on(log.append(&[1; 100])).unwrap());

    // Overhead: exactly the header for one record, header and table for a batch.
    let log = open(Box::new(always()));
    let written = || storage.written.load(Ordering::SeqCst);
    let before = written();
    log.append(&[0; 100]).unwrap();
    assert_eq!(written() - before, SEGMENT_HEADER_LEN as u64 + 100 + 24);
    for n in [1, 2, 10, 1000] {
        let before = written();
        log.append_batch(&vec![vec![9; 10]; n]).unwrap();
        let overhead = written() - before - 10 * n as u64;
        assert_eq!(overhead, record_overhead(n as u64));
        assert!(overhead <= if n == 1 { 24 } else { 24 + 4 * n as u64 });
    }
}
