//! Salvage corrects a header in which one bit is wrong.

use crate::support::*;
use wal_core::format::{FrameHeader, SEGMENT_HEADER_LEN};
use wal_core::*;
use wal_recovery::{DamageKind, Mode, Verdict};

fn single() -> Image {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    log.append(b"one").unwrap();
    log.append_batch(&[&b"two"[..], b"three"]).unwrap();
    drop(log);
    image_of(&storage)
}

#[test]
fn one_wrong_bit_in_the_only_header_costs_nothing() {
    let image = single();
    let whole = content_of(&image);
    for bit in 0..512 * 8 {
        let mut bad = image.clone();
        bad.get_mut(&1).unwrap()[bit / 8] ^= 1 << (bit % 8);
        let storage = memory_of(&bad);
        // What mends a version is a mode that repairs.
        let repairs = (64..80).contains(&bit);
        let refusing = [Mode::Strict, Mode::TornTail, Mode::PointInTime];
        for mode in refusing.into_iter().take(if repairs { 2 } else { 3 }) {
            let error = recover(storage.clone(), mode).unwrap_err();
            // For those who do not repair it may be of another version.
            let is_version = (64..72).contains(&bit) && bit != 65;
            let kind = if is_version { ErrorKind::Unsupported } else { ErrorKind::Corrupt };
            assert_eq!(error.kind(), kind, "bit {bit}, {mode}");
        }
        assert_eq!(image_of(&storage), bad, "bit {bit}");
        let (recovered, report) = recover(storage.clone(), Mode::Salvage).unwrap();
        assert_eq!(report.verdict(), Verdict::Corrupt, "bit {bit}: {report}");
        assert_eq!(report.damages[0].kind, DamageKind::Header);
        let at = if repairs { 8 } else { bit as u64 / 8 };
        assert_eq!(report.damages[0].offset, at, "{report}");
        assert!(report.cut[0].saved_as.is_some() && report.holes.is_empty(), "{report}");
        assert_eq!(content(recovered), whole, "bit {bit}");
        assert_eq!(recover(storage, Mode::Strict).unwrap().1.verdict(), Verdict::Clean);
    }
}

#[test]
fn the_headers_of_all_segments_are_corrected_and_an_empty_one_too() {
    let mut image = three_sessions();
    let whole = content_of(&image);
    for (name, bytes) in &mut image {
        bytes[*name as usize + 20] ^= 4;
    }
    let (recovered, report) = recover(memory_of(&image), Mode::Salvage).unwrap();
    assert_eq!((report.damages.len(), report.holes.len()), (3, 0), "{report}");
    assert_eq!(content(recovered), whole);

    let mut empty = single();
    empty.get_mut(&1).unwrap().truncate(512);
    empty.get_mut(&1).unwrap()[33] ^= 1;
    let (recovered, _) = recover(memory_of(&empty), Mode::Salvage).unwrap();
    assert!(content(recovered).is_empty());
}

#[test]
fn what_cannot_be_corrected_is_told_by_the_frames() {
    // Two bits; and one bit of the header with the first frame damaged as well.
    for (bits, lost) in [([20, 21], 0), ([20, 524], 1)] {
        let mut image = single();
        let whole = content_of(&image);
        for at in bits {
            image.get_mut(&1).unwrap()[at] ^= 1;
        }
        let (recovered, report) = recover(memory_of(&image), Mode::Salvage).unwrap();
        let expected = whole.len().saturating_sub(lost);
        assert_eq!(content(recovered), whole[whole.len() - expected..], "{bits:?}: {report}");
        assert_eq!(report.holes.len(), lost, "{bits:?}: {report}");
    }
}

#[test]
fn a_frame_in_the_wrong_place_confirms_nothing() {
    let mut image = single();
    let bytes = image.get_mut(&1).unwrap();
    let behind = |at: usize| at + FrameHeader::decode(&bytes[at..]).frame_len() as usize;
    let second = behind(SEGMENT_HEADER_LEN);
    let stray = second..behind(second);
    bytes.copy_within(stray, SEGMENT_HEADER_LEN);
    // Under the right header it is a valid frame, of other records than those due here.
    let (_, report) = recover(memory_of(&image), Mode::Salvage).unwrap();
    assert!(report.to_string().contains("a valid frame of LSN 2"), "{report}");

    // Nor does it confirm a header. The frames behind it do, and it is left out as before.
    let (before, _) = recover(memory_of(&image), Mode::Salvage).unwrap();
    image.get_mut(&1).unwrap()[20] ^= 1;
    let (recovered, report) = recover(memory_of(&image), Mode::Salvage).unwrap();
    assert!(report.damages[0].reason.contains("made anew"), "{report}");
    assert_eq!(content(recovered), content(before), "{report}");
}

#[test]
fn a_power_failure_at_any_moment_leaves_what_can_still_be_corrected() {
    let mut image = three_sessions();
    let whole = content_of(&image);
    for bytes in image.values_mut() {
        bytes[40] ^= 0x40;
    }
    for effective in [false, true] {
        for changes in 0.. {
            let storage = memory_of(&image);
            let fading = Fading::new(storage.clone(), changes, effective);
            let outcome = recover(fading.clone(), Mode::Salvage).map(|_| ());
            let (recovered, _) = recover(storage, Mode::Salvage).unwrap();
            assert_eq!(content(recovered), whole, "after {changes} changes");
            if !fading.is_dead() {
                outcome.unwrap();
                break;
            }
        }
    }
}

/// A version that is damaged reads as another one, with which nothing could be done.
#[test]
fn a_damaged_version_is_mended_by_every_mode_that_repairs_whatever_it_became() {
    let image = three_sessions();
    let whole = content_of(&image);
    for (at, value) in (0..=255).map(|value| (8, value)).chain([(9, 1), (9, 255)]) {
        let mut bad = image.clone();
        if std::mem::replace(&mut bad.get_mut(&6).unwrap()[at], value) == value {
            continue;
        }
        for mode in [Mode::Strict, Mode::TornTail] {
            let storage = memory_of(&bad);
            recover(storage.clone(), mode).unwrap_err();
            assert_eq!(image_of(&storage), bad, "byte {at} is {value}, {mode}");
        }
        for mode in [Mode::PointInTime, Mode::Salvage] {
            let (recovered, report) = recover(memory_of(&bad), mode).unwrap();
            assert_eq!(report.damages[0].kind, DamageKind::Header, "{report}");
            assert!(report.damages[0].reason.contains("the version was corrected"), "{report}");
            assert_eq!(content(recovered), whole, "byte {at} is {value}, {mode}");
        }
    }
}

/// What a newer build put there would be lost.
#[test]
fn nothing_is_mended_beside_a_segment_that_this_build_must_not_write_to() {
    type Change = fn(&mut Image);
    let changes: [Change; 4] = [
        // A feature, in another segment and in the one that is damaged; a version; a feature that is needed to read.
        |image| forge_header(image.get_mut(&1).unwrap(), |header| header[80] = 1),
        |image| {
            forge_header(image.get_mut(&6).unwrap(), |header| (header[80], header[300]) = (1, 7));
        },
        |image| forge_header(image.get_mut(&9).unwrap(), |header| header[8] = 3),
        |image| forge_header(image.get_mut(&1).unwrap(), |header| header[76] = 1),
    ];
    for change in changes {
        let mut image = three_sessions();
        change(&mut image);
        for at in [20, 300] {
            let mut bad = image.clone();
            bad.get_mut(&6).unwrap()[at] ^= 2;
            for mode in [Mode::Strict, Mode::TornTail, Mode::PointInTime, Mode::Salvage] {
                let storage = memory_of(&bad);
                let error = recover(storage.clone(), mode).unwrap_err();
                if mode == Mode::Salvage {
                    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                }
                assert!(image_of(&storage) == bad, "{mode} changed something");
            }
        }
    }
}
