//! A reader that waits behind a log is not fooled by what somebody puts into its place.

use std::path::Path;
use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use wal_core::*;
use wal_fs::FileStorage;
use wal_recovery::{Mode, Records, Recovery, Verify, View};

use super::rest;

/// A log in memory, and what can be put in its place.
fn put(storage: &MemoryStorage, image: &Image) {
    let names = storage.list().wait().unwrap().segments;
    storage.remove(&names).wait().unwrap();
    for (&name, bytes) in image {
        let (name, len) = (Lsn::new(name), bytes.len() as u64);
        let data = Bytes::copy_from_slice(bytes);
        storage.create(name, data, len, Publish::New).wait().unwrap();
    }
}

/// Appends records that say which log they are of.
fn fill(log: &Wal, of: &str, records: u64) {
    for n in 1..=records {
        log.append(format!("{of}, record {n}").as_bytes()).unwrap();
    }
}

/// One that was told so goes on telling nothing.
#[track_caller]
fn assert_replaced(records: &mut Records, what: &str) {
    let error = records.next().expect("an error").expect_err("not a record");
    assert_eq!(error.kind(), ErrorKind::Replaced, "{error}");
    assert!(error.to_string().contains(what), "{error} should say {what:?}");
    assert!(records.next().is_none());
}

/// Readers that have read everything: one of all records, one that steps over damage.
fn readers(storage: &MemoryStorage) -> [Records; 2] {
    [false, true].map(|skip| {
        let view = View::open(storage.clone()).unwrap().skip_corrupted(skip);
        let mut records = view.records(Lsn::ZERO);
        assert!(!rest(&mut records).is_empty());
        records
    })
}

fn new_log(of: &str, records: u64) -> Image {
    let storage = MemoryStorage::new();
    fill(&open(storage.clone()), of, records);
    image_of(&storage)
}

#[test]
fn a_log_that_was_wiped_and_begun_anew_does_not_follow() {
    // Shorter than what was read, as long, longer; in one segment and in many.
    for (old, new) in [(10, 3), (10, 10), (10, 30), (400, 30), (10, 400), (400, 500)] {
        let storage = memory_of(&new_log("old", old));
        let mut readers = readers(&storage);
        put(&storage, &new_log("new", new));
        for reader in &mut readers {
            assert_replaced(reader, "was read");
        }
    }
}

#[test]
fn a_log_that_is_gone_does_not_come_back_as_another_one() {
    let storage = memory_of(&new_log("old", 10));
    let mut readers = readers(&storage);
    put(&storage, &Image::new());
    for reader in &mut readers {
        assert_replaced(reader, "no segment of the log is there any more; record 10 was the last");
    }
    // Who waits for a log that is yet to come is not fooled either once it was there.
    let storage = MemoryStorage::new();
    let mut waiting = View::open(storage.clone()).unwrap().records(Lsn::new(7));
    assert!(waiting.next().is_none());
    put(&storage, &new_log("first", 3));
    assert!(waiting.next().is_none());
    put(&storage, &new_log("second", 9));
    assert_replaced(&mut waiting, "is there, and log");
}

#[test]
fn an_older_copy_of_the_log_is_told_at_once_and_so_are_lsns_that_are_given_out_again() {
    for later in [1, 8, 300] {
        let storage = MemoryStorage::new();
        fill(&open(storage.clone()), "kept", 5);
        let copy = image_of(&storage);
        let log = open(storage.clone());
        fill(&log, "lost", later);
        let (mut idle, mut late) = (readers(&storage), readers(&storage));
        put(&storage, &copy);
        for reader in &mut idle {
            assert_replaced(reader, "an older copy of");
        }
        // Somebody goes on with the copy before the reader looks again.
        drop(log);
        fill(&open(storage.clone()), "another", later + 20);
        for reader in &mut late {
            assert_replaced(reader, "");
        }
    }
}

/// The reader does not see the copy, only what came of it: as many openings, and as many records in each.
#[test]
fn another_history_of_the_same_generations_is_told_by_the_record_that_was_read() {
    let storage = MemoryStorage::new();
    fill(&open(storage.clone()), "kept", 5);
    let copy = image_of(&storage);
    fill(&open(storage.clone()), "one", 8);
    let one = image_of(&storage);
    put(&storage, &copy);
    fill(&open(storage.clone()), "two", 8);
    fill(&open(storage.clone()), "two", 1);
    let two = image_of(&storage);
    put(&storage, &one);
    let mut readers = readers(&storage);
    put(&storage, &two);
    for reader in &mut readers {
        // Where owners are not told apart, both segments call themselves the same: the frame that was read is gone.
        let error = reader.next().expect("something").expect_err("not a record");
        assert_eq!(error.kind(), ErrorKind::Replaced, "{error}");
    }
}

#[test]
fn records_that_a_recovery_moved_are_what_they_were() {
    let storage = MemoryStorage::new();
    let log = open_with(storage.clone(), lazy());
    fill(&log, "moved", 9);
    let mut readers = readers(&storage);
    drop(log);
    let log = open(storage.clone());
    for reader in &mut readers {
        assert!(reader.next().is_none(), "moved, and nothing else");
    }
    fill(&log, "later", 2);
    for reader in &mut readers {
        assert_eq!(rest(reader), [10, 11]);
    }
    // A reader in the middle of the segment whose records move.
    let storage = MemoryStorage::new();
    let log = open_with(storage.clone(), lazy());
    fill(&log, "moved", 9);
    let mut reader = View::open(storage.clone()).unwrap().records(Lsn::ZERO);
    assert_eq!(reader.next().unwrap().unwrap().lsn, Lsn::FIRST);
    drop(log);
    fill(&open(storage.clone()), "later", 2);
    assert_eq!(rest(&mut reader), (2..=11).collect::<Vec<_>>());
}

#[test]
fn unproven_records_that_are_given_out_again_with_other_bytes_do_not_follow() {
    let storage = MemoryStorage::new();
    fill(&open(storage.clone()), "kept", 3);
    let before = image_of(&storage);
    // What a server shows that loses its power afterwards.
    fill(&open_with(storage.clone(), lazy()), "seen", 4);
    let mut readers = readers(&storage);
    put(&storage, &before);
    fill(&open(storage.clone()), "again", 3);
    fill(&open(storage.clone()), "again", 3);
    for reader in &mut readers {
        assert_replaced(reader, "");
    }
}

#[test]
fn truncations_are_told_as_what_they_are() {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    fill(&log, "x", 10);
    let (mut behind, mut at_the_end) = (readers(&storage), readers(&storage));
    // At the back: those numbers are not given out again.
    log.truncate_after(Lsn::new(4)).unwrap();
    assert!(at_the_end.iter_mut().all(|reader| reader.next().is_none()));
    fill(&log, "x", 2);
    assert!(at_the_end.iter_mut().all(|reader| rest(reader) == [11, 12]));
    // At the front, right up to a reader, and past another one.
    log.truncate_before(Lsn::MAX).unwrap();
    assert!(at_the_end.iter_mut().all(|reader| reader.next().is_none()));
    fill(&log, "x", 1);
    assert!(at_the_end.iter_mut().all(|reader| rest(reader) == [13]));
    for reader in &mut behind {
        let error = reader.next().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.lsn()), (ErrorKind::NotInLog, Some(Lsn::new(11))));
        assert!(error.detail().contains("the log starts at LSN 13"), "{error}");
    }
    // Everything at the back, and a new opening.
    log.truncate_after(Lsn::new(12)).unwrap();
    log.close().unwrap();
    drop(log);
    fill(&open(storage.clone()), "x", 1);
    assert!(at_the_end.iter_mut().all(|reader| rest(reader) == [14]));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// What happens to directories.
#[test]
fn a_directory_that_is_moved_emptied_or_restored_is_told_on_real_files() {
    type Accident = fn(&Path, &Path);
    let accidents: [(&str, Accident, &str); 6] = [
        (
            "moved away",
            |log, aside| std::fs::rename(log, aside.join("moved")).unwrap(),
            "is not there any more",
        ),
        (
            "another one in its place",
            |log, aside| {
                std::fs::rename(log, aside.join("moved")).unwrap();
                fill(&open(FileStorage::create(log).unwrap()), "new", 20);
            },
            "was read",
        ),
        (
            "emptied",
            |log, _| {
                for entry in std::fs::read_dir(log).unwrap() {
                    std::fs::remove_file(entry.unwrap().path()).unwrap();
                }
            },
            "no segment of the log is there any more",
        ),
        (
            "wiped and begun anew",
            |log, _| {
                std::fs::remove_dir_all(log).unwrap();
                fill(&open(FileStorage::create(log).unwrap()), "new", 1000);
            },
            "was read",
        ),
        (
            "restored into the same files",
            |log, aside| copy(&aside.join("copy"), log),
            "an older copy of",
        ),
        (
            "restored and written to",
            |log, aside| {
                std::fs::remove_dir_all(log).unwrap();
                copy(&aside.join("copy"), log);
                fill(&open(FileStorage::create(log).unwrap()), "again", 50);
            },
            "",
        ),
    ];
    for (name, accident, told) in accidents {
        let temp = tempfile::tempdir().unwrap();
        let (path, aside) = (temp.path().join("log"), temp.path());
        let log = open(FileStorage::create(&path).unwrap());
        fill(&log, "old", 6);
        copy(&path, &aside.join("copy"));
        fill(&log, "old", 4);
        let mut reader = View::open(FileStorage::open(&path).unwrap()).unwrap().records(Lsn::ZERO);
        assert_eq!(rest(&mut reader).len(), 10, "{name}");
        drop(log);
        accident(&path, aside);
        assert_replaced(&mut reader, told);
    }
}

/// A salvage makes new segments of what can be read, and a reader that waits behind them goes on.
#[test]
fn a_reader_goes_on_behind_a_log_that_was_salvaged() {
    let storage = MemoryStorage::new();
    for _ in 0..3 {
        fill(&open(storage.clone()), "x", 5);
    }
    let mut readers = readers(&storage);
    let mut image = image_of(&storage);
    let at = offsets_of(&image[&6], 6)[1];
    image.get_mut(&6).unwrap()[at + 30] ^= 1;
    put(&storage, &image);
    let (recovered, report) =
        Recovery::new(storage.clone()).mode(Mode::Salvage).verify(Verify::All).run().unwrap();
    assert!(!report.damages.is_empty());
    let log = Wal::builder(always()).settings(settings()).manual_driver().open(recovered).unwrap();
    fill(&log, "later", 1);
    for reader in &mut readers {
        assert_eq!(rest(reader), [16]);
    }
}

/// The reader that is told of a change comes at once, the other one looks now and then.
#[test]
fn who_waits_hears_of_an_append_on_real_files() {
    let temp = tempfile::tempdir().unwrap();
    let log = open_with(FileStorage::create(temp.path()).unwrap(), lazy());
    fill(&log, "x", 1);
    let mut reader =
        View::open(FileStorage::open(temp.path()).unwrap()).unwrap().records(Lsn::ZERO);
    assert_eq!(rest(&mut reader), [1]);
    let clock = SystemClock::new();
    for n in 2..6 {
        // Until it waits for long.
        for _ in 0..7 {
            reader.wait(Duration::from_millis(1));
            assert!(reader.next().is_none());
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                fill(&log, "x", 1);
            });
            let begun = clock.monotonic();
            loop {
                reader.wait(Duration::from_secs(1));
                if let Some(entry) = reader.next() {
                    assert_eq!(entry.unwrap().lsn, Lsn::new(n));
                    break;
                }
                assert!(
                    clock.monotonic() - begun < Duration::from_secs(30),
                    "record {n} never came"
                );
            }
            if cfg!(target_os = "linux") {
                let took = clock.monotonic() - begun;
                assert!(took < Duration::from_millis(600), "told only after {took:?}");
            }
        });
    }
}
