//! Salvage and point-in-time where the damage is at the border of a segment, or a segment of its own.

use crate::support::*;
use wal_core::*;
use wal_recovery::{Mode, Report, Verdict, View};

/// One closed segment of five records, and an empty one that was closed as well if `reopened`.
fn closed(reopened: bool) -> Image {
    let storage = MemoryStorage::new();
    let log = Wal::builder(lazy()).manual_driver();
    let log = log.open(storage.clone().into_empty_log().unwrap()).unwrap();
    for i in 0..5 {
        log.append(&[b'0' + i]).unwrap();
    }
    log.close().unwrap();
    drop(log);
    let image = image_of(&storage);
    assert_eq!(image.len(), 1);
    if !reopened {
        return image;
    }
    // A crash comes before the first append: what is there is a header and no footer.
    let mut bytes = image[&1][..512].to_vec();
    forge_header(&mut bytes, |header| {
        let fresh = format::SegmentHeader {
            generation: 2,
            first_lsn: Lsn::new(6),
            follows: Lsn::new(5),
            ..header_of(header, 1)
        };
        header.copy_from_slice(&fresh.encode());
    });
    let storage = memory_of(&image.into_iter().chain([(6, bytes)]).collect());
    drop(recover(storage.clone(), Mode::Strict).unwrap());
    let image = image_of(&storage);
    assert!(image.len() == 2 && image[&6].len() > 512, "sealed by the recovery");
    image
}

/// Makes the footer of a segment say another checksum of all frames.
fn contradict(image: &mut Image, name: u64) {
    let bytes = image.get_mut(&name).unwrap();
    let footer = *offsets_of(bytes, name).iter().rev().nth(1).unwrap();
    forge(bytes, name, footer, |frame| frame[24 + 16] ^= 1);
}

fn salvage(image: &Image) -> (Image, Content, Lsn, Report) {
    let storage = memory_of(image);
    let (recovered, report) = recover(storage.clone(), Mode::Salvage).unwrap();
    let (image, next) = (image_of(&storage), recovered.next_lsn());
    (image, content(recovered), next, report)
}

#[test]
fn a_footer_that_contradicts_its_records_costs_none_of_them_and_no_number() {
    for (reopened, name) in [(false, 1), (true, 6)] {
        let good = closed(reopened);
        let whole = content_of(&good);
        let mut bad = good.clone();
        contradict(&mut bad, name);
        let (after, content, next, report) = salvage(&bad);
        assert_eq!(report.verdict(), Verdict::Corrupt, "{report}");
        assert_eq!((content, next), (whole, Lsn::new(6)), "{report}");
        assert!(after.keys().eq(good.keys()), "{report}");
        drop(recover(memory_of(&after), Mode::Strict).unwrap());
    }
}

#[test]
fn a_hole_at_the_end_of_a_segment_is_told_with_what_is_damaged_there() {
    let mut image = three_sessions();
    let bytes = image.get_mut(&6).unwrap();
    let eight = offsets_of(bytes, 6)[1];
    bytes[eight + 24] ^= 1;
    let (_, content, _, report) = salvage(&image);
    assert_eq!(content.len(), 13);
    let [hole] = &report.holes[..] else { panic!("{report}") };
    assert_eq!((hole.after, hole.before), (Lsn::new(7), Lsn::new(9)));
    assert!(hole.reason.contains("checksum"), "{report}");
}

/// A segment that nothing can be made of, with a name among the records of another one.
#[test]
fn a_stray_among_the_records_of_a_segment_is_copied_and_removed() {
    let mut image = three_sessions();
    let whole = content_of(&image);
    image.insert(3, vec![0x55; 300]);
    for (mode, kept) in [(Mode::PointInTime, &whole[..5]), (Mode::Salvage, &whole[..])] {
        let storage = memory_of(&image);
        let (recovered, report) = recover(storage.clone(), mode).unwrap();
        let copied = report.cut.iter().find(|cut| cut.segment == Lsn::new(3)).unwrap();
        assert_eq!((copied.bytes, copied.saved_as.is_some()), (300, true), "{mode}: {report}");
        assert_eq!(content(recovered), kept, "{mode}: {report}");
        assert!(!image_of(&storage).contains_key(&3), "{mode}");
        drop(recover(storage, Mode::Strict).unwrap());
    }
}

/// The newest segment that can be read has no footer, and behind it is one that cannot be read.
#[test]
fn an_end_before_damage_is_made_durable_before_anything_follows_it() {
    let mut image = three_sessions();
    let bytes = image.get_mut(&6).unwrap();
    let offsets = offsets_of(bytes, 6);
    bytes.truncate(offsets[2]);
    image.get_mut(&9).unwrap()[60] ^= 1;
    let storage = memory_of(&image);
    let (recovered, report) = recover(storage.clone(), Mode::PointInTime).unwrap();
    // Nothing proves record 8: it was the last one.
    assert_eq!(report.rewritten_bytes, (offsets[2] - offsets[1]) as u64, "{report}");
    assert_eq!(recovered.last_lsn(), Lsn::new(8));
    assert_eq!(content(recovered).len(), 8);
    let after = image_of(&storage);
    let generations: Vec<u64> =
        after.iter().map(|(&name, bytes)| header_of(bytes, name).generation).collect();
    assert!(generations.windows(2).all(|pair| pair[0] < pair[1]), "{generations:?}");
    assert!(after.contains_key(&8), "{:?}", after.keys());
}

#[test]
fn a_header_that_is_no_header_is_damage_among_segments_of_a_log() {
    for (name, before) in [(1, 0), (9, 8)] {
        let mut image = three_sessions();
        image.get_mut(&name).unwrap()[..8].fill(0x55);
        let mut records = View::open(memory_of(&image)).unwrap().records(Lsn::FIRST);
        assert_eq!(records.by_ref().take_while(|entry| entry.is_ok()).count(), before);
        let mut records = View::open(memory_of(&image)).unwrap().records(Lsn::FIRST);
        let error = records.find_map(Result::err).unwrap();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
        assert_eq!(error.segment(), Some(Lsn::new(name)), "{name}: {error}");
    }
}
