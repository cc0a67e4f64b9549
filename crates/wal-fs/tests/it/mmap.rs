//! `MmapStorage`: copies within the window, ordinary writes at its end, and never a signal.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use wal_core::{Access, ErrorKind, LogStorage, Lsn, Publish, Segment, WriteMode};
use wal_fs::{File, FileStorage, FileSystem, MmapSettings, MmapStorage, RealFs};
use wal_testkit::{Call, FaultFs, Faults, ModelFs};

const WINDOW: u64 = 4096;
const ONE: &str = "00000000000000000001.wal";

/// Without a thread, so that calls come in one order.
fn settings() -> MmapSettings {
    MmapSettings::default().window_bytes(WINDOW).helper_thread(false)
}

fn watched<F: FileSystem>(fs: F, dir: &Path) -> (MmapStorage<FaultFs<F>>, Faults) {
    let fs = FaultFs::new(fs);
    let faults = fs.faults().clone();
    (MmapStorage::create_with_file_system(fs, dir, settings()).unwrap(), faults)
}

fn model() -> (MmapStorage<FaultFs<ModelFs>>, ModelFs, Faults) {
    let fs = ModelFs::new();
    let (storage, faults) = watched(fs.clone(), Path::new("/wal"));
    (storage, fs, faults)
}

fn create(storage: &impl LogStorage, name: u64) -> Arc<dyn Segment> {
    storage.create(Lsn::new(name), "header".into(), 20_000, Publish::New).wait().unwrap()
}

fn pattern(mark: u64, len: usize) -> Bytes {
    (0..len).map(|i| (mark * 31 + i as u64 % 251) as u8 | 1).collect::<Vec<_>>().into()
}

fn write(segment: &Arc<dyn Segment>, offset: u64, len: usize) {
    segment.write_at(offset, pattern(offset, len), WriteMode::Cached).wait().unwrap();
    assert_eq!(segment.read_at(offset, len).wait().unwrap(), pattern(offset, len));
}

/// `ONE` stands for the first segment's file.
fn assert_calls(faults: &Faults, lines: &[&str]) {
    let lines: Vec<_> = lines.iter().map(|line| line.replace("ONE", ONE)).collect();
    assert_eq!(faults.trace_lines(), lines);
}

#[test]
fn within_the_window_writing_is_no_call() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, faults) = watched(RealFs, dir.path());
    let segment = create(&storage, 1);
    faults.clear_trace();
    write(&segment, 6, 1000);
    write(&segment, 1006, 3000); // into its second half
    write(&segment, 4006, 90); // up to its last byte
    write(&segment, 4096, 1000); // into the next
    write(&segment, 5096, 2000);
    write(&segment, 7096, 2000); // across
    write(&segment, 9096, 10);
    write(&segment, 100, 10); // behind
    write(&segment, 9106, 10);
    segment.sync().wait().unwrap();
    segment.write_at(9116, "x".into(), WriteMode::Through).wait().unwrap();
    let lines = [
        "copy ONE 6+1000",
        "copy ONE 1006+3000",
        "write ONE 4096+4096",
        "copy ONE 4006+90",
        "copy ONE 4096+1000",
        "copy ONE 5096+2000",
        "write ONE 8192+4096",
        "copy ONE 7096+1096",
        "copy ONE 8192+904",
        "copy ONE 9096+10",
        "write ONE 100+10",
        "copy ONE 9106+10",
        "sync data ONE",
        "copy ONE 9116+1",
        "sync data ONE",
    ];
    assert_calls(&faults, &lines);
}

#[test]
fn a_write_that_no_window_holds_is_a_call_and_the_next_is_none() {
    let (storage, _, faults) = model();
    let segment = create(&storage, 1);
    faults.clear_trace();
    write(&segment, 6, 10_000);
    write(&segment, 10_006, 10);
    let lines = ["write ONE 6+10000", "write ONE 10006+2282", "copy ONE 10006+10"];
    assert_calls(&faults, &lines);
}

#[test]
fn what_was_left_and_never_synced_is_given_to_the_device() {
    let (storage, _, faults) = model();
    let segment = create(&storage, 1);
    let given = || faults.counters().write_back_bytes;
    write(&segment, 6, 4000);
    write(&segment, 4006, 2000);
    assert_eq!(given(), 0, "neither window was left");
    write(&segment, 6006, 500);
    assert_eq!(given(), 4090, "the first one was, and its header had been synced");
    write(&segment, 6506, 4000);
    assert_eq!(given(), 4090 + 4096, "and the second, each byte once");
    write(&segment, 10_506, 1000);
    segment.sync().wait().unwrap();
    write(&segment, 11_506, 3200);
    assert_eq!(given(), 4090 + 4096 + 782, "of the third one what was written after the sync");
}

#[test]
fn a_copy_reaches_readers_and_other_storages() {
    let dir = tempfile::tempdir().unwrap();
    let storage = MmapStorage::open_with(dir.path(), settings()).unwrap();
    let segment = create(&storage, 1);
    let other = FileStorage::open(dir.path()).unwrap();
    let reader = other.open(Lsn::FIRST, Access::Read).wait().unwrap();
    let mut end = 6;
    for n in 0..500 {
        write(&segment, end, 1 + n % 97);
        let found = reader.read_at(end, 1 + n % 97).wait().unwrap();
        assert_eq!(found, pattern(end, 1 + n % 97));
        end += 1 + n as u64 % 97;
    }
}

#[test]
fn recycled_files_longer_or_shorter_than_wanted_are_used() {
    for (old, new) in [(20_000, 5000), (5000, 20_000)] {
        let dir = tempfile::tempdir().unwrap();
        let storage = MmapStorage::open_with(dir.path(), settings()).unwrap();
        let _lock = storage.lock().wait().unwrap();
        let segment =
            storage.create(Lsn::FIRST, "header".into(), old, Publish::New).wait().unwrap();
        for at in (6..old - 1000).step_by(1000) {
            write(&segment, at, 1000);
        }
        storage.remove(&[Lsn::FIRST]).wait().unwrap();
        let next = storage.create(Lsn::new(2), "header".into(), new, Publish::New).wait().unwrap();
        for at in (6..new - 1000).step_by(1000) {
            write(&next, at, 1000);
        }
        assert_eq!(next.read_at(6, 1000).wait().unwrap(), pattern(6, 1000));
        // The old handle is still there: its file has become another's, and may be shorter now.
        segment.write_at(old - 2000, pattern(1, 1000), WriteMode::Cached).wait().unwrap();
    }
}

#[test]
fn who_cuts_a_segment_through_another_handle_pulls_no_memory_away() {
    let dir = tempfile::tempdir().unwrap();
    let storage = MmapStorage::open_with(dir.path(), settings()).unwrap();
    let first = create(&storage, 1);
    write(&first, 6, 100);
    let second = storage.open(Lsn::FIRST, Access::Write).wait().unwrap();
    second.truncate(10).wait().unwrap();
    write(&first, 3000, 100);
    first.truncate(20).wait().unwrap();
    write(&first, 3000, 100);
    assert_eq!(second.read_at(20, 2980).wait().unwrap(), vec![0; 2980]);
}

#[test]
fn a_cut_segment_is_mapped_again() {
    let (storage, _, faults) = model();
    let segment = create(&storage, 1);
    write(&segment, 6, 1000);
    segment.truncate(500).wait().unwrap();
    faults.clear_trace();
    write(&segment, 500, 100);
    write(&segment, 600, 100);
    let lines = ["write ONE 500+100", "write ONE 600+3496", "copy ONE 600+100"];
    assert_calls(&faults, &lines);
}

#[test]
fn without_room_for_zeros_it_goes_on_with_calls_and_then_says_that_the_disk_is_full() {
    let (storage, fs, faults) = model();
    let segment = create(&storage, 1);
    fs.set_capacity(Some(fs.used_bytes() + 1000));
    write(&segment, 4000, 600);
    faults.clear_trace();
    // Some of the zeros found room, and are mapped.
    write(&segment, 4600, 400);
    let error = segment.write_at(5000, pattern(1, 1000), WriteMode::Cached).wait().unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Full, Some(5000)));
    fs.set_capacity(None);
    write(&segment, 5000, 1000);
    write(&segment, 6000, 1000);
    let lines = [
        "copy ONE 4600+400",
        "write ONE 5000+1000",
        "write ONE 5096+904 => no storage space",
        "write ONE 5000+1000",
        "write ONE 6000+1000",
    ];
    assert_calls(&faults, &lines);
}

#[test]
fn a_failed_sync_is_never_repeated() {
    let (storage, _, faults) = model();
    let segment = create(&storage, 1);
    write(&segment, 6, 100);
    faults.fail_once(Call::Sync, 1, std::io::ErrorKind::Other);
    segment.sync().wait().unwrap_err();
    let error = segment.sync().wait().unwrap_err();
    assert!(error.to_string().contains("an earlier sync"), "{error}");
    let through = segment.write_at(106, "x".into(), WriteMode::Through);
    assert_eq!(through.wait().unwrap_err().offset(), Some(106));
}

#[test]
fn a_mapping_keeps_to_its_range() {
    let dir = tempfile::tempdir().unwrap();
    let file = RealFs.create_new(&dir.path().join("file")).unwrap();
    file.write_at(&[b'.'; 10_000], 0).unwrap();
    // Neither end lies where a page does.
    let mut mapping = file.map(5000, 4000).unwrap();
    mapping.write(b"first", 0).unwrap();
    mapping.write(b"last", 3996).unwrap();
    mapping.write(b"", 4000).unwrap();
    for (data, at) in [(&b"x"[..], 4000), (b"xx", 3999), (b"x", usize::MAX), (&[1; 4001], 0)] {
        let error = mapping.write(data, at).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
    mapping.flush().unwrap();
    file.sync_data().unwrap();
    let mut bytes = [0; 10_000];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 10_000);
    assert_eq!((&bytes[4999..5006], &bytes[8995..9001]), (&b".first."[..], &b".last."[..]));
    // It outlives the handle that made it.
    drop(file);
    mapping.write(b"again", 0).unwrap();
    assert_eq!(std::fs::read(dir.path().join("file")).unwrap()[5000..5005], *b"again");
}

#[test]
fn threads_may_copy_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let storage = MmapStorage::open_with(dir.path(), settings()).unwrap();
    let segment = create(&storage, 1);
    std::thread::scope(|scope| {
        for n in 1..=4_u8 {
            let segment = &segment;
            scope.spawn(move || {
                for _ in 0..1000 {
                    let piece = Bytes::from(vec![n; 4000]);
                    segment.write_at(6, piece, WriteMode::Cached).wait().unwrap();
                }
            });
        }
    });
    let bytes = std::fs::read(dir.path().join(ONE)).unwrap();
    assert!(bytes[6..4006].iter().all(|byte| *byte == bytes[6] && *byte > 0));
}
