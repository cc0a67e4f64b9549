//! Threads, limits, progress, how closely to look; and that a look changes nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::*;
use wal_core::*;
use wal_recovery::{DamageKind, Inspect, Mode, Progress, Recovery, SegmentState, Verdict, Verify};

#[test]
fn several_threads_find_what_one_does() {
    let mut image = image_of(&by_time(12, 30));
    let names: Vec<u64> = image.keys().copied().collect();
    assert!(names.len() >= 12);
    for name in [names[2], names[7], names[8]] {
        image.get_mut(&name).unwrap()[684] ^= 1;
    }
    let look = |threads| {
        let mut report = Inspect::new(memory_of(&image)).threads(threads).run().unwrap();
        report.elapsed = Duration::ZERO;
        report
    };
    let alone = look(1);
    assert_eq!(alone.damages.len(), 3);
    for threads in [2, 3, 16] {
        assert_eq!(format!("{:?}", look(threads)), format!("{alone:?}"));
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
fn a_log_of_another_codec_is_refused_before_its_torn_tail_is_cut() {
    let mut image = three_sessions();
    image.get_mut(&9).unwrap().truncate(574);
    let modes = [Mode::Strict, Mode::TornTail, Mode::PointInTime, Mode::Salvage];
    let run = |storage: MemoryStorage, mode, codec| {
        Recovery::new(storage).mode(mode).codec(codec).threads(1).run()
    };
    for mode in modes {
        let storage = memory_of(&image);
        let error = run(storage.clone(), mode, CodecId::JSON).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CodecMismatch, "{mode:?}: {error}");
        let told = "memory was written with codec raw, it is to be opened with json";
        assert!(error.detail().contains(told), "{error}");
        assert_eq!(image_of(&storage), image, "{mode:?}");
        // No lock stays behind, and there was something to repair.
        match run(storage, mode, CodecId::RAW) {
            Ok((_, report)) => assert_eq!(report.verdict(), Verdict::TornTail, "{report}"),
            Err(error) => assert_eq!((mode, error.kind()), (Mode::Strict, ErrorKind::TornTail)),
        }
    }
    assert!(run(MemoryStorage::new(), Mode::Strict, CodecId::JSON).is_ok(), "a new log");
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
    image.get_mut(&6).unwrap()[524] ^= 1;
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
    #[cfg(feature = "serde")]
    {
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["segments"][2]["state"], "torn");
        assert_eq!(json["damages"][0]["kind"], "corrupt");
    }
}
