//! The search behind a bad place: where its windows meet, what it may cost, and what is inside a frame.

use crate::support::*;
use wal_core::format::{FRAME_HEADER_LEN, Flags, FrameHeader, FrameKind, LogId, Owner, Salt};
use wal_core::*;
use wal_recovery::{Inspect, Report, Verdict};

/// How much a search reads at once.
const WINDOW: usize = 1 << 20;

/// One segment, as `write` leaves it. Bodies are made of 16s, which no frame's kind is.
fn log(write: impl FnOnce(&Wal)) -> Image {
    let storage = MemoryStorage::new();
    let log = Wal::builder(lazy()).manual_driver();
    let log = log.open(storage.clone().into_empty_log().unwrap()).unwrap();
    write(&log);
    drop(log);
    image_of(&storage)
}

/// What is found after a bit of the first record was flipped.
fn inspect_without_the_first(image: &Image) -> Report {
    let mut image = image.clone();
    image.get_mut(&1).unwrap()[512 + FRAME_HEADER_LEN] ^= 1;
    inspect(&image)
}

fn inspect(image: &Image) -> Report {
    Inspect::new(memory_of(image)).threads(1).run().unwrap()
}

#[test]
fn an_empty_record_at_the_very_end_proves_what_is_before_it() {
    // At 48 bytes less the proof is all that the second window holds.
    for less in 46..50 {
        let image = log(|log| {
            log.append(&vec![16; WINDOW + 1 - less]).unwrap();
            log.sync().unwrap();
            log.append(b"").unwrap();
        });
        let report = inspect_without_the_first(&image);
        assert_eq!(report.verdict(), Verdict::Corrupt, "{less}: {report}");
        let end = image[&1].len() - FRAME_HEADER_LEN;
        assert_eq!(report.damages[0].bytes, (end - 512) as u64, "{less}: {report}");
    }
}

/// Bytes that add up to nothing are not zeros.
#[test]
fn a_proof_is_found_in_a_block_whose_bytes_cancel_each_other_out() {
    let mut image = log(|log| {
        // The search goes in steps of 64 bytes from the first frame's flags on: so the second frame
        // begins with such a step.
        log.append(&[16; 127]).unwrap();
        log.sync().unwrap();
        log.append(&[16; 60]).unwrap();
    });
    let bytes = image.get_mut(&1).unwrap();
    let second = offsets_of(bytes, 1)[1];
    // One byte of the block and one behind it, as a checksum keeps the parity of what it covers.
    let cancels = (0..=u16::MAX).any(|filling| {
        forge(bytes, 1, second, |frame| [frame[24], frame[80]] = filling.to_le_bytes());
        bytes[second..second + 64].iter().fold(0, |all, byte| all ^ byte) == 0
    });
    assert!(cancels);
    let report = inspect_without_the_first(&image);
    assert_eq!(report.verdict(), Verdict::Corrupt, "{report}");
    assert_eq!(report.damages[0].bytes, (second - 512) as u64, "{report}");
}

#[test]
fn a_torn_tail_reaches_to_the_end_of_its_last_whole_frame() {
    for zeros in [0, 100] {
        let image = log(|log| {
            log.append(b"short").unwrap();
            log.append(&[vec![16; 500], vec![0; zeros]].concat()).unwrap();
        });
        let report = inspect_without_the_first(&image);
        assert_eq!(report.verdict(), Verdict::TornTail, "{report}");
        let damage = &report.damages[0];
        assert_eq!(damage.bytes, (image[&1].len() - 512) as u64, "{report}");
        assert!(damage.reason.contains("the frame of LSN 2 at offset 541"), "{report}");
    }
}

/// A record may hold what reads like a frame of this very log, checksum included.
#[test]
fn what_is_inside_a_whole_frame_proves_nothing_however_long_the_frame_is() {
    let mut image = log(|log| {
        log.append(b"short").unwrap();
        log.append(&vec![16; WINDOW + 4096]).unwrap();
    });
    let header = header_of(&image[&1], 1);
    let salt = header.salt();
    let bytes = image.get_mut(&1).unwrap();
    let second = offsets_of(bytes, 1)[1];
    let body = [16; 10];
    let inner = FrameHeader {
        crc: 0,
        body_len: body.len() as u32,
        lsn_delta: 2,
        durable_lag: 0,
        time_delta: FrameHeader::decode(&bytes[second..]).time_delta,
        kind: FrameKind::Data as u8,
        flags: Flags::default(),
    };
    let inner = [&inner.seal(crc32c::crc32c(&body), salt)[..], &body].concat();
    forge(bytes, 1, second, |frame| {
        let at = frame.len() - 200;
        frame[at..at + inner.len()].copy_from_slice(&inner);
    });
    let report = inspect_without_the_first(&image);
    assert_eq!(report.verdict(), Verdict::TornTail, "{report}");
    // If the frame around it is gone as well, it is a frame like any other.
    image.get_mut(&1).unwrap()[second + FRAME_HEADER_LEN] ^= 1;
    assert_eq!(inspect_without_the_first(&image).verdict(), Verdict::Corrupt);
}

#[test]
fn a_proof_is_found_behind_a_frame_that_is_longer_than_a_window() {
    for len in [WINDOW - 100, WINDOW, 2 * WINDOW + 77] {
        let image = log(|log| {
            log.append(b"short").unwrap();
            log.append(&vec![16; len]).unwrap();
            log.sync().unwrap();
            log.append(b"proof").unwrap();
        });
        let report = inspect_without_the_first(&image);
        assert_eq!(report.verdict(), Verdict::Corrupt, "{len}: {report}");
        let proof = offsets_of(&image[&1], 1)[2];
        assert_eq!(report.damages[0].bytes, (proof - 512) as u64, "{len}: {report}");
    }
}

/// Three records, and behind them two MiB that begin with frame headers, each of which claims all
/// the rest for its body.
fn claims(count: usize, durable_lag: u32) -> Image {
    let mut image = log(|log| {
        for _ in 0..3 {
            log.append(b"true").unwrap();
        }
    });
    let bytes = image.get_mut(&1).unwrap();
    for at in (0..count).map(|n| n * FRAME_HEADER_LEN) {
        let claim = FrameHeader {
            crc: 0,
            body_len: (2 * WINDOW - at - FRAME_HEADER_LEN) as u32,
            lsn_delta: 4,
            durable_lag,
            time_delta: FrameHeader::TIME_DELTA_MAX,
            kind: FrameKind::Data as u8,
            flags: Flags::default(),
        };
        bytes.extend_from_slice(&claim.seal(7, Salt::new(LogId([1; 16]), Owner::default(), 77)));
    }
    bytes.resize(bytes.len() + 2 * WINDOW - count * FRAME_HEADER_LEN, 16);
    image
}

#[test]
fn claims_are_checked_up_to_a_bound_and_those_that_would_prove_nothing_to_a_narrower_one() {
    const MIB: u64 = 1 << 20;
    // Ten long claims can be refuted, so they are.
    let report = inspect(&claims(10, 0));
    assert_eq!((report.verdict(), report.records), (Verdict::TornTail, 3), "{report}");
    assert!((20 * MIB..24 * MIB).contains(&report.bytes_scanned), "{report}");
    // Too many of them are damage: one may be true.
    let report = inspect(&claims(30, 0));
    assert_eq!(report.verdict(), Verdict::Corrupt, "{report}");
    assert!(report.damages[0].reason.contains("look like frames"), "{report}");
    assert!((32 * MIB..36 * MIB).contains(&report.bytes_scanned), "{report}");
    // What proves nothing even if it is true costs next to nothing.
    let report = inspect(&claims(30, 9));
    assert_eq!((report.verdict(), report.records), (Verdict::TornTail, 3), "{report}");
    assert!((3 * MIB..6 * MIB).contains(&report.bytes_scanned), "{report}");
}

/// The next record can only be written right behind the last one, or behind padding.
#[test]
fn a_frame_of_the_next_record_was_torn_off_here_only_if_padding_was_between() {
    let three = |synced: bool| {
        log(|log| {
            log.append(b"record").unwrap();
            log.append(b"record").unwrap();
            if synced {
                log.sync().unwrap();
            }
            log.append(b"record").unwrap();
        })
    };
    let moved_by = |bytes: usize, synced: bool| {
        // One frame of 256 begins with a zero, which would make a whole blank of 23 zeros in front of it.
        let begins = |image: &Image| image[&1][offsets_of(&image[&1], 1)[2]];
        let images = std::iter::repeat_with(|| three(synced));
        let mut image = images.take(20).find(|image| begins(image) != 0).expect("not each time");
        let segment = image.get_mut(&1).unwrap();
        let third = offsets_of(segment, 1)[2];
        segment.splice(third..third, vec![0; bytes]);
        let report = inspect(&image);
        assert_eq!(report.records, 2, "{report}");
        (report.verdict(), report.damages[0].reason.contains("the frame of LSN 3"))
    };
    for synced in [false, true] {
        assert_eq!(moved_by(FRAME_HEADER_LEN - 1, synced), (Verdict::TornTail, false));
    }
    // Of two writes the later one alone reached the disk.
    assert_eq!(moved_by(FRAME_HEADER_LEN, false), (Verdict::TornTail, true));
    // But padding in front of which all was durable had been so, too.
    assert_eq!(moved_by(FRAME_HEADER_LEN, true), (Verdict::Corrupt, true));
}
