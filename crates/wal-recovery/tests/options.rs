//! Ends by time, threads, limits, progress, reports; and what salvage keeps.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::*;
use wal_core::*;
use wal_recovery::{
    DamageKind, Hole, Inspect, Mode, Progress, Recovery, SegmentState, Until, Verdict, Verify,
};

/// `sessions` sessions of `records` records each, every record at another time. The last one was not
/// closed.
fn by_time(sessions: u64, records: u64) -> MemoryStorage {
    let storage = MemoryStorage::new();
    let clock = Ticking::default();
    for session in 1..=sessions {
        let (recovered, _) = Recovery::new(storage.clone()).run().unwrap();
        let builder = Wal::builder(always()).settings(settings()).clock(clock.clone());
        let log = builder.manual_driver().open(recovered).unwrap();
        for i in 0..records {
            log.append(format!("record {i}").as_bytes()).unwrap();
        }
        if session < sessions {
            log.close().unwrap();
        }
    }
    storage
}

fn times(image: &Image) -> Vec<Timestamp> {
    let (recovered, _) = recover(memory_of(image), Mode::Strict).unwrap();
    let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
    log.iter(Lsn::ZERO).unwrap().map(|entry| entry.unwrap().timestamp).collect()
}

#[test]
fn an_end_in_time_keeps_what_was_appended_until_then() {
    let image = image_of(&by_time(4, 5));
    let times = times(&image);
    assert_eq!(times.len(), 20);
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    let before = Timestamp::from_micros(times[0].as_micros() - 1);
    for (kept, time) in std::iter::once(&before).chain(&times).enumerate() {
        for shift in [0, 1] {
            let storage = memory_of(&image);
            let until = Until::Time(Timestamp::from_micros(time.as_micros() + shift));
            // Just before the first record, or at each of them.
            let kept = if kept == 0 { shift as usize } else { kept };
            let (recovered, report) =
                Recovery::new(storage.clone()).until(until).threads(2).run().unwrap();
            assert_eq!((report.records, report.next_lsn), (kept as u64, Lsn::new(21)), "{report}");
            drop(recovered);
            let (recovered, _) = recover(storage, Mode::Strict).unwrap();
            assert_eq!(content(recovered).len(), kept);
        }
    }
}

#[test]
fn several_threads_find_what_one_does() {
    let mut image = image_of(&by_time(12, 30));
    let names: Vec<u64> = image.keys().copied().collect();
    assert!(names.len() >= 12);
    for name in [names[2], names[7], names[8]] {
        image.get_mut(&name).unwrap()[300] ^= 1;
    }
    let look = |threads| {
        let mut report = Inspect::new(memory_of(&image)).threads(threads).run().unwrap();
        report.elapsed = Duration::ZERO;
        serde_json::to_value(&report).unwrap()
    };
    let alone = look(1);
    assert_eq!(alone["damages"].as_array().unwrap().len(), 3);
    for threads in [2, 3, 16] {
        assert_eq!(look(threads), alone);
    }
    let fail = |threads| {
        let recovery = Recovery::new(memory_of(&image)).verify(Verify::All).threads(threads);
        recovery.run().unwrap_err().to_string()
    };
    assert_eq!(fail(1), fail(5));
    for threads in [0, 257] {
        let error = Recovery::new(memory_of(&image)).threads(threads).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let error = Inspect::new(memory_of(&image)).threads(threads).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_time_limit_stops_the_scan_and_changes_nothing() {
    let storage = by_time(5, 10);
    let image = image_of(&storage);
    let run = |seconds| {
        let recovery = Recovery::new(storage.clone()).clock(Ticking::default()).threads(1);
        recovery.time_limit(Duration::from_secs(seconds)).verify(Verify::All).run()
    };
    let mut seconds = 0;
    while let Err(error) = run(seconds) {
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert_eq!(image_of(&storage), image);
        seconds += 1;
    }
    assert!((5..1000).contains(&seconds), "{seconds}");
    let inspect = Inspect::new(storage).clock(Ticking::default());
    let error = inspect.time_limit(Duration::from_secs(2)).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn progress_reaches_the_end() {
    let seen = Arc::new(Mutex::new(Vec::<Progress>::new()));
    let tell = seen.clone();
    let storage = by_time(6, 20);
    let recovery = Recovery::new(storage).verify(Verify::All).threads(3);
    let (_, report) = recovery.progress(move |p| tell.lock().unwrap().push(*p)).run().unwrap();
    let seen = seen.lock().unwrap();
    let last = seen.last().unwrap();
    assert_eq!((last.segments_done, last.segments), (6, 6));
    assert_eq!((last.records, last.records), (report.records, report.records_scanned));
    assert!(last.bytes_done <= last.bytes && last.bytes_done * 10 > last.bytes * 5);
    let ascending = |pair: &[Progress]| pair[0].bytes_done <= pair[1].bytes_done;
    assert!(
        seen.iter()
            .filter(|p| p.segments > 0)
            .copied()
            .collect::<Vec<_>>()
            .windows(2)
            .all(ascending)
    );
}

#[test]
fn sealed_segments_are_read_in_full_only_on_demand() {
    let storage = by_time(5, 50);
    drop(Recovery::new(storage.clone()).run().unwrap());
    let report = |verify| Inspect::new(storage.clone()).verify(verify).run().unwrap();
    let (quick, full) = (report(Verify::Footers), report(Verify::All));
    assert_eq!((quick.records_scanned, full.records_scanned), (0, 250));
    assert!(quick.bytes_scanned * 5 < full.bytes_scanned);
    assert_eq!((quick.records, full.records), (250, 250));
    assert!(quick.clean && full.clean);
    assert!(full.segments.iter().all(|s| s.sealed && s.state == SegmentState::Ok));
    let last = full.segments.last().unwrap();
    assert_eq!((last.records, last.frames, last.last_lsn), (1, 1, Lsn::new(250)));
    // It is what nothing proved durable, moved out of the segment before it.
    let moved_from = &full.segments[full.segments.len() - 2];
    assert_eq!((moved_from.records, moved_from.created), (49, last.created));
    assert!(last.last_time > last.created && last.created > full.segments[0].last_time);
}

#[test]
fn inspecting_changes_nothing_and_needs_no_lock() {
    let mut image = three_sessions();
    image.get_mut(&6).unwrap()[140] ^= 1;
    let last = image.get_mut(&9).unwrap();
    last.truncate(last.len() - 3);
    let storage = memory_of(&image);
    let _lock = storage.lock().wait().unwrap();
    let report = Inspect::new(storage.clone()).run().unwrap();
    assert_eq!(report.verdict(), Verdict::Corrupt);
    let kinds: Vec<DamageKind> = report.damages.iter().map(|damage| damage.kind).collect();
    assert_eq!(kinds, [DamageKind::Corrupt, DamageKind::TornTail]);
    let states: Vec<String> = report.segments.iter().map(|s| s.state.to_string()).collect();
    assert_eq!(states, ["ok", "corrupt", "torn"]);
    assert_eq!(image_of(&storage), image);
    let text = report.to_string();
    for part in ["verdict    corrupt", "LSN 6", "torn tail in segment 9", "segments   3"] {
        assert!(text.contains(part), "{text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["segments"][2]["state"], "torn");
    assert_eq!(json["damages"][0]["kind"], "corrupt");
}

#[test]
fn salvage_keeps_every_good_frame() {
    let image = three_sessions();
    let whole = content_of(&image);
    let mut bad = image.clone();
    // The batch 2..=4, the batch 6..=7 and the frame of 13.
    bad.get_mut(&1).unwrap()[190] ^= 1;
    bad.get_mut(&6).unwrap()[150] ^= 1;
    bad.get_mut(&9).unwrap()[215] ^= 1;
    let storage = memory_of(&bad);
    let (recovered, report) = recover(storage.clone(), Mode::Salvage).unwrap();
    let holes: Vec<(u64, u64)> =
        report.holes.iter().map(|Hole { after, before, .. }| (after.get(), before.get())).collect();
    assert_eq!(holes, [(1, 5), (5, 8), (12, 14)], "{report}");
    for (hole, segment) in report.holes.iter().zip(["checksum", "checksum", "proves"]) {
        assert!(hole.reason.contains(segment), "{report}");
    }
    assert_ne!(report.holes[0].reason, report.holes[1].reason);
    assert_eq!(report.cut.len(), 3);
    assert_eq!(report.records, 8);
    let found = content(recovered);
    let kept: Content =
        whole.iter().filter(|(lsn, _)| ![2, 3, 4, 6, 7, 13].contains(lsn)).cloned().collect();
    assert_eq!(found, kept);
    // What was salvaged is a healthy log with gaps.
    let (recovered, report) = recover(storage.clone(), Mode::Strict).unwrap();
    assert_eq!((report.verdict(), report.next_lsn), (Verdict::Clean, Lsn::new(15)));
    drop(recovered);
    let log = open(storage.clone());
    assert_eq!(log.append(b"fifteen").unwrap(), Lsn::new(15));
    assert_eq!(try_content(&log).unwrap().len(), 9);
    log.truncate_before(Lsn::new(8)).unwrap();
    assert_eq!(log.first_lsn(), Lsn::new(8));
    log.close().unwrap();
    let (recovered, _) = recover(storage, Mode::Strict).unwrap();
    let lsns: Vec<u64> = content(recovered).iter().map(|(lsn, _)| *lsn).collect();
    assert_eq!(lsns, [8, 9, 10, 11, 12, 14, 15]);
}

#[test]
fn salvage_does_not_bring_truncated_records_back() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for i in 0..10 {
        log.append(format!("old {i}").as_bytes()).unwrap();
    }
    log.truncate_after(Lsn::new(6)).unwrap();
    log.append(b"new").unwrap();
    drop(log);
    let image = image_of(&storage);
    for frame in 0..10 {
        let mut bad = image.clone();
        bad.get_mut(&1).unwrap()[128 + 29 * frame + 26] ^= 1;
        let (recovered, report) = recover(memory_of(&bad), Mode::Salvage).unwrap();
        let lsns: Vec<u64> = content(recovered).iter().map(|(lsn, _)| *lsn).collect();
        let expected: Vec<u64> =
            (1..=6).chain([11]).filter(|&lsn| lsn != frame as u64 + 1).collect();
        assert_eq!(lsns, expected, "{report}");
        // Damage in records that were truncated costs none, but the segment has to be sealed anew.
        let kind = if frame < 6 { DamageKind::Corrupt } else { DamageKind::Footer };
        assert_eq!(report.damages[0].kind, kind, "{report}");
    }
}

#[test]
fn the_last_numbers_of_a_damaged_log_are_not_given_out_again() {
    let storage = memory_of(&three_sessions());
    drop(recover(storage.clone(), Mode::TornTail).unwrap());
    let mut image = image_of(&storage);
    // The last frame of a sealed log: 14 was durable.
    let last = image.get_mut(&14).unwrap();
    let at = last.len() - 82;
    last[at] ^= 1;
    for mode in [Mode::PointInTime, Mode::Salvage] {
        let storage = memory_of(&image);
        let (recovered, report) = recover(storage.clone(), mode).unwrap();
        assert!(report.last_lsn < Lsn::new(14), "{report}");
        assert_eq!(recovered.next_lsn, Lsn::new(15));
        drop(recovered);
        assert_eq!(recover(storage, Mode::Strict).unwrap().0.next_lsn, Lsn::new(15));
    }
}

#[test]
fn the_generation_of_an_unreadable_segment_is_not_used_again() {
    // Its frames may be left in a recycled file, and must not be valid in a new segment.
    for name in [1, 6, 9] {
        let mut image = three_sessions();
        image.get_mut(&name).unwrap()[50] ^= 3;
        for mode in [Mode::PointInTime, Mode::Salvage] {
            let storage = memory_of(&image);
            let (recovered, _) = recover(storage.clone(), mode).unwrap();
            assert!(recovered.next_generation > 1000);
            let generations = Inspect::new(storage).run().unwrap().segments;
            assert!(generations.iter().all(|s| s.generation <= 3 || s.generation > 1000));
            let own = |segment: &RecoveredSegment| segment.header.generation;
            let lost = [(1, 1), (6, 2), (9, 3)].iter().find(|(n, _)| *n == name).unwrap().1;
            assert!(recovered.segments.iter().all(|segment| own(segment) != lost));
        }
    }
}
