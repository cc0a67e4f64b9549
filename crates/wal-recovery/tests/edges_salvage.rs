//! What is kept of a damaged log, in which segments, and which numbers are given out behind it.

mod support;

use support::*;
use wal_core::format::{FrameHeader, UNKNOWN_LAG};
use wal_core::*;
use wal_recovery::{Mode, Recovery, Until, Verdict, View};

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
    let (names, next) = (image_of(&storage).into_keys().collect(), recovered.next_lsn);
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
    whole[128 + 24 + 8 + 24] ^= 1;
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
    assert_eq!((recovered.last_lsn, recovered.next_lsn), (Lsn::new(8), Lsn::new(9 + held)));
    assert_eq!(report.verdict(), Verdict::Corrupt);
}

/// What was torn was never acknowledged.
#[test]
fn a_torn_tail_takes_no_numbers_whatever_is_damaged_before_it() {
    let mut image = three_sessions();
    image.get_mut(&6).unwrap()[150] ^= 1;
    let last = image.get_mut(&9).unwrap();
    last.truncate(last.len() - 3);
    for mode in [Mode::PointInTime, Mode::Salvage] {
        let (recovered, _) = recover(memory_of(&image), mode).unwrap();
        assert_eq!(recovered.next_lsn, Lsn::new(14), "{mode}");
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
