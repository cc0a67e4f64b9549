//! Logs that are ended earlier than they do: at a record, at a time, before their beginning.

use crate::support::*;
use wal_core::*;
use wal_recovery::{Mode, Recovery, Until};

fn times(image: &Image) -> Vec<Timestamp> {
    let (recovered, _) = recover(memory_of(image), Mode::Strict).unwrap();
    let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
    log.iter(Lsn::ZERO).unwrap().map(|entry| entry.unwrap().timestamp).collect()
}

#[test]
fn an_end_in_time_keeps_what_was_appended_until_then() {
    let image = image_of(&by_time(4, 5));
    let times = times(&image);
    assert_eq!(times.len(), 20);
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    let before = Timestamp::from_micros(times[0].as_micros() - 1);
    for (kept, time) in std::iter::once(&before).chain(&times).enumerate() {
        for shift in [0, 1] {
            let storage = memory_of(&image);
            let until = Until::Time(Timestamp::from_micros(time.as_micros() + shift));
            // Just before the first record, or at each of them.
            let kept = if kept == 0 { shift as usize } else { kept };
            let (recovered, report) =
                Recovery::new(storage.clone()).until(until).threads(2).run().unwrap();
            assert_eq!((report.records, report.next_lsn), (kept as u64, Lsn::new(21)), "{report}");
            drop(recovered);
            let (recovered, _) = recover(storage, Mode::Strict).unwrap();
            assert_eq!(content(recovered).len(), kept);
        }
    }
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
        assert_eq!((error.kind(), error.lsn()), (ErrorKind::NotInLog, Some(Lsn::new(lsn))));
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
