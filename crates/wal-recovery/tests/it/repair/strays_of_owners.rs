//! What an owner wrote that had lost the log: read over, kept as a copy, and taken out.

use std::sync::Arc;

use bytes::Bytes;

use wal_core::format::{LogId, Owner};
use wal_core::*;
use wal_recovery::{DamageKind, Inspect, Mode, Recovery, SegmentState, View};

/// Memory that says who opens it: an epoch, and a token that others of this epoch may not have.
#[derive(Clone)]
struct Owned(MemoryStorage, u64, u8);

impl LogStorage for Owned {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        let owner = Owner { epoch: self.1, token: [self.2; 16] };
        Io::ready(self.0.lock().wait().map(|lock| lock.owned_by(owner)))
    }
    fn list(&self) -> Io<'_, Listing> {
        self.0.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.0.stage(name, capacity)
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.0.open(name, access)
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.0.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.0.set_aside(label, data)
    }
}

fn session(memory: &MemoryStorage, epoch: u64, records: &[&str]) {
    session_of(Owned(memory.clone(), epoch, epoch as u8), records);
}

fn session_of(storage: Owned, records: &[&str]) {
    let (recovered, _) = Recovery::new(storage).log_id(LogId([7; 16])).run().unwrap();
    let settings = Settings::default().segment_size(4096);
    let log = Wal::builder(Always).settings(settings).manual_driver().open(recovered).unwrap();
    records.iter().for_each(|record| {
        log.append(record.as_bytes()).unwrap();
    });
    log.close().unwrap();
}

/// A log of two owners, and behind it segments of a copy of it that went on apart, with these names.
fn with_strays(names: &[u64]) -> MemoryStorage {
    let (log, other) = (MemoryStorage::new(), MemoryStorage::new());
    for memory in [&log, &other] {
        session(memory, 1, &["one", "two"]);
    }
    session(&log, 10, &["three"]);
    session(&other, 1, &["not three", "nor four"]);
    session(&other, 1, &["nor five"]);
    session(&other, 1, &["nor six"]);
    for name in names.iter().copied().map(Lsn::new) {
        let stray = other.open(name, Access::Read).wait().unwrap();
        let len = stray.len().wait().unwrap();
        let bytes = stray.read_at(0, len as usize).wait().unwrap();
        log.create(name, bytes, len, Publish::New).wait().unwrap();
    }
    log
}

/// The same with one such segment, which the first owner began after the second had taken the log over.
fn with_a_stray() -> MemoryStorage {
    with_strays(&[5])
}

fn records(view: &View) -> Vec<String> {
    let text = |record: Bytes| String::from_utf8(record.to_vec()).unwrap();
    view.records(Lsn::ZERO).map(|entry| text(entry.unwrap().record)).collect()
}

#[test]
fn a_segment_of_an_owner_that_had_lost_the_log_is_no_part_of_it() {
    let memory = with_a_stray();
    assert_eq!(records(&View::open(memory.clone()).unwrap()), ["one", "two", "three"]);
    let report = Inspect::new(memory).run().unwrap();
    let [damage] = &report.damages[..] else { panic!("{report}") };
    assert_eq!((damage.kind, damage.segment), (DamageKind::Stray, Lsn::new(5)));
    assert!(!damage.is_fatal(), "{damage}");
    assert_eq!(report.segments.last().unwrap().state, SegmentState::Stray);
    assert_eq!((report.records, report.last_lsn), (3, Lsn::new(3)));
}

#[test]
fn it_is_copied_and_taken_out_by_every_recovery_but_a_strict_one() {
    for mode in [Mode::TornTail, Mode::PointInTime, Mode::Salvage] {
        let memory = with_a_stray();
        let storage = Owned(memory.clone(), 3, 3);
        let (recovered, report) = Recovery::new(storage).mode(mode).run().unwrap();
        let [cut] = &report.cut[..] else { panic!("{mode}: {report}") };
        assert_eq!((cut.segment, cut.saved_as.is_some()), (Lsn::new(5), true), "{mode}");
        assert_eq!(recovered.last_lsn(), Lsn::new(3), "{mode}");
        let log = Wal::builder(Always).manual_driver().open(recovered).unwrap();
        assert_eq!(log.append(b"four").unwrap(), Lsn::new(4), "{mode}");
        log.close().unwrap();
        let report = Inspect::new(memory.clone()).run().unwrap();
        assert!(report.damages.is_empty(), "{mode}: {report}");
        assert_eq!(
            records(&View::open(memory).unwrap()),
            ["one", "two", "three", "four"],
            "{mode}"
        );
    }
    let strict = Recovery::new(with_a_stray()).mode(Mode::Strict).run().unwrap_err();
    assert_eq!(strict.kind(), ErrorKind::Corrupt);
    assert!(strict.to_string().contains("after a later owner had taken the log over"), "{strict}");
}

/// Files of two copies of a log that went on apart: nobody takes one of them for the log without being asked to.
#[test]
fn two_histories_in_one_place_are_told_and_one_of_them_is_kept() {
    let mixed = || with_strays(&[5, 6]);
    let report = Inspect::new(mixed()).run().unwrap();
    assert!(report.damages.iter().all(|damage| damage.kind == DamageKind::Mixed), "{report}");
    assert_eq!(report.damages.len(), 2, "{report}");
    let refused = Recovery::new(mixed()).run().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.to_string().contains("two copies of the log were mixed"), "{refused}");
    for mode in [Mode::PointInTime, Mode::Salvage] {
        let memory = mixed();
        let (recovered, report) = Recovery::new(memory.clone()).mode(mode).run().unwrap();
        let saved: Vec<_> = report.cut.iter().map(|cut| cut.segment.get()).collect();
        assert_eq!(saved, [5, 6], "{mode}: {report}");
        assert!(report.cut.iter().all(|cut| cut.saved_as.is_some()), "{mode}: {report}");
        assert_eq!(recovered.last_lsn(), Lsn::new(3), "{mode}");
        drop(recovered);
        assert_eq!(records(&View::open(memory).unwrap()), ["one", "two", "three"], "{mode}");
    }
}

/// Two copies of a log that were opened equally often. So epochs and generations are the same, and only the tokens tell
/// one from the other.
#[test]
fn two_histories_of_one_epoch_are_told_and_the_one_that_came_further_is_kept() {
    let large = "x".repeat(3000);
    let with = |others: &[u64]| {
        let (log, other) = (MemoryStorage::new(), MemoryStorage::new());
        for memory in [&log, &other] {
            session(memory, 1, &["one", "two"]);
        }
        session_of(Owned(log.clone(), 2, 100), &["three", &large, "five", &large, "seven"]);
        session_of(Owned(other.clone(), 2, 200), &["not three", &large, &large]);
        for name in others.iter().copied().map(Lsn::new) {
            let stray = other.open(name, Access::Read).wait().unwrap();
            let len = stray.len().wait().unwrap();
            let bytes = stray.read_at(0, len as usize).wait().unwrap();
            log.create(name, bytes, len, Publish::New).wait().unwrap();
        }
        log
    };
    let names = |memory: &MemoryStorage| -> Vec<_> {
        memory.list().wait().unwrap().segments.iter().map(|name| name.get()).collect()
    };
    assert_eq!(names(&with(&[])), [1, 3, 6]);
    let whole = records(&View::open(with(&[])).unwrap());
    assert_eq!(whole.len(), 7);
    let mixed = || with(&[5]);
    let report = Inspect::new(mixed()).run().unwrap();
    let [damage] = &report.damages[..] else { panic!("{report}") };
    assert_eq!((damage.kind, damage.segment), (DamageKind::Mixed, Lsn::new(5)), "{report}");
    assert!(damage.reason.contains("another owner of the same epoch"), "{damage}");
    // Either of them may have been acknowledged, so nobody chooses without being asked to.
    let refused = Recovery::new(mixed()).run().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    for mode in [Mode::PointInTime, Mode::Salvage] {
        let memory = mixed();
        let (recovered, report) = Recovery::new(memory.clone()).mode(mode).run().unwrap();
        let [cut] = &report.cut[..] else { panic!("{mode}: {report}") };
        assert_eq!((cut.segment, cut.saved_as.is_some()), (Lsn::new(5), true), "{mode}");
        drop(recovered);
        assert_eq!(records(&View::open(memory.clone()).unwrap()), whole, "{mode}");
        let report = Inspect::new(memory).run().unwrap();
        assert!(report.damages.is_empty(), "{mode}: {report}");
    }
}

/// An owner whose storage has forgotten the epochs gets one above those in the log, also if the headers that tell
/// them were damaged before.
#[test]
fn a_later_owner_has_a_larger_epoch() {
    let memory = MemoryStorage::new();
    session(&memory, 5, &["one"]);
    session(&memory, 2, &["two"]);
    let epochs: Vec<_> =
        View::open(memory.clone()).unwrap().headers().iter().map(|h| h.owner.epoch).collect();
    assert_eq!(epochs, [5, 6]);
    assert_eq!(records(&View::open(memory).unwrap()), ["one", "two"]);
}
