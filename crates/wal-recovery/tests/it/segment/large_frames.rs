//! Large frames and large segments: what is longer than a window, and how its scan is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::*;
use wal_core::*;
use wal_recovery::{DamageKind, Inspect, Mode, Progress, Recovery, Report, Verdict};

/// A log in one segment, every record durable before the next one.
fn one_segment(records: &[Vec<u8>]) -> Image {
    let storage = MemoryStorage::new();
    let log = Wal::builder(always()).manual_driver();
    let log = log.open(storage.clone().into_empty_log().unwrap()).unwrap();
    for record in records {
        log.append(record).unwrap();
    }
    drop(log);
    image_of(&storage)
}

fn inspect(image: &Image) -> Report {
    Inspect::new(memory_of(image)).threads(1).run().unwrap()
}

#[test]
fn a_frame_longer_than_a_window_proves_as_well_as_a_short_one() {
    for len in [10, (1 << 20) - 24, 1 << 20, (1 << 20) + 1, (3 << 20) + 77] {
        let mut image = one_segment(&[b"damaged".to_vec(), vec![7; len]]);
        let offsets = offsets_of(&image[&1], 1);
        image.get_mut(&1).unwrap()[offsets[0] + 24] ^= 1;
        let report = inspect(&image);
        assert_eq!(report.damages.len(), 1, "{len}: {report}");
        let damage = &report.damages[0];
        assert_eq!((damage.kind, damage.lsn), (DamageKind::Corrupt, Lsn::FIRST), "{len}: {report}");
        assert_eq!(damage.bytes, (offsets[1] - offsets[0]) as u64, "{len}: {report}");
        // Unless it is damaged itself, wherever that is: then nothing is proven.
        for at in [offsets[1] + 24, offsets[2] - 1] {
            let mut image = image.clone();
            image.get_mut(&1).unwrap()[at] ^= 1;
            let report = inspect(&image);
            assert_eq!(report.verdict(), Verdict::TornTail, "{len}: {report}");
            assert_eq!(report.damages[0].bytes, (offsets[2] - offsets[0]) as u64, "{len}");
        }
    }
}

#[test]
fn a_proof_is_found_wherever_it_begins() {
    // Around the border of the first window that is searched.
    for shift in [-30_i32, -25, -24, -23, -12, -1, 0, 1, 30] {
        let len = ((1 << 20) + shift) as usize - 2 * 24 - 1;
        let records = [vec![1; 1], vec![7; len], b"proof".to_vec()];
        let mut image = one_segment(&records);
        let offsets = offsets_of(&image[&1], 1);
        for frame in [0, 1] {
            image.get_mut(&1).unwrap()[offsets[frame] + 24] ^= 1;
        }
        let report = inspect(&image);
        assert_eq!(report.verdict(), Verdict::Corrupt, "{shift}: {report}");
        assert_eq!(report.damages[0].bytes, (offsets[2] - offsets[0]) as u64, "{shift}: {report}");
    }
}

#[test]
fn the_scan_of_a_large_segment_tells_of_its_progress() {
    let image = one_segment(&vec![vec![7; 1000]; 5000]);
    let seen = Arc::new(Mutex::new(Vec::<Progress>::new()));
    let tell = seen.clone();
    let inspect = Inspect::new(memory_of(&image)).threads(1);
    let report = inspect.progress(move |p| tell.lock().unwrap().push(*p)).run().unwrap();
    assert_eq!(report.records, 5000);
    let seen = seen.lock().unwrap();
    let steps = seen.windows(2).map(|pair| {
        let records = pair[1].records.saturating_sub(pair[0].records);
        (pair[1].bytes_done.saturating_sub(pair[0].bytes_done), records)
    });
    let steps: Vec<_> = steps.filter(|step| *step != (0, 0)).collect();
    assert!((18..30).contains(&steps.len()), "{steps:?}");
    assert!(steps.iter().all(|(bytes, _)| *bytes < 300 << 10), "{steps:?}");
    assert_eq!(steps.iter().map(|(_, records)| records).sum::<u64>(), 5000);
    let last = seen.last().unwrap();
    assert_eq!((last.records, last.segments_done), (5000, 1));
}

#[test]
fn no_time_limit_stops_a_recovery_that_has_begun_to_change_something() {
    let mut image = three_sessions();
    image.get_mut(&6).unwrap()[534] ^= 1;
    for mode in [Mode::PointInTime, Mode::Salvage] {
        let mut refused = 0;
        for seconds in 0.. {
            let storage = memory_of(&image);
            let recovery = Recovery::new(storage.clone()).mode(mode).threads(1);
            let recovery = recovery.verify(wal_recovery::Verify::All).clock(Ticking::default());
            match recovery.time_limit(Duration::from_secs(seconds)).run() {
                Ok((_, report)) => {
                    assert!(report.elapsed > Duration::from_secs(seconds), "{mode}: {report}");
                    break;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::TimedOut, "{mode}: {error}");
                    assert_eq!(image_of(&storage), image, "{mode}: after {seconds} seconds");
                    refused += 1;
                }
            }
        }
        assert!(refused > 5, "{mode}: {refused}");
    }
}
