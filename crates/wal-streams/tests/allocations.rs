//! Appending to a stream allocates nothing per record, and costs the bytes that are documented.
//!
//! A program of its own with one test: the allocator counts for the whole process.

#[path = "../../wal-core/tests/drain/mod.rs"]
mod drain;

use std::alloc::System;
use std::sync::Arc;

use drain::Drain;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use wal_core::*;
use wal_streams::Streams;
use wal_sync::{Always, Os};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

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
        recovered.storage() = Arc::new(storage.clone());
        Streams::open(Wal::builder(strategy), recovered).unwrap()
    };
    let streams = open(Box::new(Always::new()));
    let all: Vec<_> = (0..4).map(|id| streams.stream(id)).collect();
    let of = |round: u64| &all[round as usize % 4];
    count("durable", 1, |round| assert!(of(round).append(&[1; 100]).is_ok()));
    let batch: Vec<_> = (0..100).map(|i| vec![i; 100]).collect();
    count("batches of 100", 100, |round| assert!(of(round).append_batch(&batch).is_ok()));
    count("from a task", 1, |round| {
        let submitted = of(round).submit_with(&[1; 100], Durability::Durable).unwrap();
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
    // The first one begins a segment, whose header counts.
    stream.append(b"").unwrap();
    let written = || storage.written();
    for (n, lead) in [(1u64, 4), (2, 4), (10, 4), (200, 5), (1000, 6), (1, 5)] {
        let before = written();
        stream.append_batch(&vec![vec![9; 10]; n as usize]).unwrap();
        let overhead = written() - before - 10 * n;
        assert_eq!(overhead, wal_core::format::record_overhead(n) + lead, "{n} records");
    }
}
