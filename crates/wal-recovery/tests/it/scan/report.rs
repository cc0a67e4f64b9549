//! What a report says of the whole log, as values and as text; and the names of modes.

use std::time::Duration;

use crate::support::*;
use wal_core::*;
use wal_recovery::{Inspect, Mode, Recovery, Report, SegmentState, Verdict};

fn inspect(storage: impl LogStorage) -> Report {
    Inspect::new(storage).threads(1).run().unwrap()
}

/// The lines of a report by their first word.
fn lines(report: &Report, word: &str) -> Vec<String> {
    let text = report.to_string();
    let lines = text.lines().filter_map(|line| line.strip_prefix(word));
    lines.map(|line| line.trim_start().to_owned()).collect()
}

#[test]
fn a_log_is_described_by_what_it_holds_now() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for i in 0..20 {
        log.append(&[i; 300]).unwrap();
    }
    log.truncate_before(Lsn::new(4)).unwrap();
    log.truncate_after(Lsn::new(17)).unwrap();
    log.close().unwrap();
    let report = inspect(storage.clone());
    assert_eq!(report.log_id, Some(log.log_id().to_string()));
    assert_eq!(report.codec, Some(CodecId::RAW));
    assert_eq!((report.first_lsn, report.last_lsn), (Lsn::new(4), Lsn::new(17)));
    assert_eq!((report.next_lsn, report.records), (Lsn::new(21), 14));
    // 1 to 3 at the front and the one or more behind 17 that share a segment with what is left.
    let held: u64 = report.segments.iter().map(|segment| segment.records).sum();
    assert_eq!(report.skipped, held - 14);
    assert!(report.skipped >= 4, "{report}");
    assert_eq!(lines(&report, "log"), [format!("{} (codec raw)", log.log_id())]);
    assert_eq!(lines(&report, "verdict"), ["clean, closed cleanly"]);
    assert_eq!(lines(&report, "records"), ["14 (LSN 4 to 17); the next is LSN 21"]);
    assert_eq!(lines(&report, "left out"), [format!("{} records", report.skipped)]);
    for word in ["rewritten", "damage", "cut", "hole", "foreign"] {
        assert!(lines(&report, word).is_empty(), "{report}");
    }
}

#[test]
fn an_empty_place_is_described_as_such() {
    let report = inspect(MemoryStorage::new());
    assert_eq!(lines(&report, "log"), ["none yet"]);
    assert_eq!(lines(&report, "records"), ["none; the next is LSN 1"]);
    assert!(lines(&report, "left out").is_empty());
}

#[test]
fn a_segment_without_its_footer_is_told_from_a_corrupt_one() {
    let mut image = three_sessions();
    let first = image.get_mut(&1).unwrap();
    first.truncate(first.len() - 1);
    let report = inspect(memory_of(&image));
    assert_eq!(report.segments[0].state, SegmentState::Footer);
    assert_eq!((report.verdict(), report.records), (Verdict::Corrupt, 14), "{report}");
    assert!(!report.damages[0].is_fatal());
    assert_eq!(lines(&report, "damage").len(), 1);
}

#[test]
fn copies_and_holes_are_lines_of_their_own() {
    let mut image = three_sessions();
    image.get_mut(&6).unwrap()[534] ^= 1;
    let (_, report) = recover(memory_of(&image), Mode::Salvage).unwrap();
    let [cut] = &lines(&report, "cut")[..] else { panic!("{report}") };
    assert!(cut.contains("of segment 6 at offset 0, saved as "), "{report}");
    let [hole] = &lines(&report, "hole")[..] else { panic!("{report}") };
    assert!(hole.starts_with("between LSN 5 and LSN 8: "), "{report}");
}

#[test]
fn modes_are_read_by_their_names() {
    for mode in [Mode::Strict, Mode::TornTail, Mode::PointInTime, Mode::Salvage] {
        assert_eq!(mode.to_string().parse::<Mode>().unwrap(), mode);
    }
    assert_eq!("point-in-time".parse::<Mode>().unwrap(), Mode::PointInTime);
    let error = "Strict".parse::<Mode>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("strict, torn-tail, point-in-time, salvage"), "{error}");
}

#[test]
fn a_recovery_reports_what_was_left_out_and_how_long_it_took() {
    let recover = |storage: MemoryStorage| {
        Recovery::new(storage).clock(Ticking::default()).threads(1).run().unwrap().1
    };
    let report = recover(MemoryStorage::new());
    assert!(report.elapsed >= Duration::from_secs(1));
    let report = recover(ten(|log| {
        log.truncate_after(Lsn::new(4)).unwrap();
    }));
    assert!(report.elapsed >= Duration::from_secs(1));
    assert_eq!((report.records, report.skipped), (4, 6), "{report}");
}
