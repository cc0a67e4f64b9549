//! Appending allocates nothing per record, and framing costs what FORMAT.md says.
//!
//! One test only: the allocator counts for the whole process.

mod drain;
mod support;

use std::alloc::System;
use std::sync::Arc;

use drain::Drain;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::*;
use wal_core::format::{SEGMENT_HEADER_LEN, record_overhead};
use wal_core::*;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

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
        let (storage, lock) = (Arc::new(storage.clone()), StorageLock::new(()));
        let recovered = Recovered::empty(storage, lock, format::LogId([1; 16])).unwrap();
        Wal::builder(strategy).open(recovered).unwrap()
    };

    let log = open(Box::new(always()));
    count("durable", 1, || log.append(&[1; 100]).unwrap());
    let log = open(Box::new(os()));
    count("written", 1, || log.append(&[1; 100]).unwrap());
    count("buffered", 1, || log.append_with(&[1; 100], Durability::Buffered).unwrap());
    let batch: Vec<_> = (0..100).map(|i| vec![i; 100]).collect();
    count("batches of 100", 100, || log.append_batch(&batch).unwrap());

    let log = open(Box::new(always())).asynchronous();
    count("asynchronous, durable", 1, || block_on(log.append(&[1; 100])).unwrap());

    // Overhead: exactly the header for one record, header and table for a batch.
    let log = open(Box::new(always()));
    let written = || storage.written();
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
