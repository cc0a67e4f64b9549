//! Ends before the beginning, formats from the future, clocks that were set back.

mod support;

use std::time::Duration;

use support::*;
use wal_core::*;
use wal_recovery::{Applied, Inspect, Mode, Recovery, Until, View};

const MODES: [Mode; 4] = [Mode::Strict, Mode::TornTail, Mode::PointInTime, Mode::Salvage];

/// Ten records in one segment; `change` is done before the log is left as it is.
fn ten(change: impl FnOnce(&Wal)) -> MemoryStorage {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for _ in 0..10 {
        log.append(b"old").unwrap();
    }
    change(&log);
    storage
}

#[test]
fn an_end_before_the_log_begins_is_refused_and_nothing_is_changed() {
    let storage = ten(|log| {
        log.truncate_before(Lsn::new(5)).unwrap();
    });
    let image = image_of(&storage);
    for lsn in [0, 1, 3] {
        let until = Until::Lsn(Lsn::new(lsn));
        let error = Recovery::new(storage.clone()).until(until).run().unwrap_err();
        assert_eq!((error.kind(), error.at_lsn()), (ErrorKind::NotFound, Some(Lsn::new(lsn))));
        assert!(error.to_string().contains("starts at LSN 5"), "{error}");
        assert!(image_of(&storage) == image);
    }
    // To the record before the first one: nothing is left, which is no mistake.
    let run = Recovery::new(storage).until(Until::Lsn(Lsn::new(4))).run();
    assert_eq!(run.unwrap().1.records, 0);
    // A log without records has no beginning that an end could miss.
    let storage = ten(|log| {
        log.truncate_before(Lsn::MAX).unwrap();
    });
    let run = Recovery::new(storage).until(Until::Lsn(Lsn::new(1))).run();
    assert_eq!(run.unwrap().1.next_lsn, Lsn::new(11));
}

/// The footer of a closed log is believed. Whoever looks for a record behind it has to read the frames.
#[test]
fn an_end_is_not_looked_for_among_frames_that_went_astray() {
    let mut image = image_of(&ten(|log| log.close().unwrap()));
    let run = |image: &Image| Recovery::new(memory_of(image)).until(Until::Lsn(Lsn::new(7))).run();
    assert_eq!(run(&image).unwrap().1.next_lsn, Lsn::new(11));
    let segment = image.get_mut(&1).unwrap();
    let offsets = offsets_of(segment, 1);
    segment.copy_within(offsets[2]..offsets[3], offsets[4]);
    let error = run(&image).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains(&format!("offset {}", offsets[4])), "{error}");
}

#[test]
fn a_segment_of_a_newer_format_is_left_alone_in_every_mode() {
    for name in [1, 6, 9] {
        let mut image = three_sessions();
        forge_header(image.get_mut(&name).unwrap(), |header| header[8] = 2);
        let storage = memory_of(&image);
        for mode in MODES {
            let error = recover(storage.clone(), mode).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{mode}: {error}");
        }
        for error in [
            Inspect::new(storage.clone()).run().unwrap_err(),
            View::open(storage.clone()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
        assert!(image_of(&storage) == image);
    }
}

#[test]
fn a_frame_of_a_newer_format_matters_only_where_it_is_read() {
    let storage = ten(|log| {
        log.truncate_after(Lsn::new(4)).unwrap();
        log.append(b"new").unwrap();
    });
    let image = image_of(&storage);
    let offsets = offsets_of(&image[&1], 1);
    for (frame, &offset) in offsets[..10].iter().enumerate() {
        let mut image = image.clone();
        forge(image.get_mut(&1).unwrap(), 1, offset, |bytes| bytes[22] = 3);
        let inspected = Inspect::new(memory_of(&image)).run().map(|report| report.records);
        if frame < 4 {
            assert_eq!(inspected.unwrap_err().kind(), ErrorKind::Unsupported, "frame {frame}");
        } else {
            assert_eq!(inspected.unwrap(), 5, "frame {frame} was truncated");
        }
    }
}

#[test]
fn times_do_not_decrease_although_the_clock_was_set_back() {
    struct Wall(u64);
    impl Clock for Wall {
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn wall(&self) -> Timestamp {
            Timestamp::from_micros(self.0)
        }
    }
    let storage = MemoryStorage::new();
    for wall in [1_000_000, 5_000_000, 2_000_000, 6_000_000] {
        let (recovered, _) = Recovery::new(storage.clone()).clock(Wall(wall)).run().unwrap();
        let log = Wal::builder(always()).clock(Wall(wall)).manual_driver();
        let log = log.open(recovered).unwrap();
        log.append(b"x").unwrap();
        log.close().unwrap();
    }
    let records = View::open(storage.clone()).unwrap().records(Lsn::ZERO);
    let times: Vec<_> = records.map(|entry| entry.unwrap().timestamp.as_micros()).collect();
    assert_eq!(times, [1_000_000, 5_000_000, 5_000_000, 6_000_000]);
    // A replay until a moment takes what was appended at that moment.
    let view = View::open(storage).unwrap().clock(Wall(0)).time_limit(Duration::ZERO);
    for (time, total) in [(999_999, 0), (1_000_000, 1), (5_000_000, 3), (6_000_000, 4)] {
        let until = Until::Time(Timestamp::from_micros(time));
        let report = view.replay(Lsn::ZERO, until, |_| Ok(Applied::Applied)).unwrap();
        assert_eq!((report.total, report.applied), (total, total), "{time}");
    }
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
