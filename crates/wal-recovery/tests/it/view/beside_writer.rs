//! Reading beside a writer: what it appends, where it goes on, and what it removes.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::*;
use wal_core::*;
use wal_fs::{FileSettings, FileStorage};
use wal_recovery::{Inspect, Mode, Verdict, View};

use super::rest;

#[test]
fn a_reader_follows_rotation_reopening_and_truncation() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    log.append(b"x").unwrap();
    let mut records = View::open(storage.clone()).unwrap().records(Lsn::ZERO);
    assert_eq!(rest(&mut records), [1]);
    for _ in 0..20 {
        log.append(&[7; 1000]).unwrap();
        assert_eq!(rest(&mut records).len(), 1);
    }
    assert!(image_of(&storage).len() > 5);
    log.truncate_after(Lsn::new(15)).unwrap();
    assert!(rest(&mut records).is_empty());
    log.append(b"y").unwrap();
    assert_eq!(rest(&mut records), [22]);
    log.close().unwrap();
    drop(log);
    assert!(rest(&mut records).is_empty());
    let log = open(storage.clone());
    assert!(rest(&mut records).is_empty());
    log.append(b"z").unwrap();
    assert_eq!(rest(&mut records), [23]);
    // Truncated in front of a reader that is behind.
    let mut slow = View::open(storage.clone()).unwrap().records(Lsn::new(2));
    assert_eq!(slow.next().unwrap().unwrap().lsn, Lsn::new(2));
    log.truncate_before(Lsn::new(23)).unwrap();
    let error = slow.find_map(Result::err).unwrap();
    assert_eq!(error.kind(), ErrorKind::NotInLog, "{error}");
    assert!(slow.next().is_none());
    assert!(rest(&mut records).is_empty());
    let from_the_past = View::open(storage.clone()).unwrap().records(Lsn::new(3)).next();
    assert_eq!(from_the_past.unwrap().unwrap_err().kind(), ErrorKind::NotInLog);
    let fresh = View::open(storage).unwrap();
    assert_eq!(rest(&mut fresh.records(Lsn::ZERO)), [23]);
}

#[test]
fn an_empty_segment_that_is_replaced_is_followed() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    log.append(b"1").unwrap();
    log.append(b"2").unwrap();
    let mut records = View::open(storage.clone()).unwrap().records(Lsn::ZERO);
    assert_eq!(rest(&mut records), [1, 2]);
    // A new segment that holds nothing, sealed, then replaced under the same name.
    log.truncate_after(Lsn::FIRST).unwrap();
    assert!(rest(&mut records).is_empty());
    log.close().unwrap();
    drop(log);
    let log = open(storage);
    assert!(rest(&mut records).is_empty());
    log.append(b"3").unwrap();
    assert_eq!(rest(&mut records), [3]);
}

#[test]
fn readers_beside_a_busy_writer_see_every_record_once() {
    let dir = tempfile::tempdir().unwrap();
    let storage = |dir: &std::path::Path| {
        let settings = FileSettings::default().preallocate_bytes(16 << 10).max_spares(2);
        FileStorage::create_with(dir, settings).unwrap()
    };
    const RECORDS: u64 = 4000;
    /// Set when the writer has ended, whatever the reason.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let over = AtomicBool::new(false);
    let over = &over;
    std::thread::scope(|scope| {
        let path = dir.path();
        let log = open_with(storage(path), lazy());
        log.append(b"first").unwrap();
        scope.spawn(move || {
            let _over = Over(over);
            for i in 2..=RECORDS {
                log.append(&vec![i as u8; (i % 200) as usize]).unwrap();
                if i % 50 == 0 {
                    log.sync().unwrap();
                }
            }
        });
        scope.spawn(move || {
            let mut records = View::open(storage(path)).unwrap().records(Lsn::ZERO);
            let mut next = 1;
            while next <= RECORDS {
                let last_look = over.load(Ordering::SeqCst);
                match records.next() {
                    Some(entry) => {
                        let entry = entry.unwrap();
                        assert_eq!(entry.lsn, Lsn::new(next));
                        let len = if next == 1 { 5 } else { (next % 200) as usize };
                        assert_eq!(entry.record.len(), len);
                        next += 1;
                    }
                    None if last_look => panic!("the writer has ended, LSN {next} never came"),
                    None => std::thread::yield_now(),
                }
            }
        });
        scope.spawn(move || {
            let mut last = 0;
            while last < RECORDS {
                let last_look = over.load(Ordering::SeqCst);
                let report =
                    Inspect::new(FileStorage::open(path).unwrap()).threads(1).run().unwrap();
                assert_ne!(report.verdict(), Verdict::Corrupt, "{report}");
                assert!(report.last_lsn.get() >= last, "{report}");
                last = report.last_lsn.get();
                assert!(!last_look || last == RECORDS, "the writer has ended: {report}");
            }
        });
    });
    let (_, report) = recover(storage(dir.path()), Mode::Strict).unwrap();
    assert_eq!(report.records, RECORDS);
}

#[test]
fn segments_that_come_and_go_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let storage = |dir: &std::path::Path| {
        let settings = FileSettings::default().preallocate_bytes(4096).max_spares(4);
        FileStorage::create_with(dir, settings).unwrap()
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (path, done) = (dir.path(), &done);
        let log = open_with(storage(path), lazy());
        log.append(b"first").unwrap();
        scope.spawn(move || {
            /// Also if the writer panics: the readers must not wait forever.
            struct Done<'a>(&'a AtomicBool);
            impl Drop for Done<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::Release);
                }
            }
            let _done = Done(done);
            for i in 0..3000_u64 {
                let lsn = log.append(&[i as u8; 150]).unwrap();
                let _ = match i % 100 {
                    33 => log.truncate_before(Lsn::new(lsn.get().saturating_sub(40))).unwrap(),
                    66 => log.truncate_after(Lsn::new(lsn.get() - 20)).unwrap(),
                    _ => lsn,
                };
            }
        });
        for _ in 0..2 {
            scope.spawn(move || {
                let mut last = Lsn::ZERO;
                while !done.load(Ordering::Acquire) {
                    let storage = || FileStorage::open(path).unwrap();
                    match Inspect::new(storage()).threads(1).run() {
                        Ok(report) => assert_ne!(report.verdict(), Verdict::Corrupt, "{report}"),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
                    }
                    for entry in View::open(storage()).unwrap().records(Lsn::ZERO) {
                        match entry {
                            Ok(entry) => last = last.max(entry.lsn),
                            // Truncated before it was reached, or gone again whenever it was looked for.
                            Err(error) => {
                                let gone = [ErrorKind::NotInLog, ErrorKind::NotFound];
                                assert!(gone.contains(&error.kind()), "{error}");
                                break;
                            }
                        }
                    }
                }
                assert!(last > Lsn::new(1));
            });
        }
    });
}
