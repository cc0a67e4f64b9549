//! Segments that are missing, foreign, left over, or empty.

use crate::support::*;
use wal_core::format::{LogId, SegmentHeader};
use wal_core::*;
use wal_recovery::{DamageKind, Inspect, Mode, Recovery, SegmentState, Until, Verdict};

#[test]
fn an_empty_place_is_a_new_log() {
    let id = LogId([5; 16]);
    let storage = MemoryStorage::new();
    let (recovered, report) = Recovery::new(storage.clone()).log_id(id).run().unwrap();
    assert_eq!((recovered.log_id(), recovered.next_lsn()), (id, Lsn::FIRST));
    assert!(recovered.codec().is_none() && report.clean && report.verdict() == Verdict::Clean);
    assert!(image_of(&storage).is_empty(), "nothing is written");
    let second = Recovery::new(storage).run().unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Locked);
    drop(recovered);
}

#[test]
fn a_missing_segment_is_a_gap() {
    let image = three_sessions();
    let whole = content_of(&image);
    let names: Vec<u64> = image.keys().copied().collect();
    let mut bad = image.clone();
    bad.remove(&names[1]);
    let before = bad.clone();
    let storage = memory_of(&bad);
    for mode in [Mode::Strict, Mode::TornTail] {
        let error = recover(storage.clone(), mode).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!((error.segment(), error.lsn()), (Some(Lsn::FIRST), Some(Lsn::new(6))));
        assert_eq!(image_of(&storage), before, "nothing is changed");
    }
    let (recovered, report) = recover(storage.clone(), Mode::PointInTime).unwrap();
    assert_eq!(report.damages[0].kind, DamageKind::Gap);
    assert_eq!(recovered.next_lsn(), Lsn::new(15));
    assert_eq!(content(recovered), whole[..5]);
    assert_eq!(report.cut.len(), 1, "the last segment is kept aside: {report}");

    let (recovered, report) = recover(memory_of(&bad), Mode::Salvage).unwrap();
    assert_eq!(report.holes.len(), 1);
    assert_eq!((report.holes[0].after, report.holes[0].before), (Lsn::new(5), Lsn::new(9)));
    let kept: Content = whole.iter().filter(|(lsn, _)| !(6..9).contains(lsn)).cloned().collect();
    assert_eq!(content(recovered), kept);
    // Without its first segment a log looks as if it had been truncated.
    let mut front = image.clone();
    front.remove(&names[0]);
    let (recovered, report) = recover(memory_of(&front), Mode::Strict).unwrap();
    assert_eq!(report.first_lsn, Lsn::new(6));
    assert_eq!(content(recovered), whole[5..]);
}

#[test]
fn segments_of_two_logs_are_refused_in_every_mode() {
    let mut mixed = three_sessions();
    let other = three_sessions();
    let name = *mixed.keys().nth(1).unwrap();
    mixed.insert(name, other[&name].clone());
    for mode in [Mode::Strict, Mode::TornTail, Mode::PointInTime, Mode::Salvage] {
        let error = recover(memory_of(&mixed), mode).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.detail().contains("segments 1 and 6 are not of one log"), "{error}");
    }
    // The same generation twice, of one owner: no log has come to that.
    let mut doubled = three_sessions();
    let mut header = SegmentHeader::decode(&doubled[&6], Lsn::new(6)).unwrap();
    header.generation = 1;
    doubled.get_mut(&6).unwrap()[..512].copy_from_slice(&header.encode());
    let error = recover(memory_of(&doubled), Mode::TornTail).unwrap_err();
    assert!(error.detail().contains("generation 1"), "{error}");
}

#[test]
fn leftovers_of_an_interrupted_clean_up_stay_away() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    let record = [7; 1000];
    for _ in 0..20 {
        log.append(&record).unwrap();
    }
    let before = image_of(&storage);
    assert!(before.len() >= 6);
    log.truncate_after(Lsn::new(8)).unwrap();
    let after = image_of(&storage);
    drop(log);
    // Any part of what was removed may still be there, the older ones rather.
    let removed: Vec<u64> =
        before.keys().filter(|name| !after.contains_key(name)).copied().collect();
    for left in 0..=removed.len() {
        let mut image = after.clone();
        image.extend(removed[..left].iter().map(|name| (*name, before[name].clone())));
        let storage = memory_of(&image);
        let (recovered, report) = recover(storage.clone(), Mode::Strict).unwrap();
        assert_eq!((report.last_lsn, report.next_lsn), (Lsn::new(8), Lsn::new(21)));
        assert_eq!(report.records, 8);
        let void = report.segments.iter().filter(|s| s.state == SegmentState::Void).count();
        assert_eq!((void, recovered.events().len()), (left, left));
        assert_eq!(content(recovered).len(), 8);
        assert_eq!(image_of(&storage).len(), after.len());
    }
    // If not even the segment is there that the new one follows, records are missing.
    let mut image = after.clone();
    let cut = *image.keys().rev().nth(1).unwrap();
    image.remove(&cut);
    image.insert(removed[0], before[&removed[0]].clone());
    let error = recover(memory_of(&image), Mode::TornTail).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn leftovers_at_the_front_stay_away() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for _ in 0..20 {
        log.append(&[7; 1000]).unwrap();
    }
    let before = image_of(&storage);
    log.truncate_before(Lsn::new(12)).unwrap();
    let after = image_of(&storage);
    drop(log);
    let removed: Vec<u64> =
        before.keys().filter(|name| !after.contains_key(name)).copied().collect();
    for left in 0..=removed.len() {
        let mut image = after.clone();
        image.extend(removed[left..].iter().map(|name| (*name, before[name].clone())));
        // Damage in a leftover is nobody's loss.
        if let Some(name) = removed.get(left) {
            image.get_mut(name).unwrap()[584] ^= 1;
        }
        let storage = memory_of(&image);
        let (recovered, report) = recover(storage.clone(), Mode::Strict).unwrap();
        assert_eq!((report.first_lsn, report.records), (Lsn::new(12), 9));
        assert_eq!(recovered.first_lsn(), Lsn::new(12));
        assert_eq!(content(recovered).len(), 9);
        assert_eq!(image_of(&storage).len(), after.len());
    }
}

#[test]
fn an_emptied_log_goes_on_counting() {
    for closed in [true, false] {
        let storage = MemoryStorage::new();
        let log = open(storage.clone());
        for _ in 0..7 {
            log.append(b"gone").unwrap();
        }
        log.truncate_before(Lsn::MAX).unwrap();
        if closed {
            log.close().unwrap();
        }
        drop(log);
        for _ in 0..3 {
            let (recovered, report) = recover(storage.clone(), Mode::Strict).unwrap();
            assert_eq!((report.records, report.next_lsn), (0, Lsn::new(8)));
            assert_eq!(recovered.first_lsn(), Lsn::new(8));
        }
        let log = open(storage.clone());
        assert_eq!(log.append(b"new").unwrap(), Lsn::new(8));
        drop(log);
        assert_eq!(content(recover(storage, Mode::Strict).unwrap().0), [(8, b"new".to_vec())]);
    }
}

#[test]
fn a_truncated_log_keeps_its_numbers_when_reopened() {
    let storage = MemoryStorage::new();
    for round in 0..5 {
        let log = open(storage.clone());
        let next = log.next_lsn();
        assert_eq!(next, Lsn::new(1 + 4 * round));
        for _ in 0..4 {
            log.append(b"x").unwrap();
        }
        let kept = log.truncate_after(next.next()).unwrap();
        assert_eq!(kept, next.next());
    }
    let (recovered, _) = recover(storage, Mode::Strict).unwrap();
    let lsns: Vec<u64> = content(recovered).iter().map(|(lsn, _)| *lsn).collect();
    assert_eq!(lsns, [1, 2, 5, 6, 9, 10, 13, 14, 17, 18]);
}

#[test]
fn files_of_somebody_else_are_no_log() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("diary.txt"), "dear").unwrap();
    let storage = wal_fs::FileStorage::create(dir.path()).unwrap();
    let error = Recovery::new(storage).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotALog);
    assert!(error.to_string().contains("diary.txt"), "{error}");
    // A name is not enough.
    std::fs::remove_file(dir.path().join("diary.txt")).unwrap();
    let fake = dir.path().join("00000000000000000001.wal");
    std::fs::write(&fake, "not a segment at all, but long enough for its header".repeat(9))
        .unwrap();
    for mode in [Mode::TornTail, Mode::PointInTime, Mode::Salvage] {
        let storage = wal_fs::FileStorage::create(dir.path()).unwrap();
        assert_eq!(recover(storage, mode).unwrap_err().kind(), ErrorKind::NotALog);
    }
    assert!(fake.exists());
    // Beside a log they are named.
    std::fs::remove_file(&fake).unwrap();
    let storage = wal_fs::FileStorage::create(dir.path()).unwrap();
    open(storage).append(b"x").unwrap();
    std::fs::write(dir.path().join("notes"), "").unwrap();
    let report = Inspect::new(wal_fs::FileStorage::open(dir.path()).unwrap()).run().unwrap();
    assert_eq!((report.foreign, report.records), (vec!["notes".to_owned()], 1));
}

#[test]
fn an_end_can_be_chosen_in_a_log_with_gaps() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for _ in 0..10 {
        log.append(b"x").unwrap();
    }
    log.truncate_after(Lsn::new(5)).unwrap();
    for _ in 0..5 {
        log.append(b"y").unwrap();
    }
    log.truncate_before(Lsn::new(3)).unwrap();
    drop(log);
    let image = image_of(&storage);
    // 3 4 5 | 11 12 13 14 15
    for (until, last, records) in [(2, 2, 0), (4, 4, 2), (5, 5, 3), (8, 8, 3), (12, 12, 5)] {
        let storage = memory_of(&image);
        let run = |storage: MemoryStorage, until| {
            Recovery::new(storage).until(Until::Lsn(Lsn::new(until))).run()
        };
        let (recovered, report) = run(storage.clone(), until).unwrap();
        assert_eq!(report.records, records, "until {until}: {report}");
        assert!(recovered.last_lsn() <= Lsn::new(last) && recovered.next_lsn() == Lsn::new(16));
        assert!(report.cut.iter().all(|cut| cut.saved_as.is_some()) && !report.cut.is_empty());
        drop(recovered);
        let (recovered, again) = recover(storage.clone(), Mode::Strict).unwrap();
        assert_eq!((again.records, again.next_lsn), (records, Lsn::new(16)));
        let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
        assert_eq!(log.append(b"z").unwrap(), Lsn::new(16));
        drop(log);
        assert_eq!(content(recover(storage, Mode::Strict).unwrap().0).len() as u64, records + 1);
        let error = run(memory_of(&image), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotInLog);
    }
    let (recovered, report) =
        Recovery::new(memory_of(&image)).until(Until::Lsn(Lsn::new(15))).run().unwrap();
    assert!(report.cut.is_empty() && recovered.last_lsn() == Lsn::new(15));
}
