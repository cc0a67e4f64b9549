//! Appending to a stream allocates nothing per record, and costs the bytes that are documented.
//!
//! One test only: the allocator counts for the whole process.

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use wal_core::*;
use wal_streams::Streams;
use wal_sync::{Always, Os};

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
    fn create(&self, _: Lsn, _: Bytes, _: u64) -> Io<'_, Arc<dyn Segment>> {
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
/// The sparse indexes of the log and of its streams grow now and then: logarithmically often.
const GROWTH: usize = 32;

fn count(what: &str, records: u64, mut round: impl FnMut(u64)) {
    (0..1000).for_each(&mut round);
    let before = ALLOCATOR.stats().allocations;
    (0..ROUNDS / records).for_each(&mut round);
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
        Streams::open(Wal::builder(strategy), recovered).unwrap()
    };
    let streams = open(Box::new(Always::new()));
    let all: Vec<_> = (0..4).map(|id| streams.stream(id)).collect();
    let of = |round: u64| &all[round as usize % 4];
    count("durable", 1, |round| assert!(of(round).append(&[1; 100]).is_ok()));
    let batch: Vec<_> = (0..100).map(|i| vec![i; 100]).collect();
    count("batches of 100", 100, |round| assert!(of(round).append_batch(&batch).is_ok()));
    count("from a task", 1, |round| {
        let submitted = of(round).submit(&[1; 100], Durability::Durable).unwrap();
        assert!(block_on(async { submitted.await }).is_ok());
    });
    let streams = open(Box::new(Os::new()));
    let stream = streams.stream(1);
    count("buffered", 1, |_| {
        assert!(stream.append_with(&[1; 100], Durability::Buffered).is_ok());
    });

    // Overhead: the frame's own, and a lead.
    let streams = open(Box::new(Always::new()));
    let stream = streams.stream(5);
    let written = || storage.written.load(Ordering::SeqCst);
    for (n, lead) in [(1u64, 4), (2, 4), (10, 4), (200, 5), (1000, 6), (1, 5)] {
        let before = written();
        stream.append_batch(&vec![vec![9; 10]; n as usize]).unwrap();
        let overhead = written() - before - 10 * n;
        assert_eq!(overhead, wal_core::format::record_overhead(n) + lead, "{n} records");
    }
}
