//! Reading, following and truncating an open log.

use std::thread;

use crate::support::*;
use wal_core::*;

fn filled(n: u64) -> Wal {
    let log = Wal::builder(os())
        .settings(Settings::default().segment_size(4096).open_segments(2))
        .open(MemoryStorage::new().into_empty_log().unwrap())
        .unwrap();
    for i in 1..=n {
        if i % 10 == 0 {
            continue;
        }
        if i % 10 == 9 {
            let pair = [format!("{i}").into_bytes(), format!("{}", i + 1).into_bytes()];
            log.append_batch(&pair).unwrap();
        } else {
            log.append(format!("{i}").as_bytes()).unwrap();
        }
    }
    log
}

fn expect(range: impl Iterator<Item = u64>) -> Vec<(u64, String)> {
    range.map(|i| (i, i.to_string())).collect()
}

#[test]
fn every_record_is_found_by_its_lsn_and_in_order() {
    let log = filled(1000);
    assert_eq!(records(&log), expect(1..=1000));
    for i in 1..=1000 {
        let entry = log.read(Lsn::new(i)).unwrap();
        assert_eq!((entry.lsn.get(), entry.record), (i, i.to_string().into_bytes().into()));
    }
    for missing in [0, 1001, u64::MAX] {
        assert_eq!(
            log.read(Lsn::new(missing)).unwrap_err().kind(),
            ErrorKind::NotInLog,
            "{missing}"
        );
    }
    let from = log.iter(Lsn::new(995)).unwrap().map(|e| e.unwrap().lsn.get());
    assert_eq!(from.collect::<Vec<_>>(), (995..=1000).collect::<Vec<_>>());
    assert_eq!(log.iter(Lsn::new(5000)).unwrap().count(), 0);
}

#[test]
fn reading_finds_what_is_still_in_memory() {
    let log = filled(3);
    let lsn = log.append_with(b"buffered", Durability::Buffered).unwrap();
    assert_eq!(log.read(lsn).unwrap().record, "buffered");
}

#[test]
fn timestamps_are_those_of_the_clock() {
    let log = filled(200);
    let times: Vec<_> = log.iter(Lsn::ZERO).unwrap().map(|e| e.unwrap().timestamp).collect();
    assert!(times.is_sorted());
    assert!(times[0] > Timestamp::from_micros(1_600_000_000_000_000));
}

#[test]
fn a_follower_sees_every_record_once_it_is_durable_and_ends_with_the_log() {
    let log = filled(100);
    let follower = log.follow(Lsn::new(50)).unwrap();
    let durable = log.clone();
    let reader = thread::spawn(move || {
        follower
            .map(|entry| {
                let lsn = entry.unwrap().lsn;
                assert!(durable.durable_lsn() >= lsn);
                lsn.get()
            })
            .collect::<Vec<_>>()
    });
    for i in 101..=500 {
        log.append(format!("{i}").as_bytes()).unwrap();
        if i % 50 == 0 {
            log.sync().unwrap();
        }
    }
    log.close().unwrap();
    assert_eq!(reader.join().unwrap(), (50..=500).collect::<Vec<_>>());
}

#[test]
fn truncation_at_the_front_is_exact_and_gives_segments_back() {
    let log = filled(1000);
    let created = log.stats().segments_created;
    assert!(created > 5);
    assert_eq!(log.truncate_before(Lsn::new(501)).unwrap(), Lsn::new(501));
    assert_eq!(records(&log), expect(501..=1000));
    assert_eq!(log.first_lsn(), Lsn::new(501));
    assert_eq!(log.read(Lsn::new(500)).unwrap_err().kind(), ErrorKind::NotInLog);
    assert_eq!(log.iter(Lsn::new(3)).err().unwrap().kind(), ErrorKind::NotInLog);
    assert_eq!(log.truncate_before(Lsn::new(7)).unwrap(), Lsn::new(501), "never backwards");
    log.append(b"1001").unwrap();
    assert_eq!(records(&log), expect(501..=1001));
}

#[test]
fn an_emptied_log_goes_on_counting() {
    let log = filled(100);
    assert_eq!(log.truncate_before(Lsn::MAX).unwrap(), Lsn::new(101));
    assert_eq!(records(&log), []);
    assert_eq!((log.first_lsn(), log.last_lsn()), (Lsn::new(101), Lsn::new(100)));
    assert_eq!(log.truncate_before(Lsn::MAX).unwrap(), Lsn::new(101));
    assert_eq!(log.append(b"101").unwrap(), Lsn::new(101));
    assert_eq!(records(&log), expect(101..=101));
}

#[test]
fn truncation_at_the_back_voids_records_and_never_reuses_their_numbers() {
    let log = filled(100);
    assert_eq!(log.truncate_after(Lsn::new(39)).unwrap(), Lsn::new(39), "inside the batch 39..=40");
    assert_eq!(records(&log), expect(1..=39));
    assert_eq!((log.last_lsn(), log.next_lsn()), (Lsn::new(39), Lsn::new(101)));
    assert_eq!(log.read(Lsn::new(40)).unwrap_err().kind(), ErrorKind::NotInLog);
    assert_eq!(
        log.truncate_after(Lsn::new(20)).unwrap(),
        Lsn::new(20),
        "again, with nothing between"
    );
    assert_eq!(log.append(b"101").unwrap(), Lsn::new(101));
    assert_eq!(records(&log), expect((1..=20).chain([101])));
    assert_eq!(log.truncate_after(Lsn::new(500)).unwrap(), Lsn::new(101), "nothing behind it");
    assert_eq!(log.truncate_before(Lsn::new(10)).unwrap(), Lsn::new(10));
    assert_eq!(log.truncate_after(Lsn::new(3)).unwrap_err().kind(), ErrorKind::NotInLog);
    assert_eq!(log.truncate_after(Lsn::new(9)).unwrap(), Lsn::new(9), "to empty");
    assert_eq!(records(&log), []);
    assert_eq!(log.append(b"102").unwrap(), Lsn::new(102));
    assert_eq!(records(&log), expect(102..=102));
}

#[test]
fn truncating_inside_a_gap_brings_nothing_back() {
    let log = filled(100);
    log.truncate_after(Lsn::new(10)).unwrap();
    log.append(b"101").unwrap();
    assert_eq!(log.truncate_after(Lsn::new(50)).unwrap(), Lsn::new(10));
    assert_eq!(records(&log), expect(1..=10));
    assert_eq!((log.last_lsn(), log.next_lsn()), (Lsn::new(10), Lsn::new(102)));
}

#[test]
fn appends_go_on_beside_truncation_and_reading() {
    let log = filled(500);
    thread::scope(|scope| {
        let appender = scope.spawn(|| {
            for i in 501..=3000 {
                assert_eq!(log.append(format!("{i}").as_bytes()).unwrap(), Lsn::new(i));
            }
        });
        scope.spawn(|| {
            for before in (100..2000).step_by(100) {
                log.truncate_before(Lsn::new(before)).unwrap();
            }
        });
        while !appender.is_finished() {
            for entry in log.iter(Lsn::ZERO).unwrap() {
                match entry {
                    Ok(entry) => assert_eq!(entry.record, entry.lsn.to_string()),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::NotInLog, "{error}"),
                }
            }
        }
    });
    let left = records(&log);
    assert_eq!(left, expect(log.first_lsn().get()..=3000));
}

#[test]
fn a_follower_survives_a_truncation_at_the_back() {
    let log = filled(100);
    log.sync().unwrap();
    let mut follower = log.follow(Lsn::new(95)).unwrap();
    assert_eq!(follower.next().unwrap().unwrap().lsn, Lsn::new(95));
    log.truncate_after(Lsn::new(95)).unwrap();
    let later = log.clone();
    let appender = thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(10));
        later.append_with(b"101", Durability::Durable).unwrap();
        later.close().unwrap();
    });
    let rest: Vec<_> = follower.map(|e| e.unwrap().lsn.get()).collect();
    // What the follower had buffered may still come; nothing void may come from the storage.
    assert_eq!(rest.last(), Some(&101), "{rest:?}");
    appender.join().unwrap();
}
