//! What is kept of a damaged log, in which segments, and which numbers are given out behind it.

use crate::support::*;
use wal_core::format::{FrameHeader, UNKNOWN_LAG};
use wal_core::*;
use wal_recovery::{DamageKind, Hole, Inspect, Mode, Recovery, Until, Verdict, View};

/// One segment that was not closed, every record durable before the next one.
fn records(count: usize) -> Image {
    let storage = MemoryStorage::new();
    let log = Wal::builder(always()).manual_driver();
    let log = log.open(storage.clone().into_empty_log().unwrap()).unwrap();
    for i in 0..count {
        log.append(format!("record {i}").as_bytes()).unwrap();
    }
    drop(log);
    image_of(&storage)
}

/// The same with a bit of one record flipped.
fn damaged(count: usize, frame: usize) -> Image {
    let mut image = records(count);
    let bytes = image.get_mut(&1).unwrap();
    let at = offsets_of(bytes, 1)[frame];
    bytes[at + 24] ^= 1;
    image
}

/// Names of the segments that are left, and the numbers in them.
fn salvage(image: &Image) -> (Vec<u64>, Content, Lsn) {
    let storage = memory_of(image);
    let (recovered, _) = recover(storage.clone(), Mode::Salvage).unwrap();
    let (names, next) = (image_of(&storage).into_keys().collect(), recovered.next_lsn());
    (names, content(recovered), next)
}

fn numbers(content: &Content) -> Vec<u64> {
    content.iter().map(|(lsn, _)| *lsn).collect()
}

#[test]
fn records_that_follow_each_other_stay_in_one_segment() {
    let (names, content, _) = salvage(&damaged(7, 1));
    assert_eq!(numbers(&content), [1, 3, 4, 5, 6, 7]);
    assert_eq!(names, [1, 3]);
}

/// The number of what cannot be read may have been given out.
#[test]
fn a_frame_that_calls_itself_a_footer_does_not_end_the_numbers() {
    let mut image = damaged(6, 1);
    let bytes = image.get_mut(&1).unwrap();
    let mut whole = bytes.clone();
    whole[512 + 24 + 8 + 24] ^= 1;
    let last = offsets_of(&whole, 1)[5];
    forge(bytes, 1, last, |frame| frame[22] = format::FrameKind::Footer as u8);
    let (_, content, next) = salvage(&image);
    assert_eq!(numbers(&content), [1, 3, 4, 5]);
    assert!(next > Lsn::new(6), "{next}");
}

#[test]
fn a_frame_that_leaves_out_a_number_takes_nobody_elses() {
    let mut image = records(5);
    let whole = content_of(&image);
    let bytes = image.get_mut(&1).unwrap();
    let third = offsets_of(bytes, 1)[2];
    forge(bytes, 1, third, |frame| frame[8] += 1);
    let (_, content, _) = salvage(&image);
    let expected: Content = whole.into_iter().filter(|(lsn, _)| *lsn != 3).collect();
    assert_eq!(content, expected);
}

#[test]
fn behind_an_unreadable_segment_as_many_numbers_are_left_out_as_it_can_have_held() {
    let mut image = three_sessions();
    let last = image.get_mut(&9).unwrap();
    last[60] ^= 1;
    // A record takes four bytes at least.
    let held = last.len() as u64 / 4 + 1;
    let (recovered, report) = recover(memory_of(&image), Mode::PointInTime).unwrap();
    assert_eq!((recovered.last_lsn(), recovered.next_lsn()), (Lsn::new(8), Lsn::new(9 + held)));
    assert_eq!(report.verdict(), Verdict::Corrupt);
}

/// What was torn was never acknowledged.
#[test]
fn a_torn_tail_takes_no_numbers_whatever_is_damaged_before_it() {
    let mut image = three_sessions();
    image.get_mut(&6).unwrap()[534] ^= 1;
    let last = image.get_mut(&9).unwrap();
    last.truncate(last.len() - 3);
    for mode in [Mode::PointInTime, Mode::Salvage] {
        let (recovered, _) = recover(memory_of(&image), mode).unwrap();
        assert_eq!(recovered.next_lsn(), Lsn::new(14), "{mode}");
    }
}

#[test]
fn an_end_at_the_first_record_of_a_segment_copies_what_is_behind_that_record() {
    let storage = memory_of(&three_sessions());
    open(storage.clone()).close().unwrap();
    let image = image_of(&storage);
    let second = offsets_of(&image[&9], 9)[1];
    let (_, report) = Recovery::new(storage).until(Until::Lsn(Lsn::new(9))).run().unwrap();
    let cut = &report.cut[0];
    assert_eq!((cut.segment.get(), cut.offset, cut.first_lsn.get()), (9, second as u64, 10));
}

/// What a frame said of the log when it was written was said in another place.
#[test]
fn frames_that_are_moved_say_nothing_of_what_is_durable() {
    for (image, moved) in [(damaged(5, 1), 3), (records(3), 3)] {
        let storage = memory_of(&image);
        drop(recover(storage.clone(), Mode::Salvage).unwrap());
        let bytes = &image_of(&storage)[&moved];
        let offsets = offsets_of(bytes, moved);
        for &at in &offsets[..offsets.len() - 2] {
            assert_eq!(FrameHeader::decode(&bytes[at..]).durable_lag, UNKNOWN_LAG);
        }
    }
}

#[test]
fn a_reading_that_begins_right_behind_damage_has_no_hole() {
    let view = View::open(memory_of(&damaged(5, 2))).unwrap().skip_corrupted(true);
    for (from, read, holes) in [(2, &[2, 4, 5][..], 1), (3, &[4, 5], 1), (4, &[4, 5], 0)] {
        let mut records = view.records(Lsn::new(from));
        let lsns: Vec<u64> = records.by_ref().map(|entry| entry.unwrap().lsn.get()).collect();
        assert_eq!((&lsns[..], records.holes().len()), (read, holes), "from {from}");
    }
}

#[test]
fn salvage_keeps_every_good_frame() {
    let image = three_sessions();
    let whole = content_of(&image);
    let mut bad = image.clone();
    // The batch 2..=4, the batch 6..=7 and the frame of 13.
    bad.get_mut(&1).unwrap()[574] ^= 1;
    bad.get_mut(&6).unwrap()[534] ^= 1;
    bad.get_mut(&9).unwrap()[599] ^= 1;
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
        bad.get_mut(&1).unwrap()[512 + 29 * frame + 26] ^= 1;
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
    let at = last.len() - 118;
    last[at] ^= 1;
    for mode in [Mode::PointInTime, Mode::Salvage] {
        let storage = memory_of(&image);
        let (recovered, report) = recover(storage.clone(), mode).unwrap();
        assert!(report.last_lsn < Lsn::new(14), "{report}");
        assert_eq!(recovered.next_lsn(), Lsn::new(15));
        drop(recovered);
        assert_eq!(recover(storage, Mode::Strict).unwrap().0.next_lsn(), Lsn::new(15));
    }
}

#[test]
fn the_generation_of_an_unreadable_segment_is_not_used_again() {
    // Its frames may be left in a recycled file, and must not be valid in a new segment.
    for name in [1, 6, 9] {
        let mut image = three_sessions();
        image.get_mut(&name).unwrap()[50] ^= 3;
        let storage = memory_of(&image);
        let (recovered, _) = recover(storage.clone(), Mode::PointInTime).unwrap();
        assert!(recovered.next_generation() > 1000);
        let generations = Inspect::new(storage).run().unwrap().segments;
        assert!(generations.iter().all(|s| s.generation <= 3 || s.generation > 1000));
        let own = |segment: &RecoveredSegment| segment.header.generation;
        let lost = [(1, 1), (6, 2), (9, 3)].iter().find(|(n, _)| *n == name).unwrap().1;
        assert!(recovered.segments().iter().all(|segment| own(segment) != lost));
        // A salvage finds out which one it was.
        let (recovered, _) = recover(memory_of(&image), Mode::Salvage).unwrap();
        let generations: Vec<u64> = recovered.segments().iter().map(own).collect();
        assert_eq!(generations[..3], [1, 2, 3], "{name}");
    }
}
