//! Reading without opening: beside a writer, behind damage, and replays.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::*;
use wal_core::*;
use wal_fs::{FileSettings, FileStorage};
use wal_recovery::{Applied, Inspect, Mode, Records, Until, Verdict, View};

fn rest(records: &mut Records) -> Vec<u64> {
    records.map(|entry| entry.unwrap().lsn.get()).collect()
}

#[test]
fn a_view_shows_what_a_recovery_would() {
    let image = three_sessions();
    let whole = content_of(&image);
    let view = View::open(memory_of(&image)).unwrap();
    assert_eq!((view.first_lsn(), view.last_known_lsn()), (Lsn::FIRST, Lsn::new(8)));
    assert_eq!((view.codec(), view.headers().len()), (Some(CodecId::RAW), 3));
    for from in 0..=14 {
        let found: Content = view
            .records(Lsn::new(from))
            .map(|e| e.map(|e| (e.lsn.get(), e.record.to_vec())).unwrap())
            .collect();
        assert_eq!(found, whole[(from.max(1) - 1) as usize..], "from {from}");
    }
    assert!(rest(&mut view.records(Lsn::new(15))).is_empty());
    assert_eq!(image_of(&memory_of(&image)), image);
}

#[test]
fn an_empty_place_fills_up() {
    let storage = MemoryStorage::new();
    let view = View::open(storage.clone()).unwrap();
    assert!(view.log_id().is_none());
    let mut records = view.records(Lsn::ZERO);
    assert!(records.next().is_none());
    let log = open(storage);
    log.append(b"a").unwrap();
    assert_eq!(rest(&mut records), [1]);
    log.append_batch(&[&b"b"[..], b"c"]).unwrap();
    assert_eq!(rest(&mut records), [2, 3]);
}

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
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(slow.next().is_none());
    assert!(rest(&mut records).is_empty());
    let from_the_past = View::open(storage.clone()).unwrap().records(Lsn::new(3)).next();
    assert_eq!(from_the_past.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
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
fn a_torn_tail_ends_and_damage_fails() {
    let mut torn = three_sessions();
    let last = torn.get_mut(&9).unwrap();
    last.truncate(last.len() - 1);
    let mut records = View::open(memory_of(&torn)).unwrap().records(Lsn::ZERO);
    assert_eq!(rest(&mut records).len(), 13);
    assert!(records.next().is_none());

    for (name, at, good) in [(1, 140, 0), (1, 190, 1), (6, 160, 5), (9, 140, 8), (9, 200, 9)] {
        let mut bad = three_sessions();
        bad.get_mut(&name).unwrap()[at] ^= 1;
        let mut records = View::open(memory_of(&bad)).unwrap().records(Lsn::ZERO);
        let found: Vec<_> = records.by_ref().collect();
        assert_eq!(found.len(), good + 1, "{name} {at}");
        let error = found[good].as_ref().unwrap_err();
        assert_eq!((error.kind(), error.at_segment()), (ErrorKind::Corrupt, Some(Lsn::new(name))));
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
    assert_eq!(skipped(&flip(1, 140)), (all_but(1, 2), vec![(0, 2)]));
    assert_eq!(skipped(&flip(1, 190)), (all_but(2, 5), vec![(1, 5)]));
    // The last frame of a sealed segment, headers, a whole segment.
    assert_eq!(skipped(&flip(1, 220)), (all_but(5, 6), vec![(4, 6)]));
    assert_eq!(skipped(&flip(1, 50)), (all_but(1, 6), vec![(0, 6)]));
    assert_eq!(skipped(&flip(6, 50)), (all_but(6, 9), vec![(5, 9)]));
    assert_eq!(skipped(&flip(9, 50)), ((1..=8).collect(), vec![]));
    assert_eq!(skipped(&|image| drop(image.remove(&6))), (all_but(6, 9), vec![(5, 9)]));
    assert_eq!(skipped(&flip(9, 140)), (all_but(9, 10), vec![(8, 10)]));
}

#[test]
fn a_replay_ends_where_it_is_told() {
    let view = View::open(memory_of(&three_sessions())).unwrap();
    let replay = |from: u64, until| {
        let apply = |entry: Entry<bytes::Bytes>| {
            Ok(if entry.lsn.get().is_multiple_of(2) { Applied::Skipped } else { Applied::Applied })
        };
        let report = view.replay(Lsn::new(from), until, apply).unwrap();
        assert_eq!(report.total, report.applied + report.skipped);
        (report.total, report.skipped, report.last_lsn.get())
    };
    assert_eq!(replay(0, Until::End), (14, 7, 14));
    assert_eq!(replay(3, Until::Lsn(Lsn::new(10))), (8, 4, 10));
    assert_eq!(replay(3, Until::Lsn(Lsn::new(2))), (0, 0, 0));
    assert_eq!(replay(0, Until::Time(Timestamp::MAX)), (14, 7, 14));
    assert_eq!(replay(0, Until::Time(Timestamp::EPOCH)), (0, 0, 0));
    let refusal = view.replay(Lsn::ZERO, Until::End, |entry| {
        Err(Error::new(ErrorKind::Codec, "apply").lsn(entry.lsn))
    });
    assert_eq!(refusal.unwrap_err().at_lsn(), Some(Lsn::FIRST));
    let view = view.time_limit(Duration::ZERO);
    let error = view.replay(Lsn::ZERO, Until::End, |_| Ok(Applied::Applied)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
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
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
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
