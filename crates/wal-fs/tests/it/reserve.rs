//! The reserve on real files: its size, what makes it again, and what is not taken for it.

use std::fs;
use std::path::{Path, PathBuf};

use wal_core::{ErrorKind, LogStorage};
use wal_fs::{FileSettings, FileStorage};

const SEGMENT: u64 = 1 << 20;

fn open(dir: &Path, bytes: Option<u64>) -> FileStorage {
    FileStorage::create_with(dir, FileSettings::default().reserve_bytes(bytes)).unwrap()
}

/// As a writer does that rotates.
fn fill(dir: &Path, bytes: Option<u64>, segment_size: u64) -> u64 {
    let storage = open(dir, bytes);
    let _lock = storage.lock().wait().unwrap();
    storage.fill_reserve(segment_size).wait().unwrap();
    storage.reserve().wait().unwrap()
}

fn file(dir: &Path, n: u32) -> PathBuf {
    dir.join(format!("RESERVE-{n}"))
}

#[test]
fn it_is_as_large_as_the_segments_or_the_setting_want_it() {
    let dir = tempfile::tempdir().unwrap();
    let default = (128 << 10) + 2 * SEGMENT;
    assert_eq!(fill(dir.path(), None, SEGMENT), default);
    // Another opener with smaller segments, or one that only truncates, leaves it as it is.
    assert_eq!(fill(dir.path(), None, 4096), default);
    assert_eq!(fill(dir.path(), None, 0), default);
    assert_eq!(fill(dir.path(), Some(32 << 20), 0), 32 << 20);
    assert_eq!(fill(dir.path(), Some(300 << 10), SEGMENT), 300 << 10);
    assert_eq!(fill(dir.path(), Some(0), SEGMENT), 0);
    assert!(!file(dir.path(), 1).exists());
    let error =
        FileStorage::open_with(dir.path(), FileSettings::default().reserve_bytes(Some(2 << 30)));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
#[cfg(target_os = "linux")]
fn a_copy_full_of_holes_gets_its_space_again() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), None, SEGMENT);
    let blocks = |n| fs::metadata(file(dir.path(), n)).unwrap().blocks();
    let full = blocks(2);
    assert!(full * 512 >= SEGMENT, "{full} blocks");
    let sparse = fs::File::create(file(dir.path(), 2)).unwrap();
    sparse.set_len(SEGMENT).unwrap();
    assert_eq!(blocks(2), 0);
    fill(dir.path(), None, SEGMENT);
    assert!(blocks(2) >= full, "{} blocks", blocks(2));
}

/// What is written to a file of the reserve must not be written to a backup made of links.
#[test]
#[cfg(unix)]
fn a_file_with_a_second_name_is_made_anew() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let backup = tempfile::tempdir_in(dir.path().parent().unwrap()).unwrap();
    let log = dir.path().join("log");
    fill(&log, None, SEGMENT);
    for n in 1..=3 {
        fs::hard_link(file(&log, n), file(backup.path(), n)).unwrap();
    }
    let storage = open(&log, None);
    let _lock = storage.lock().wait().unwrap();
    storage.fill_reserve(SEGMENT).wait().unwrap();
    for n in 1..=3 {
        let own = fs::metadata(file(&log, n)).unwrap();
        let other = fs::metadata(file(backup.path(), n)).unwrap();
        assert_ne!(own.ino(), other.ino());
        assert_eq!((own.nlink(), other.nlink()), (1, 1));
        assert!(fs::read(file(backup.path(), n)).unwrap().iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_directory_of_that_name_is_no_reserve() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(file(dir.path(), 1)).unwrap();
    let storage = open(dir.path(), None);
    let _lock = storage.lock().wait().unwrap();
    assert_eq!(storage.reserve().wait().unwrap(), 0);
}
