//! What reading costs, in calls of the storage.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::*;
use bytes::Bytes;
use wal_core::*;
use wal_recovery::{Inspect, Recovery, Verify, View};

use super::rest;

/// Memory that counts.
#[derive(Clone, Default)]
struct Counting {
    memory: MemoryStorage,
    lists: Arc<AtomicU64>,
    others: Arc<AtomicU64>,
}

impl Counting {
    fn one<T>(&self, outcome: T) -> T {
        self.others.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    /// Listings, and other calls, since the last time.
    fn calls(&self) -> (u64, u64) {
        (self.lists.swap(0, Ordering::Relaxed), self.others.swap(0, Ordering::Relaxed))
    }
}

struct CountingSegment(Arc<dyn Segment>, Counting);

impl Segment for CountingSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        self.1.one(self.0.write_at(offset, data, mode))
    }
    fn sync(&self) -> Io<'_, ()> {
        self.1.one(self.0.sync())
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.1.one(self.0.read_at(offset, len))
    }
    fn len(&self) -> Io<'_, u64> {
        self.1.one(self.0.len())
    }
    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.1.one(self.0.truncate(len))
    }
}

impl LogStorage for Counting {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }
    fn describe(&self) -> String {
        self.memory.describe()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.memory.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        self.memory.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        let counting = self.clone();
        let staged = self.one(self.memory.stage(name, capacity));
        staged.map(|staged| staged.wrap(move |inner| Arc::new(CountingSegment(inner, counting))))
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let opened = self.one(self.memory.open(name, access)).wait();
        let wrap = |inner| Arc::new(CountingSegment(inner, self.clone())) as Arc<dyn Segment>;
        Io::ready(opened.map(wrap))
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.one(self.memory.remove(names))
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.one(self.memory.set_aside(label, data))
    }
}

/// A log of so many segments, of three records each, and a record in another one.
fn log_of(segments: u64) -> (Counting, Wal) {
    let storage = Counting::default();
    let log = open_with(storage.clone(), lazy());
    for _ in 0..segments * 3 + 1 {
        log.append(&[7; 1000]).unwrap();
    }
    assert_eq!(storage.memory.list().wait().unwrap().segments.len() as u64, segments + 1);
    (storage, log)
}

/// The cost of a look does not grow, nor does that of following the writer into another segment.
#[test]
fn a_reader_that_waits_costs_the_same_for_every_log() {
    let costs = |segments: u64| {
        let (storage, log) = log_of(segments);
        let mut reader = View::open(storage.clone()).unwrap().records(Lsn::ZERO);
        assert_eq!(rest(&mut reader).len() as u64, segments * 3 + 1);
        storage.calls();
        let looks: Vec<_> = (0..50)
            .map(|_| {
                assert!(reader.next().is_none());
                storage.calls()
            })
            .collect();
        // For what no name tells, the segments are listed as well: after 8 looks, 16, 32, and so on.
        assert_eq!(looks.iter().map(|(lists, _)| lists).sum::<u64>(), 3, "{looks:?}");
        assert!(looks.iter().all(|(lists, others)| *lists == 1 || *others < 12), "{looks:?}");
        let idle: Vec<_> = looks.into_iter().filter(|(lists, _)| *lists == 0).collect();
        for _ in 0..30 {
            log.append(&[7; 1000]).unwrap();
        }
        storage.calls();
        assert_eq!(rest(&mut reader).len(), 30);
        (idle, storage.calls())
    };
    let few = costs(4);
    assert_eq!(few, costs(300));
    assert_eq!(few.1.0, 0, "no listing for ten new segments");
}

/// Twice as many segments are twice as many calls.
#[test]
fn reading_all_is_linear_in_the_number_of_segments() {
    type Work = fn(&Counting, Wal);
    let works: [(&str, Work); 4] = [
        ("records", |storage, _| {
            let records = View::open(storage.clone()).unwrap().records(Lsn::ZERO);
            assert!(records.map(Result::unwrap).count() > 100);
        }),
        ("verify", |storage, _| {
            let report = Inspect::new(storage.clone()).verify(Verify::All).threads(1).run();
            assert!(report.unwrap().records > 100);
        }),
        ("recover", |storage, log| {
            drop(log);
            storage.calls();
            Recovery::new(storage.clone()).threads(1).run().unwrap();
        }),
        ("truncate", |_, log| {
            let last = log.last_lsn().get();
            log.truncate_before(Lsn::new(last / 2)).unwrap();
            log.truncate_after(Lsn::new(last / 2 + 10)).unwrap();
        }),
    ];
    for (name, work) in works {
        let calls = |segments| {
            let (storage, log) = log_of(segments);
            storage.calls();
            work(&storage, log);
            storage.calls()
        };
        let ((few_lists, few), (many_lists, many)) = (calls(50), calls(200));
        assert_eq!(few_lists, many_lists, "{name}: listings");
        assert!(many <= few * 4 + 20, "{name}: {few} calls for 50 segments, {many} for 200");
    }
}
