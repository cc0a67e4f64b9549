//! Every cut and every flipped bit of a small log, in every mode.

use std::collections::BTreeMap;

use crate::support::*;
use wal_core::*;
use wal_recovery::{Inspect, Mode, Recovery, Report, Verdict, Verify};

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Same,
    ShorterAndTorn,
    FoundWhenRead,
    Refused(String),
}

/// Recovers a damaged log in the default mode and judges what came out.
fn judge(image: &Image, whole: &Content, proven: u64, verify: Verify, what: &str) -> Outcome {
    let run = Recovery::new(memory_of(image)).verify(verify).threads(1).run();
    let (recovered, report) = match run {
        Ok(outcome) => outcome,
        Err(error) => {
            use ErrorKind::{Corrupt, NotALog, Unsupported};
            assert!(matches!(error.kind(), Corrupt | NotALog | Unsupported), "{what}: {error}");
            return Outcome::Refused(error.kind().to_string());
        }
    };
    let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
    let found = match try_content(&log) {
        Ok(found) => found,
        Err(error) => {
            assert_eq!((verify, error.kind()), (Verify::Footers, ErrorKind::Corrupt), "{what}");
            return Outcome::FoundWhenRead;
        }
    };
    assert_eq!(found.len() as u64, report.records, "{what}");
    if found == *whole {
        return Outcome::Same;
    }
    assert!(whole.starts_with(&found), "{what}: {found:?}");
    assert_eq!(report.verdict(), Verdict::TornTail, "{what}: {report}");
    assert!(found.last().map_or(0, |(lsn, _)| *lsn) >= proven, "{what}: {report}");
    Outcome::ShorterAndTorn
}

/// The repairing modes must always find a way, and what they leave must be a healthy log.
fn check_repairs(image: &Image, whole: &Content, what: &str) {
    for mode in [Mode::PointInTime, Mode::Salvage] {
        let storage = memory_of(image);
        let (recovered, report) =
            recover(storage.clone(), mode).unwrap_or_else(|e| panic!("{what}, {mode}: {e}"));
        check_repaired(&report, mode, what);
        let next = recovered.next_lsn();
        let found = content(recovered);
        let kept: Content = match mode {
            Mode::PointInTime => whole[..found.len()].to_vec(),
            _ => whole.iter().filter(|r| found.binary_search(r).is_ok()).cloned().collect(),
        };
        assert_eq!(found, kept, "{what}, {mode}");
        let (again, report) = recover(storage, Mode::Strict)
            .unwrap_or_else(|e| panic!("{what}, {mode}, once more: {e}"));
        assert!(report.clean && report.verdict() == Verdict::Clean, "{what}, {mode}: {report}");
        assert_eq!(report.next_lsn, next, "{what}, {mode}");
        let log = Wal::builder(always()).manual_driver().open(again).unwrap();
        assert_eq!(try_content(&log).unwrap(), kept, "{what}, {mode}");
        assert_eq!(log.append(b"more").unwrap(), next, "{what}, {mode}");
        assert_eq!(try_content(&log).unwrap().len(), kept.len() + 1, "{what}, {mode}");
    }
}

fn check_repaired(report: &Report, mode: Mode, what: &str) {
    let fatal = report.damages.iter().any(|damage| damage.is_fatal());
    if !fatal {
        assert!(report.holes.is_empty(), "{what}, {mode}: {report}");
    }
    if fatal && mode == Mode::PointInTime {
        assert!(report.cut.iter().all(|cut| cut.saved_as.is_some()), "{what}: {report}");
    }
    let lost: u64 = report.holes.iter().map(|hole| hole.before.since(hole.after) - 1).sum();
    assert!(lost < 1 << 20, "{what}, {mode}: {report}");
}

fn proven(image: &Image) -> u64 {
    let report = Inspect::new(memory_of(image)).threads(1).run().unwrap();
    assert_eq!(report.verdict(), Verdict::Clean);
    report.durable_proven.get()
}

#[test]
fn every_cut_of_the_last_segment_is_a_torn_tail() {
    let image = three_sessions();
    let whole = content_of(&image);
    let last = *image.keys().next_back().unwrap();
    let mut outcomes = BTreeMap::<_, usize>::new();
    for len in 0..image[&last].len() {
        let mut cut = image.clone();
        cut.get_mut(&last).unwrap().truncate(len);
        let what = format!("cut to {len}");
        if len < format::SEGMENT_HEADER_LEN {
            // A header is there in full or not at all: this is no crash.
            assert_eq!(
                judge(&cut, &whole, 0, Verify::All, &what),
                Outcome::Refused("corrupt".into())
            );
        } else {
            let (recovered, report) = recover(memory_of(&cut), Mode::TornTail).unwrap();
            let found = content(recovered);
            assert!(whole.starts_with(&found) && found.len() >= 8, "{what}");
            let at_frame = report.damages.is_empty();
            *outcomes.entry((at_frame, found.len())).or_default() += 1;
            let strict = recover(memory_of(&cut), Mode::Strict);
            assert_eq!(strict.is_ok(), at_frame, "{what}");
            if let Err(error) = strict {
                assert_eq!(error.kind(), ErrorKind::TornTail);
            }
        }
        check_repairs(&cut, &whole, &what);
    }
    println!("(at a frame's end, records): cuts {outcomes:?}");
    let clean: Vec<usize> = outcomes.keys().filter(|(at, _)| *at).map(|(_, n)| *n).collect();
    assert_eq!(clean, [8, 9, 12, 13], "one clean cut for each frame");
}

#[test]
fn every_cut_of_a_sealed_segment_is_damage() {
    let image = three_sessions();
    let whole = content_of(&image);
    let names: Vec<u64> = image.keys().copied().collect();
    for &name in &names[..2] {
        let footer_at = {
            let report = Inspect::new(memory_of(&image)).run().unwrap();
            let segment = report.segments.iter().find(|s| s.first_lsn.get() == name).unwrap();
            512 + segment.data_bytes as usize
        };
        for len in 0..image[&name].len() {
            let mut cut = image.clone();
            cut.get_mut(&name).unwrap().truncate(len);
            let what = format!("segment {name} cut to {len}");
            let outcome = judge(&cut, &whole, 14, Verify::Footers, &what);
            if len < footer_at {
                assert_eq!(outcome, Outcome::Refused("corrupt".into()), "{what}");
            } else {
                assert_eq!(outcome, Outcome::Same, "{what}");
                let strict = recover(memory_of(&cut), Mode::Strict).map(|_| ());
                assert_eq!(strict.unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
            }
            check_repairs(&cut, &whole, &what);
        }
    }
}

#[test]
fn every_flipped_bit_is_found_or_harmless() {
    let image = three_sessions();
    let whole = content_of(&image);
    let proven = proven(&image);
    assert_eq!(proven, 13);
    let mut outcomes = BTreeMap::<_, usize>::new();
    for (&name, bytes) in &image {
        for bit in 0..bytes.len() * 8 {
            let mut bad = image.clone();
            bad.get_mut(&name).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let what = format!("segment {name}, byte {}, bit {}", bit / 8, bit % 8);
            for verify in [Verify::All, Verify::Footers] {
                let outcome = judge(&bad, &whole, proven, verify, &what);
                *outcomes.entry((format!("{verify:?}"), outcome)).or_default() += 1;
            }
            if bit % 8 == (bit / 8) % 8 {
                check_repairs(&bad, &whole, &what);
            }
        }
    }
    let bits: usize = image.values().map(|bytes| 8 * bytes.len()).sum();
    for verify in ["All", "Footers"] {
        let count = |wanted: fn(&Outcome) -> bool| -> usize {
            let of = outcomes.iter().filter(|((v, outcome), _)| v == verify && wanted(outcome));
            of.map(|(_, count)| count).sum()
        };
        let same = count(|outcome| *outcome == Outcome::Same);
        let torn = count(|outcome| *outcome == Outcome::ShorterAndTorn);
        let read = count(|outcome| *outcome == Outcome::FoundWhenRead);
        let corrupt = count(|outcome| *outcome == Outcome::Refused("corrupt".into()));
        let unsupported = count(|outcome| *outcome == Outcome::Refused("unsupported".into()));
        assert_eq!(same + torn + read + corrupt + unsupported, bits, "{outcomes:?}");
        // A version that is damaged reads as another one: all bits of it but the one that is set.
        assert_eq!(unsupported, 7 * image.len(), "{outcomes:?}");
        // Only in the one frame that no later one proves: header and body of the last record.
        assert_eq!(torn, 8 * (24 + b"fourteen".len()), "{outcomes:?}");
        assert!(same > 0 && corrupt > bits / 2 - read, "{outcomes:?}");
        assert_eq!(read > 0, verify == "Footers", "{outcomes:?}");
    }
}

#[test]
fn flipped_bits_in_a_closed_log_never_shorten_it() {
    let image = three_sessions();
    let storage = memory_of(&image);
    drop(recover(storage.clone(), Mode::TornTail).unwrap());
    let image = image_of(&storage);
    let whole = content_of(&image);
    let last = *image.keys().next_back().unwrap();
    for bit in 0..image[&last].len() * 8 {
        let mut bad = image.clone();
        bad.get_mut(&last).unwrap()[bit / 8] ^= 1 << (bit % 8);
        let what = format!("byte {}, bit {}", bit / 8, bit % 8);
        let outcome = judge(&bad, &whole, 14, Verify::All, &what);
        assert_ne!(outcome, Outcome::ShorterAndTorn, "{what}");
    }
}
