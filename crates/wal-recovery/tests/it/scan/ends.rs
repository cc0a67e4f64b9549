//! What may be missing in front of a log and behind it.

use crate::support::*;
use wal_core::*;
use wal_recovery::{FindingKind, Inspect, Mode, Report, Verdict, Verify};

/// A log of many segments, written in one session and closed, or not.
fn many(close: bool) -> Image {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for _ in 0..20 {
        log.append(&[7; 1000]).unwrap();
    }
    if close {
        log.close().unwrap();
    } else {
        drop(log);
    }
    let image = image_of(&storage);
    assert!(image.len() > 5);
    image
}

fn without(image: &Image, names: impl Iterator<Item = u64>) -> Image {
    let mut image = image.clone();
    names.for_each(|name| drop(image.remove(&name)));
    image
}

fn look(image: &Image) -> Report {
    let report = Inspect::new(memory_of(image)).run().unwrap();
    let quick = Inspect::new(memory_of(image)).verify(Verify::Footers).run().unwrap();
    assert_eq!(report.findings, quick.findings);
    report
}

#[test]
fn a_missing_end_is_found_unless_what_is_left_was_closed() {
    for close in [false, true] {
        let image = many(close);
        assert_eq!(look(&image).verdict(), Verdict::Clean);
        let names: Vec<u64> = image.keys().copied().collect();
        for left in 1..names.len() {
            let copy = without(&image, names[left..].iter().copied());
            let report = look(&copy);
            assert_eq!(report.verdict(), Verdict::Incomplete, "{report}");
            assert!(!report.clean, "{report}");
            let [finding] = &report.findings[..] else { panic!("{report}") };
            let place = (finding.kind, finding.segment.get(), finding.lsn.get());
            assert_eq!(place, (FindingKind::End, names[left - 1], names[left]), "{report}");
            assert!(finding.reason.contains("crash"), "it may be one: {finding}");
            // It is no reason to refuse anything.
            for mode in [Mode::Strict, Mode::TornTail, Mode::PointInTime, Mode::Salvage] {
                let (_, report) = recover(memory_of(&copy), mode).unwrap();
                assert_eq!(report.verdict(), Verdict::Incomplete, "{mode}: {report}");
            }
        }
    }
    // Sessions that were closed: nothing in what is left says that there was another one.
    let image = three_sessions();
    assert_eq!(look(&without(&image, 9..10)).verdict(), Verdict::Clean);
}

#[test]
fn a_missing_front_is_found() {
    let image = many(true);
    let names: Vec<u64> = image.keys().copied().collect();
    for gone in 1..names.len() {
        let copy = without(&image, names[..gone].iter().copied());
        let report = look(&copy);
        assert_eq!(report.verdict(), Verdict::Incomplete, "{report}");
        let [finding] = &report.findings[..] else { panic!("{report}") };
        let place = (finding.kind, finding.segment.get(), finding.lsn.get());
        assert_eq!(place, (FindingKind::Front, names[gone], 1), "{report}");
        assert!(recover(memory_of(&copy), Mode::Strict).is_ok());
    }
    // In the middle a record is known to be missing. That is damage.
    let report = look(&without(&image, names[2..3].iter().copied()));
    assert_eq!(report.verdict(), Verdict::Corrupt, "{report}");
    assert!(report.findings.is_empty(), "{report}");
}

#[test]
fn a_front_that_was_truncated_is_not_missing() {
    for before in 2..=21 {
        let storage = memory_of(&many(true));
        let log = open(storage.clone());
        assert_eq!(log.truncate_before(Lsn::new(before)).unwrap(), Lsn::new(before));
        // Also while it is open, when it was killed, and when it was closed.
        assert_eq!(look(&image_of(&storage)).findings, [], "{before}");
        drop(log);
        let killed = memory_of(&image_of(&storage));
        let (_, report) = recover(killed.clone(), Mode::TornTail).unwrap();
        assert_eq!(report.first_lsn, Lsn::new(before), "{report}");
        assert_eq!(look(&image_of(&killed)).findings, [], "{before}");
        open(storage.clone()).close().unwrap();
        let image = image_of(&storage);
        assert_eq!(look(&image).verdict(), Verdict::Clean, "{before}");
        // And what is missing besides is found.
        let oldest = *image.keys().next().unwrap();
        if image.len() > 2 {
            let findings = look(&without(&image, oldest..oldest + 1)).findings;
            assert_eq!(findings.len(), 1, "{before}");
            assert_eq!(findings[0].lsn, Lsn::new(before), "{before}");
        }
    }
}

#[test]
fn what_a_repair_takes_out_is_not_missing() {
    let image = many(true);
    for mode in [Mode::PointInTime, Mode::Salvage] {
        for &name in image.keys() {
            let mut image = image.clone();
            image.get_mut(&name).unwrap()[..600].fill(0);
            let storage = memory_of(&image);
            let (recovered, _) = recover(storage.clone(), mode).unwrap();
            drop(recovered);
            let report = look(&image_of(&storage));
            assert_eq!(report.verdict(), Verdict::Clean, "{mode}, {name}: {report}");
        }
    }
}
