//! `DirectStorage`: whole blocks, in one call, and what lies beside them stays.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use wal_core::{Access, ErrorKind, LogStorage, Lsn, Publish, Segment, WriteMode};
use wal_fs::{DirectSettings, DirectStorage, FileStorage, FileSystem, LastBlock, RealFs};
use wal_testkit::{Call, CrashPolicy, FaultFs, Faults, ModelFs};

const BLOCK: u64 = 4096;
const ONE: &str = "00000000000000000001.wal";

fn settings() -> DirectSettings {
    DirectSettings::default().preallocate_bytes(16 << 10).trust_write_through(Some(true))
}

fn watched<F: FileSystem>(
    fs: F,
    dir: &Path,
    settings: DirectSettings,
) -> (DirectStorage<FaultFs<F>>, Faults) {
    let fs = FaultFs::new(fs);
    let faults = fs.faults().clone();
    (DirectStorage::create_with_file_system(fs, dir, settings).unwrap(), faults)
}

/// A storage over a model of a disk, with blocks of 512 bytes and nothing filled ahead.
fn model() -> (DirectStorage<FaultFs<ModelFs>>, ModelFs, Faults) {
    let fs = ModelFs::new();
    let plain = settings().block_bytes(Some(512)).preallocate_bytes(0);
    let (storage, faults) = watched(fs.clone(), Path::new("/wal"), plain);
    (storage, fs, faults)
}

fn create(storage: &impl LogStorage) -> Arc<dyn Segment> {
    storage
        .create(Lsn::FIRST, vec![b'h'; BLOCK as usize].into(), 1 << 20, Publish::New)
        .wait()
        .unwrap()
}

fn pattern(mark: u64, len: usize) -> Bytes {
    (0..len).map(|i| (mark * 31 + i as u64 % 251) as u8 | 1).collect::<Vec<_>>().into()
}

fn write(segment: &Arc<dyn Segment>, offset: u64, data: &Bytes, mode: WriteMode) {
    segment.write_at(offset, data.clone(), mode).wait().unwrap();
}

#[test]
fn a_durable_write_is_one_call_of_whole_blocks_and_the_sync_after_it_none() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, faults) = watched(RealFs, dir.path(), settings());
    assert!(storage.capabilities().write_through);
    let segment = create(&storage);
    faults.clear_trace();
    let mut at = BLOCK;
    // One byte, up to the end of the block exactly, the next block whole, over two ends.
    for len in [1, 4095, 4096, 5000, 100] {
        write(&segment, at, &pattern(at, len), WriteMode::Through);
        segment.sync().wait().unwrap();
        at += len as u64;
    }
    let lines = ["4096+4096", "4096+4096", "8192+4096", "12288+8192", "16384+4096"];
    let mut expected: Vec<_> =
        lines.iter().map(|place| format!("write through {ONE} {place}")).collect();
    // The write that leaves what was filled has more of it filled first.
    expected.insert(3, format!("write {ONE} 16384+16384"));
    expected.insert(4, format!("sync data {ONE}"));
    assert_eq!(faults.trace_lines(), expected);
}

#[test]
fn what_was_only_written_waits_for_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, faults) = watched(RealFs, dir.path(), settings());
    let segment = create(&storage);
    faults.clear_trace();
    write(&segment, BLOCK, &pattern(1, 100), WriteMode::Cached);
    segment.sync().wait().unwrap();
    segment.sync().wait().unwrap();
    segment.truncate(BLOCK + 50).wait().unwrap();
    segment.sync().wait().unwrap();
    let lines = [
        format!("write {ONE} 4096+4096"),
        format!("sync data {ONE}"),
        format!("set len {ONE} 4146"),
        format!("sync data {ONE}"),
    ];
    assert_eq!(faults.trace_lines(), lines);
}

#[test]
fn every_length_and_every_end_is_read_back() {
    for block in [Some(512), Some(4096), None] {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings().block_bytes(block);
        let storage = DirectStorage::open_with(dir.path(), settings).unwrap();
        let segment = create(&storage);
        let mut model = vec![b'h'; BLOCK as usize];
        for len in [1, 511, 512, 3, 4093, 4096, 4097, 12_288, 1, 100_000, 4 << 20, 5_000_001] {
            let data = pattern(len as u64, len);
            write(&segment, model.len() as u64, &data, WriteMode::Through);
            model.extend_from_slice(&data);
        }
        // A log steps back over the blank header that it wrote, and goes on there.
        let back = model.len() - 24;
        model.truncate(back);
        write(&segment, back as u64, &pattern(9, 60), WriteMode::Cached);
        model.extend_from_slice(&pattern(9, 60));
        let reader = storage.open(Lsn::FIRST, Access::Read).wait().unwrap();
        for segment in [&segment, &reader] {
            assert_eq!(segment.read_at(0, model.len()).wait().unwrap(), model);
            let behind = segment.read_at(model.len() as u64, 400).wait().unwrap();
            assert!(behind.iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn a_reopened_segment_goes_on_in_its_last_block() {
    let dir = tempfile::tempdir().unwrap();
    let storage = DirectStorage::open_with(dir.path(), settings()).unwrap();
    let segment = create(&storage);
    write(&segment, BLOCK, &pattern(1, 5000), WriteMode::Through);
    segment.truncate(BLOCK + 5000).wait().unwrap();
    drop(segment);
    let again = storage.open(Lsn::FIRST, Access::Write).wait().unwrap();
    assert_eq!(again.len().wait().unwrap(), BLOCK + 5000);
    write(&again, BLOCK + 5000, &pattern(2, 10), WriteMode::Through);
    write(&again, BLOCK + 100, &pattern(3, 10), WriteMode::Cached);
    again.sync().wait().unwrap();
    let expected =
        [&pattern(1, 5000)[..100], &pattern(3, 10), &pattern(1, 5000)[110..], &pattern(2, 10)];
    // Any storage on files reads it.
    let plain = FileStorage::open(dir.path()).unwrap();
    let reader = plain.open(Lsn::FIRST, Access::Read).wait().unwrap();
    assert_eq!(reader.read_at(BLOCK, 5010).wait().unwrap(), expected.concat());
}

#[test]
fn recycled_space_behind_the_last_block_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let storage = DirectStorage::open_with(dir.path(), settings()).unwrap();
    let _lock = storage.lock().wait().unwrap();
    let old = create(&storage);
    write(&old, BLOCK, &vec![0xee; 20_000].into(), WriteMode::Through);
    storage.remove(&[Lsn::FIRST]).wait().unwrap();
    let new = create(&storage);
    write(&new, BLOCK, &pattern(1, 100), WriteMode::Through);
    let found = new.read_at(BLOCK, 12_000).wait().unwrap();
    assert_eq!(found[..100], pattern(1, 100));
    assert!(found[100..BLOCK as usize].iter().all(|byte| *byte == 0));
    assert!(found[BLOCK as usize..].iter().all(|byte| *byte == 0xee));
}

#[test]
fn readers_see_every_write_that_returned_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let storage = DirectStorage::open_with(dir.path(), settings()).unwrap();
    let segment = create(&storage);
    let written = AtomicU64::new(0);
    let data = pattern(7, 300_000);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let reader = storage.open(Lsn::FIRST, Access::Read).wait().unwrap();
                let mut rounds = 0_u64;
                while written.load(Ordering::Acquire) < data.len() as u64 {
                    let end = written.load(Ordering::Acquire);
                    // Mostly the last pages, which are being written again and again.
                    let from = if rounds.is_multiple_of(16) { 0 } else { end.saturating_sub(6000) };
                    let len = (end - from) as usize;
                    let found = reader.read_at(BLOCK + from, len).wait().unwrap();
                    assert_eq!(found, data.slice(from as usize..end as usize), "{from} to {end}");
                    rounds += 1;
                }
                assert!(rounds > 0);
            });
        }
        let mut end = 0;
        while end < data.len() {
            let len = 150.min(data.len() - end);
            write(&segment, BLOCK + end as u64, &data.slice(end..end + len), WriteMode::Cached);
            end += len;
            written.store(end as u64, Ordering::Release);
        }
    });
}

#[test]
fn a_power_loss_in_the_middle_of_a_rewrite_takes_only_what_is_new() {
    let (storage, fs, _) = model();
    let segment = create(&storage);
    write(&segment, BLOCK, &pattern(1, 700), WriteMode::Through);
    fs.record_moments();
    write(&segment, BLOCK + 700, &pattern(2, 2000), WriteMode::Through);
    let moments = fs.take_moments();
    let mut torn = 0;
    for (moment, seed) in moments.iter().flat_map(|moment| (0..50).map(move |s| (moment, s))) {
        let image = moment.crash(CrashPolicy::Seeded(seed));
        let bytes = image.contents(&Path::new("/wal").join(ONE)).unwrap();
        let data = &bytes[BLOCK as usize..];
        assert_eq!(data[..700], pattern(1, 700));
        let new = data.get(700..2700).unwrap_or_default();
        torn += u64::from(new != pattern(2, 2000) && new.iter().any(|byte| *byte != 0));
    }
    assert!(torn > 0, "no power loss came in the middle");
}

#[test]
fn short_and_interrupted_calls_are_finished() {
    let (storage, fs, faults) = model();
    let segment = create(&storage);
    faults.short_writes(Some(1300));
    faults.interrupt_every(Some(2));
    write(&segment, BLOCK, &pattern(1, 5000), WriteMode::Through);
    write(&segment, BLOCK + 5000, &pattern(2, 5000), WriteMode::Cached);
    let bytes = fs.contents(&Path::new("/wal").join(ONE)).unwrap();
    let expected = [pattern(1, 5000), pattern(2, 5000)].concat();
    assert_eq!(bytes[BLOCK as usize..][..10_000], expected);
}

#[test]
fn nothing_is_written_or_synced_after_a_failed_write() {
    for mode in [WriteMode::Cached, WriteMode::Through] {
        let (storage, _, faults) = model();
        let segment = create(&storage);
        write(&segment, BLOCK, &pattern(1, 100), WriteMode::Through);
        faults.fail_once(Call::Write, 1, std::io::ErrorKind::Other);
        let data = pattern(2, 100);
        let error = segment.write_at(BLOCK + 100, data.clone(), mode).wait().unwrap_err();
        assert_eq!((error.kind(), error.offset()), (ErrorKind::Io, Some(BLOCK + 100)));
        let again = segment.write_at(BLOCK + 100, data, mode).wait().unwrap_err();
        assert!(again.chain().to_string().contains("an earlier write"), "{again:?}");
        segment.sync().wait().unwrap_err();
    }
}

#[test]
fn a_failed_sync_is_followed_by_no_good_one_though_nothing_is_left_to_do() {
    let (storage, _, faults) = model();
    let segment = create(&storage);
    write(&segment, BLOCK, &pattern(1, 100), WriteMode::Cached);
    faults.fail_once(Call::Sync, 1, std::io::ErrorKind::Other);
    segment.sync().wait().unwrap_err();
    let error = segment.sync().wait().unwrap_err();
    assert!(error.chain().to_string().contains("an earlier sync"), "{error:?}");
}

#[test]
fn a_full_disk_is_told() {
    let (storage, fs, _) = model();
    let segment = create(&storage);
    fs.set_capacity(Some(fs.used_bytes() + 1000));
    write(&segment, BLOCK, &pattern(1, 500), WriteMode::Through);
    // A block more does not fit, though some bytes would.
    let error = segment.write_at(BLOCK + 500, pattern(2, 400), WriteMode::Through).wait();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Full);
}

#[test]
fn only_padded_blocks_are_asked_for_as_such() {
    for (block, multiple) in [(Some(512), 512), (Some(8192), 8192), (None, 4096)] {
        let open = |last_block| {
            let settings = settings().block_bytes(block).last_block(last_block);
            DirectStorage::create_with_file_system(ModelFs::new(), "/wal", settings).unwrap()
        };
        let padded = open(LastBlock::Padded).capabilities();
        assert_eq!((padded.alignment, padded.pad_to), (multiple, multiple));
        let rewritten = open(LastBlock::Rewritten).capabilities();
        assert_eq!((rewritten.alignment, rewritten.pad_to), (multiple, 1));
    }
    assert_eq!(DirectSettings::default().last_block, LastBlock::Rewritten);
}

#[test]
fn blocks_that_the_file_system_does_not_take_are_refused() {
    struct Large(RealFs);
    impl FileSystem for Large {
        type File = wal_fs::RealFile;
        fn create_new(&self, path: &Path) -> std::io::Result<Self::File> {
            self.0.create_new(path)
        }
        fn open(&self, path: &Path, access: Access) -> std::io::Result<Self::File> {
            self.0.open(path, access)
        }
        fn open_direct(&self, path: &Path) -> std::io::Result<wal_fs::DirectFile<Self::File>> {
            let file = self.0.open(path, Access::Write)?;
            Ok(wal_fs::DirectFile { file, block_bytes: Some(8192) })
        }
        fn kind(&self, path: &Path) -> std::io::Result<wal_fs::NodeKind> {
            self.0.kind(path)
        }
        fn read_dir(&self, path: &Path) -> std::io::Result<Vec<wal_fs::DirEntry>> {
            self.0.read_dir(path)
        }
        fn create_dir(&self, path: &Path) -> std::io::Result<()> {
            self.0.create_dir(path)
        }
        fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
            self.0.rename(from, to)
        }
        fn remove_file(&self, path: &Path) -> std::io::Result<()> {
            self.0.remove_file(path)
        }
        fn sync_dir(&self, path: &Path) -> std::io::Result<()> {
            self.0.sync_dir(path)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let open = |settings| DirectStorage::with_file_system(Large(RealFs), dir.path(), settings);
    let error = open(settings()).unwrap().lock().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("block_bytes is 4096"), "{error}");
    assert!(error.to_string().contains("in blocks of 8192 bytes"), "{error}");
    for block in [None, Some(16_384)] {
        let storage = open(settings().block_bytes(block)).unwrap();
        drop(storage.lock().wait().unwrap());
    }
    // Padded to the usual block, every second write would begin in the middle of one.
    let padded = settings().last_block(LastBlock::Padded);
    let error = open(padded.clone().block_bytes(None)).unwrap().lock().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("in blocks of 8192 bytes; block_bytes must say so"),
        "{error}"
    );
    let storage = open(padded.block_bytes(Some(16_384))).unwrap();
    drop(storage.lock().wait().unwrap());
}
