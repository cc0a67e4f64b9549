//! Logs that are ended earlier than they do: at a record, at a time, before their beginning.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::*;
use wal_core::*;
use wal_recovery::{Applied, Mode, Recovery, Until, View};

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

/// Times in seconds at which records are appended, each after the clock was set; a new segment begins where it says.
fn at_times(times: &[(u64, bool)]) -> MemoryStorage {
    #[derive(Clone, Default)]
    struct Set(Arc<AtomicU64>, Arc<AtomicU64>);
    impl Clock for Set {
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.1.fetch_add(1, Ordering::SeqCst))
        }
        fn wall(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::SeqCst) * 1_000_000)
        }
    }
    let (storage, clock) = (MemoryStorage::new(), Set::default());
    let open = |clock: &Set| {
        let (recovered, _) = Recovery::new(storage.clone()).clock(clock.clone()).run().unwrap();
        Wal::builder(always()).clock(clock.clone()).manual_driver().open(recovered).unwrap()
    };
    let mut log = open(&clock);
    for (time, begins) in times {
        if *begins {
            log.close().unwrap();
            drop(log);
            log = open(&clock);
        }
        clock.0.store(*time, Ordering::SeqCst);
        log.append(format!("at {time}").as_bytes()).unwrap();
    }
    log.close().unwrap();
    drop(log);
    storage
}

/// What is kept is everything in front of the first record that is later, however the clock was set.
#[test]
fn an_end_by_time_has_one_meaning_although_the_clock_was_set() {
    let cases: [&[(u64, bool)]; 5] = [
        &[(10, false), (50, true), (20, true), (60, true)],
        &[(10, false), (50, false), (20, false), (60, false)],
        // An hour ahead for a moment, in the middle of a segment and at the beginning of one.
        &[(100, false), (3700, false), (105, false), (110, true), (120, false)],
        &[(100, false), (3700, true), (105, false), (110, false), (3705, true), (120, false)],
        &[(50, false), (40, true), (30, true), (20, true), (10, true)],
    ];
    for times in cases {
        let image = image_of(&at_times(times));
        for until in times.iter().flat_map(|(time, _)| [time - 1, *time, time + 1]) {
            let kept = times.iter().position(|(time, _)| *time > until).unwrap_or(times.len());
            let time = Until::Time(Timestamp::from_micros(until * 1_000_000));
            let recovery = Recovery::new(memory_of(&image)).until(time).threads(1);
            let (recovered, report) = recovery.run().unwrap();
            assert_eq!(report.records as usize, kept, "{times:?} until {until}: {report}");
            assert_eq!(content(recovered).len(), kept, "{times:?} until {until}");
            let view = View::open(memory_of(&image)).unwrap();
            let replayed = view.replay(Lsn::ZERO, time, |_| Ok(Applied::Applied)).unwrap();
            assert_eq!(replayed.total as usize, kept, "{times:?} until {until}");
        }
    }
}
