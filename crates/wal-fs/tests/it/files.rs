//! `FileStorage` on real files: what it keeps, lists and refuses.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use wal_core::{Access, ErrorKind, LogStorage, Lsn, Publish, WriteMode};
use wal_fs::{FileSettings, FileStorage, RealFs};
use wal_testkit::FaultFs;

fn small() -> FileSettings {
    FileSettings::default().preallocate_bytes(4096)
}

/// What is in a directory, but for the file that says who owns the log.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with("OWNER-")).collect();
    names.sort();
    names
}

#[test]
fn bytes_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::create_with(dir.path().join("a/b"), small()).unwrap();
    let segment =
        storage.create(Lsn::FIRST, "header".into(), 100_000, Publish::New).wait().unwrap();
    assert_eq!(segment.len().wait().unwrap(), 4096);
    let mut end = 6;
    for i in 0..100u8 {
        let mode = if i % 2 == 0 { WriteMode::Cached } else { WriteMode::Through };
        segment.write_at(end, vec![i; 321].into(), mode).wait().unwrap();
        end += 321;
    }
    segment.write_at(end, "".into(), WriteMode::Cached).wait().unwrap();
    segment.sync().wait().unwrap();
    drop(segment);
    let reader = storage.open(Lsn::FIRST, Access::Read).wait().unwrap();
    assert_eq!(reader.read_at(0, 6).wait().unwrap(), "header");
    for i in 0..100u8 {
        let bytes = reader.read_at(6 + 321 * u64::from(i), 321).wait().unwrap();
        assert_eq!(bytes, vec![i; 321]);
    }
    let len = reader.len().wait().unwrap();
    assert_eq!(len, end.next_multiple_of(4096));
    let rest = reader.read_at(end, usize::MAX).wait().unwrap();
    assert_eq!(rest, vec![0; (len - end) as usize]);
    assert_eq!(reader.read_at(len, 10).wait().unwrap(), "");
    assert_eq!(reader.read_at(u64::MAX, 10).wait().unwrap(), "");
    for error in [
        reader.write_at(0, "x".into(), WriteMode::Cached).wait(),
        reader.sync().wait(),
        reader.truncate(0).wait(),
    ] {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Denied);
    }
}

#[test]
fn filling_ahead_stops_at_the_capacity_and_never_covers_data() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::open_with(dir.path(), small()).unwrap();
    let segment = storage.create(Lsn::FIRST, "header".into(), 6000, Publish::New).wait().unwrap();
    assert_eq!(segment.len().wait().unwrap(), 4096);
    // Far behind the end, so that the next write lies before data.
    segment.write_at(5000, "far".into(), WriteMode::Cached).wait().unwrap();
    assert_eq!(segment.len().wait().unwrap(), 6000);
    segment.write_at(4000, vec![1; 1000].into(), WriteMode::Cached).wait().unwrap();
    assert_eq!(segment.read_at(5000, 4).wait().unwrap(), "far\0");
    segment.write_at(5990, vec![2; 100].into(), WriteMode::Cached).wait().unwrap();
    assert_eq!(segment.len().wait().unwrap(), 6090);
}

#[test]
fn zero_switches_filling_off() {
    let dir = tempfile::tempdir().unwrap();
    let settings = small().preallocate_bytes(0);
    let storage = FileStorage::open_with(dir.path(), settings).unwrap();
    let segment =
        storage.create(Lsn::FIRST, "header".into(), 1 << 20, Publish::New).wait().unwrap();
    for mode in [WriteMode::Cached, WriteMode::Through] {
        let end = segment.len().wait().unwrap();
        segment.write_at(end, "frame".into(), mode).wait().unwrap();
    }
    assert_eq!(segment.len().wait().unwrap(), 16);
}

#[test]
fn a_cut_segment_grows_with_zeros_and_is_filled_again() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::open_with(dir.path(), small()).unwrap();
    let segment = storage.create(Lsn::FIRST, "header".into(), 8192, Publish::New).wait().unwrap();
    segment.write_at(6, vec![7; 1000].into(), WriteMode::Cached).wait().unwrap();
    segment.truncate(100).wait().unwrap();
    segment.truncate(5000).wait().unwrap();
    assert_eq!(segment.len().wait().unwrap(), 100);
    segment.write_at(200, "x".into(), WriteMode::Cached).wait().unwrap();
    assert_eq!(segment.len().wait().unwrap(), 4096);
    assert_eq!(segment.read_at(100, 101).wait().unwrap(), [vec![0; 100], vec![b'x']].concat());
}

#[test]
fn removed_segments_become_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::open_with(dir.path(), small().max_spares(1)).unwrap();
    assert!(storage.capabilities().recycles);
    let _lock = storage.lock().wait().unwrap();
    for lsn in [1, 2] {
        let segment =
            storage.create(Lsn::new(lsn), "old header".into(), 8192, Publish::New).wait().unwrap();
        segment.write_at(10, vec![lsn as u8; 5000].into(), WriteMode::Cached).wait().unwrap();
        segment.truncate(5010).wait().unwrap();
    }
    storage.remove(&[Lsn::new(1)]).wait().unwrap();
    storage.remove(&[Lsn::new(2)]).wait().unwrap();
    let left = names(dir.path());
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0] == "LOCK" && left[1].starts_with("spare-"), "{left:?}");
    let segment = storage.create(Lsn::new(3), "new".into(), 8192, Publish::New).wait().unwrap();
    assert_eq!(names(dir.path()), ["00000000000000000003.wal", "LOCK"]);
    assert_eq!(
        segment.read_at(0, 20).wait().unwrap(),
        "new header\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
    );
    assert_eq!(segment.len().wait().unwrap(), 5010);
    // Behind its old bytes it is filled like a new one.
    segment.write_at(5000, vec![3; 100].into(), WriteMode::Cached).wait().unwrap();
    assert_eq!(segment.len().wait().unwrap(), 8192);
    assert_eq!(segment.read_at(5099, 2).wait().unwrap(), "\x03\0");
    // A smaller segment does not keep the size of the old one.
    storage.remove(&[Lsn::new(3)]).wait().unwrap();
    let segment = storage.create(Lsn::new(4), "new".into(), 1000, Publish::New).wait().unwrap();
    assert_eq!(segment.len().wait().unwrap(), 1000);
}

#[test]
fn without_spares_removed_segments_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::open_with(dir.path(), small().max_spares(0)).unwrap();
    assert!(!storage.capabilities().recycles);
    storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    storage.remove(&[Lsn::FIRST]).wait().unwrap();
    assert!(names(dir.path()).is_empty());
    storage.remove(&[Lsn::FIRST]).wait().unwrap();
}

#[test]
fn spares_of_an_earlier_process_are_removed_with_the_lock_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let leftover = dir.path().join("spare-00000000000000000001-00000000000000000001.tmp");
    fs::write(&leftover, "old frames").unwrap();
    let storage = FileStorage::open_with(dir.path(), small()).unwrap();
    storage.list().wait().unwrap();
    assert!(leftover.exists());
    let _lock = storage.lock().wait().unwrap();
    assert!(!leftover.exists());
}

#[test]
fn an_existing_segment_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::open_with(dir.path(), small()).unwrap();
    storage.create(Lsn::FIRST, "first".into(), 4096, Publish::New).wait().unwrap();
    let reader = storage.open(Lsn::FIRST, Access::Read).wait().unwrap();
    let over = Publish::Replace { generation: None };
    storage.create(Lsn::FIRST, "second".into(), 4096, over).wait().unwrap();
    assert_eq!(names(dir.path()), ["00000000000000000001.wal"]);
    assert_eq!(reader.read_at(0, 6).wait().unwrap(), "first\0");
    let reader = storage.open(Lsn::FIRST, Access::Read).wait().unwrap();
    assert_eq!(reader.read_at(0, 6).wait().unwrap(), "second");
}

#[test]
fn what_is_not_the_logs_is_foreign_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::open_with(dir.path(), small()).unwrap();
    let _lock = storage.lock().wait().unwrap();
    for lsn in [300, 1, 20] {
        storage.create(Lsn::new(lsn), "header".into(), 4096, Publish::New).wait().unwrap();
    }
    storage.remove(&[Lsn::new(300)]).wait().unwrap();
    storage.set_aside("tail", "bytes".into()).wait().unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    fs::create_dir(dir.path().join("00000000000000000007.wal")).unwrap();
    let foreign = ["1.wal", "core", "notes.txt", "spare-1.tmp", "x.cut"];
    for name in foreign {
        fs::write(dir.path().join(name), "mine").unwrap();
    }
    let listing = storage.list().wait().unwrap();
    assert_eq!(listing.segments, [Lsn::new(1), Lsn::new(20)]);
    let mut expected = vec!["00000000000000000007.wal"];
    expected.extend(foreign);
    assert_eq!(listing.foreign, expected);
    drop(_lock);
    let _lock = storage.lock().wait().unwrap();
    for name in foreign {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"mine");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_no_text_is_foreign() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff.wal")), "").unwrap();
    let storage = FileStorage::open(dir.path()).unwrap();
    assert_eq!(storage.list().wait().unwrap().foreign, ["\u{fffd}.wal"]);
}

#[test]
fn nothing_set_aside_is_ever_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(dir.path()).unwrap();
    let one = storage.set_aside("00000000000000000001-tail", "one".into()).wait().unwrap();
    let two = storage.set_aside("00000000000000000001-tail", "two".into()).wait().unwrap();
    assert_eq!(one, "00000000000000000001-tail-1.cut");
    assert_eq!(two, "00000000000000000001-tail-2.cut");
    assert_eq!(fs::read(dir.path().join(one)).unwrap(), b"one");
    assert_eq!(fs::read(dir.path().join(two)).unwrap(), b"two");
    let error = storage.set_aside("../tail", "x".into()).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn places_that_are_no_directory_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let missing = FileStorage::open(dir.path().join("missing")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("missing"), "{missing}");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for error in [
        FileStorage::open(&file).unwrap_err(),
        FileStorage::create(&file).unwrap_err(),
        FileStorage::create(file.join("wal")).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotALog, "{error}");
    }
    let settings = FileSettings::default().max_spares(1000);
    let error = FileStorage::create_with(dir.path().join("new"), settings).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(!dir.path().join("new").exists());
}

#[test]
fn a_missing_segment_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FileStorage::open(dir.path()).unwrap();
    let error = storage.open(Lsn::new(5), Access::Read).wait().err().unwrap();
    assert_eq!((error.kind(), error.segment()), (ErrorKind::NotFound, Some(Lsn::new(5))));
}

/// Not by permission bits alone: they mean nothing to root.
#[test]
fn reading_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let writer = FileStorage::open_with(dir.path(), small()).unwrap();
    writer.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    let fs = FaultFs::new(RealFs);
    let faults = fs.faults().clone();
    let storage = FileStorage::with_file_system(fs, dir.path(), small()).unwrap();
    assert_eq!(storage.list().wait().unwrap().segments, [Lsn::FIRST]);
    let reader = storage.open(Lsn::FIRST, Access::Read).wait().unwrap();
    assert_eq!(reader.read_at(0, 6).wait().unwrap(), "header");
    reader.len().wait().unwrap();
    assert_eq!(faults.trace_lines(), [""; 0]);
    assert_eq!(names(dir.path()), ["00000000000000000001.wal"]);
}

#[cfg(unix)]
#[test]
fn a_read_only_directory_can_be_read_and_not_locked() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let writer = FileStorage::open_with(dir.path(), small()).unwrap();
    writer.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait().unwrap();
    let permit = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
    permit(0o555);
    if fs::write(dir.path().join("probe"), "").is_ok() {
        // Written past the capture of the test harness.
        let skipped = "skipped: a_read_only_directory_can_be_read_and_not_locked: permission bits do \
                       not bind this user; see reading_changes_nothing\n";
        io::stderr().write_all(skipped.as_bytes()).unwrap();
        permit(0o755);
        return;
    }
    let storage = FileStorage::open(dir.path()).unwrap();
    let reader = storage.open(Lsn::FIRST, Access::Read).wait().unwrap();
    assert_eq!(reader.read_at(0, 6).wait().unwrap(), "header");
    assert_eq!(storage.lock().wait().unwrap_err().kind(), ErrorKind::Denied);
    permit(0o755);
}
