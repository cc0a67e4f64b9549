//! Reading a log with damage, one in which a segment is missing, and one whose storage does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::*;
use bytes::Bytes;
use wal_core::*;
use wal_recovery::{Applied, Records, Until, View};

use super::rest;

#[test]
fn a_torn_tail_ends_and_damage_fails() {
    let mut torn = three_sessions();
    let last = torn.get_mut(&9).unwrap();
    last.truncate(last.len() - 1);
    let mut records = View::open(memory_of(&torn)).unwrap().records(Lsn::ZERO);
    assert_eq!(rest(&mut records).len(), 13);
    assert!(records.next().is_none());

    for (name, at, good) in [(1, 524, 0), (1, 574, 1), (6, 544, 5), (9, 524, 8), (9, 584, 9)] {
        let mut bad = three_sessions();
        bad.get_mut(&name).unwrap()[at] ^= 1;
        let mut records = View::open(memory_of(&bad)).unwrap().records(Lsn::ZERO);
        let found: Vec<_> = records.by_ref().collect();
        assert_eq!(found.len(), good + 1, "{name} {at}");
        let error = found[good].as_ref().unwrap_err();
        assert_eq!((error.kind(), error.segment()), (ErrorKind::Corrupt, Some(Lsn::new(name))));
        assert!(records.next().is_none());
    }
}

#[test]
fn damage_can_be_stepped_over() {
    let image = three_sessions();
    let skipped = |change: &dyn Fn(&mut Image)| {
        let mut bad = image.clone();
        change(&mut bad);
        let view = View::open(memory_of(&bad)).unwrap().skip_corrupted(true);
        let mut found = Vec::new();
        let report = view
            .replay(Lsn::ZERO, Until::End, |entry| {
                found.push(entry.lsn.get());
                Ok(Applied::Applied)
            })
            .unwrap();
        assert_eq!(report.total, found.len() as u64);
        let holes: Vec<(u64, u64)> =
            report.holes.iter().map(|hole| (hole.after.get(), hole.before.get())).collect();
        assert_eq!(
            report.corrupted,
            holes.iter().map(|(after, before)| before - after - 1).sum::<u64>()
        );
        (found, holes)
    };
    let all_but = |from: u64, to: u64| (1..=14).filter(|lsn| !(from..to).contains(lsn)).collect();
    let flip =
        |name: u64, at: usize| move |image: &mut Image| image.get_mut(&name).unwrap()[at] ^= 1;
    assert_eq!(skipped(&|_| {}), (all_but(0, 0), vec![]));
    assert_eq!(skipped(&flip(1, 524)), (all_but(1, 2), vec![(0, 2)]));
    assert_eq!(skipped(&flip(1, 574)), (all_but(2, 5), vec![(1, 5)]));
    // The last frame of a sealed segment, headers, a whole segment.
    assert_eq!(skipped(&flip(1, 604)), (all_but(5, 6), vec![(4, 6)]));
    assert_eq!(skipped(&flip(1, 50)), (all_but(1, 6), vec![(0, 6)]));
    assert_eq!(skipped(&flip(6, 50)), (all_but(6, 9), vec![(5, 9)]));
    assert_eq!(skipped(&flip(9, 50)), ((1..=8).collect(), vec![]));
    assert_eq!(skipped(&|image| drop(image.remove(&6))), (all_but(6, 9), vec![(5, 9)]));
    assert_eq!(skipped(&flip(9, 524)), (all_but(9, 10), vec![(8, 10)]));
}

/// What can be read, and the error that ends it.
fn read(records: &mut Records) -> (Vec<u64>, Option<Error>) {
    let mut lsns = Vec::new();
    for entry in records {
        match entry {
            Ok(entry) => lsns.push(entry.lsn.get()),
            Err(error) => return (lsns, Some(error)),
        }
    }
    (lsns, None)
}

#[test]
fn a_missing_segment_is_a_hole_and_is_not_read_over_in_silence() {
    let mut image = three_sessions();
    image.remove(&6);
    let view = View::open(memory_of(&image)).unwrap();
    for from in [0, 3] {
        let (lsns, error) = read(&mut view.records(Lsn::new(from)));
        assert_eq!(lsns, (from.max(1)..=5).collect::<Vec<_>>());
        let error = error.unwrap();
        assert_eq!((error.kind(), error.lsn()), (ErrorKind::Corrupt, Some(Lsn::new(6))));
    }
    for from in [6, 7, 8] {
        let (lsns, error) = read(&mut view.records(Lsn::new(from)));
        let error = error.unwrap();
        assert_eq!((lsns, error.kind()), (vec![], ErrorKind::Corrupt));
        assert_eq!(error.lsn(), Some(Lsn::new(from)));
    }
    let (lsns, error) = read(&mut view.records(Lsn::new(9)));
    assert_eq!((lsns.len(), error.is_none()), (6, true));
    let mut records =
        View::open(memory_of(&image)).unwrap().skip_corrupted(true).records(Lsn::ZERO);
    let (lsns, error) = read(&mut records);
    assert_eq!((lsns, error.is_none()), ((1..=5).chain(9..=14).collect(), true));
    let holes: Vec<_> = records.holes().iter().map(|h| (h.after.get(), h.before.get())).collect();
    assert_eq!(holes, [(5, 9)]);
}

#[test]
fn a_gap_that_a_truncation_left_is_no_hole() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for _ in 0..10 {
        log.append(b"x").unwrap();
    }
    log.truncate_after(Lsn::new(4)).unwrap();
    log.append(b"behind the gap").unwrap();
    let view = View::open(storage).unwrap();
    for from in 0..=11 {
        let mut records = view.records(Lsn::new(from));
        let expected = [1, 2, 3, 4, 11].into_iter().filter(|lsn| *lsn >= from);
        assert_eq!(read(&mut records).0, expected.collect::<Vec<_>>(), "from {from}");
        assert_eq!(records.position(), Lsn::new(12));
        assert!(records.holes().is_empty());
    }
}

/// A memory whose segments cannot be opened for a while.
#[derive(Clone)]
struct Deaf(MemoryStorage, Arc<AtomicU64>, ErrorKind);

impl LogStorage for Deaf {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn describe(&self) -> String {
        "deaf".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.0.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.0.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.0.stage(name, capacity)
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let take = |left: u64| left.checked_sub(1);
        match self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(_) => Io::ready(Err(Error::new(self.2, "open segment"))),
            Err(_) => self.0.open(name, access),
        }
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.0.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.0.set_aside(label, data)
    }
}

#[test]
fn a_reader_is_told_of_a_segment_that_is_listed_but_cannot_be_opened() {
    for kind in [ErrorKind::NotFound, ErrorKind::Denied] {
        let failing = Arc::new(AtomicU64::new(0));
        let storage = Deaf(memory_of(&three_sessions()), failing.clone(), kind);
        let mut records = View::open(storage).unwrap().records(Lsn::ZERO);
        failing.store(1, Ordering::SeqCst);
        let (lsns, error) = read(&mut records);
        assert_eq!((lsns, error.unwrap().kind()), (vec![], kind));
    }
}

#[test]
fn a_segment_that_was_removed_before_it_was_reached_was_truncated() {
    let storage = memory_of(&three_sessions());
    let mut records = View::open(storage.clone()).unwrap().records(Lsn::ZERO);
    let log = open(storage);
    log.truncate_before(Lsn::new(9)).unwrap();
    let (lsns, error) = read(&mut records);
    assert_eq!((lsns, error.unwrap().kind()), (vec![], ErrorKind::NotInLog));
}

#[test]
fn a_segment_that_was_cut_off_before_it_was_reached_is_stepped_over() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for _ in 0..30 {
        log.append(&[1; 500]).unwrap();
    }
    let mut records = View::open(storage.clone()).unwrap().records(Lsn::ZERO);
    let first: Vec<_> = records.by_ref().take(3).map(|entry| entry.unwrap().lsn.get()).collect();
    assert_eq!(first, [1, 2, 3]);
    let end = image_of(&storage).into_keys().nth(1).unwrap() - 1;
    log.truncate_after(Lsn::new(end)).unwrap();
    log.append(b"behind the gap").unwrap();
    let (lsns, error) = read(&mut records);
    assert_eq!((lsns, error.is_none()), ((4..=end).chain([31]).collect(), true));
}
