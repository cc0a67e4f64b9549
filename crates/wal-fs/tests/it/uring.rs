//! `UringStorage`: futures that are pending while the device works, and what is left when they are
//! dropped. Where the kernel has no io_uring the tests say that they are skipped.

use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::future::join_all;
use wal_core::{Access, ErrorKind, LogStorage, Lsn, Publish, Segment, WriteMode, block_on};
use wal_fs::{FileStorage, UringSettings, UringStorage};

const HEADER: u64 = 6;

/// A directory and a storage in it.
struct Log {
    dir: tempfile::TempDir,
    storage: UringStorage,
}

fn log_with(settings: UringSettings) -> Option<Log> {
    let dir = tempfile::tempdir().unwrap();
    match UringStorage::create_with(dir.path(), settings) {
        Ok(storage) => Some(Log { dir, storage }),
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            let thread = std::thread::current();
            let line = format!("skipped: {}: {error}\n", thread.name().unwrap_or("a test"));
            // Past the capture of the test harness.
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn log() -> Option<Log> {
    log_with(UringSettings::default().preallocate_bytes(16 << 10))
}

/// Segments that are filled from the beginning: a durable write is one operation of the ring.
fn filled_log() -> Option<Log> {
    log_with(UringSettings::default().preallocate_bytes(1 << 20))
}

impl Log {
    fn create(&self, name: u64) -> Arc<dyn Segment> {
        self.storage.create(Lsn::new(name), "header".into(), 1 << 20, Publish::New).wait().unwrap()
    }

    /// What another storage finds in a segment.
    fn found(&self, name: u64, len: usize) -> Bytes {
        let plain = FileStorage::open(self.dir.path()).unwrap();
        let reader = plain.open(Lsn::new(name), Access::Read).wait().unwrap();
        reader.read_at(HEADER, len).wait().unwrap()
    }
}

fn pattern(mark: u64, len: usize) -> Bytes {
    (0..len).map(|i| (mark * 31 + i as u64 % 251) as u8 | 1).collect::<Vec<_>>().into()
}

/// Starts an operation and drops its future.
fn abandon(operation: impl Future) {
    let _ = pin!(operation).poll(&mut Context::from_waker(Waker::noop()));
}

#[test]
fn every_length_in_every_mode_is_read_back() {
    let Some(log) = log() else { return };
    let segment = log.create(1);
    let mut model = Vec::new();
    // Within what was filled, over its end, far over its end, behind the capacity.
    let lengths = [1, 0, 4095, 12_000, 5000, 100, 70_000, 1, 900_000, 100_000, 7];
    for (n, len) in lengths.into_iter().enumerate() {
        for mode in [WriteMode::Through, WriteMode::Cached] {
            let data = pattern(n as u64, len);
            segment.write_at(HEADER + model.len() as u64, data.clone(), mode).wait().unwrap();
            model.extend_from_slice(&data);
        }
        segment.sync().wait().unwrap();
    }
    assert_eq!(segment.read_at(HEADER, model.len()).wait().unwrap(), model);
    assert_eq!(log.found(1, model.len()), model);
}

#[test]
fn what_waits_for_the_device_is_pending_and_what_does_not_is_ready() {
    let Some(log) = log() else { return };
    let segment = log.create(1);
    let mut cx = Context::from_waker(Waker::noop());
    let cached = segment.write_at(HEADER, pattern(1, 100), WriteMode::Cached);
    assert!(pin!(cached).poll(&mut cx).is_ready());
    // The ring's thread may be done before the future looks: now and then, not each time.
    let mut pending = [0, 0];
    for n in 0..50 {
        let through = segment.write_at(HEADER + n * 10, pattern(n, 10), WriteMode::Through);
        for (seen, mut operation) in pending.iter_mut().zip([through, segment.sync()]) {
            match pin!(&mut operation).poll(&mut cx) {
                Poll::Ready(done) => done.unwrap(),
                Poll::Pending => {
                    *seen += 1;
                    operation.wait().unwrap();
                }
            }
        }
    }
    assert!(!pending.contains(&0), "its caller waited for the device: {pending:?} pending of 50");
}

/// One thread, and the syncs of all segments under way at the same time.
#[test]
fn one_thread_syncs_many_segments_at_once() {
    for depth in [1, 4, 64] {
        let settings = UringSettings::default().preallocate_bytes(4096).queue_depth(depth);
        let Some(log) = log_with(settings) else { return };
        let segments: Vec<_> = (1..=40).map(|name| log.create(name)).collect();
        block_on(join_all(segments.iter().enumerate().map(async |(n, segment)| {
            for round in 0..5 {
                let at = HEADER + round * 100;
                segment.write_at(at, pattern(n as u64, 100), WriteMode::Through).await.unwrap();
                segment.sync().await.unwrap();
            }
        })));
        for n in 0..40 {
            assert_eq!(log.found(n + 1, 500), pattern(n, 100).repeat(5));
        }
    }
}

#[test]
fn what_was_given_up_is_done_before_what_follows() {
    let Some(log) = filled_log() else { return };
    for round in 0..50 {
        let segment = log.create(1);
        let large = pattern(round, 200_000);
        abandon(segment.write_at(HEADER, large.clone(), WriteMode::Through));
        abandon(segment.sync());
        match round % 3 {
            0 => segment.write_at(HEADER, pattern(99, 10), WriteMode::Cached).wait().unwrap(),
            1 => segment.write_at(HEADER, pattern(99, 10), WriteMode::Through).wait().unwrap(),
            _ => segment.truncate(HEADER + 10).wait().unwrap(),
        }
        segment.sync().wait().unwrap();
        if round % 3 == 2 {
            assert_eq!(segment.len().wait().unwrap(), HEADER + 10);
            assert_eq!(log.found(1, 100), large[..10]);
        } else {
            let expected = [&pattern(99, 10), &large[10..]].concat();
            assert_eq!(log.found(1, 200_000), expected);
        }
        log.storage.remove(&[Lsn::FIRST]).wait().unwrap();
    }
}

/// The removed file becomes another segment, which nobody may write to by the old handle's write.
#[test]
fn a_write_that_was_given_up_never_lands_in_a_recycled_segment() {
    let Some(log) = filled_log() else { return };
    let _lock = log.storage.lock().wait().unwrap();
    for round in 1..50 {
        let old = log.create(round);
        abandon(old.write_at(HEADER, vec![0xee; 400_000].into(), WriteMode::Through));
        drop(old);
        log.storage.remove(&[Lsn::new(round)]).wait().unwrap();
        let new = log.create(round + 1);
        let data = pattern(round, 300_000);
        new.write_at(HEADER, data.clone(), WriteMode::Cached).wait().unwrap();
        new.sync().wait().unwrap();
        assert_eq!(log.found(round + 1, data.len()), data);
        drop(new);
        // Its file is the next one's, and the one behind that, too.
        log.storage.remove(&[Lsn::new(round + 1)]).wait().unwrap();
    }
}

#[test]
fn the_lock_is_not_free_before_nothing_is_under_way() {
    let Some(log) = filled_log() else { return };
    for round in 0..30 {
        let lock = log.storage.lock().wait().unwrap();
        let name = round + 1;
        let segment = log.create(name);
        let data = pattern(round, 500_000);
        abandon(segment.write_at(HEADER, data.clone(), WriteMode::Through));
        let plain = FileStorage::open(log.dir.path()).unwrap();
        let reader = plain.open(Lsn::new(name), Access::Read).wait().unwrap();
        drop(lock);
        // At once: whoever has the lock next may be as quick.
        let end = reader.read_at(HEADER + data.len() as u64 - 8, 8).wait().unwrap();
        assert_eq!(end, data[data.len() - 8..]);
        let _other = FileStorage::open(log.dir.path()).unwrap().lock().wait().unwrap();
        assert_eq!(log.found(name, data.len()), data);
    }
}

#[test]
fn dropping_everything_waits_for_what_is_under_way() {
    for round in 0..30 {
        let Some(Log { dir, storage }) = filled_log() else { return };
        let segment =
            storage.create(Lsn::FIRST, "header".into(), 1 << 20, Publish::New).wait().unwrap();
        let data = pattern(round, 500_000);
        abandon(segment.write_at(HEADER, data.clone(), WriteMode::Through));
        drop(storage);
        drop(segment);
        let bytes = std::fs::read(dir.path().join("00000000000000000001.wal")).unwrap();
        assert_eq!(bytes[HEADER as usize..][..data.len()], data);
    }
}

#[test]
fn a_future_that_is_never_polled_does_nothing() {
    let Some(log) = log() else { return };
    let segment = log.create(1);
    drop(segment.write_at(HEADER, pattern(1, 100), WriteMode::Through));
    drop(segment.sync());
    segment.write_at(HEADER + 100, pattern(2, 100), WriteMode::Through).wait().unwrap();
    assert_eq!(log.found(1, 200), [vec![0; 100], pattern(2, 100).to_vec()].concat());
}

#[test]
fn a_segment_for_reading_refuses_what_changes_it() {
    let Some(log) = log() else { return };
    drop(log.create(1));
    let reader = log.storage.open(Lsn::FIRST, Access::Read).wait().unwrap();
    for mode in [WriteMode::Cached, WriteMode::Through] {
        let error = reader.write_at(HEADER, pattern(1, 10), mode).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
    }
    assert_eq!(reader.sync().wait().unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(reader.truncate(1).wait().unwrap_err().kind(), ErrorKind::Denied);
}

#[test]
fn a_place_that_no_file_has_is_refused_and_ends_the_syncs() {
    let Some(log) = log() else { return };
    let segment = log.create(1);
    // The sum of offset and length is no number: nothing was asked of the kernel.
    let error = segment.write_at(u64::MAX, pattern(1, 10), WriteMode::Through).wait().unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Full, Some(u64::MAX)));
    segment.sync().wait().unwrap();
    // Only the kernel can tell; so it says nothing about what was written before.
    let error = segment.write_at(1 << 63, pattern(1, 10), WriteMode::Through).wait().unwrap_err();
    assert_eq!((error.op(), error.offset()), ("write through", Some(1 << 63)));
    let error = segment.sync().wait().unwrap_err();
    assert!(error.chain().to_string().contains("an earlier sync of this file failed"), "{error:?}");
    let again = segment.write_at(HEADER, pattern(1, 10), WriteMode::Through).wait().unwrap_err();
    assert!(again.chain().to_string().contains("an earlier sync of this file failed"), "{again:?}");
}

/// Nobody heard of the failure, and it counts.
#[test]
fn a_failure_that_nobody_waited_for_ends_the_syncs_too() {
    let Some(log) = log() else { return };
    let segment = log.create(1);
    abandon(segment.write_at(1 << 63, pattern(1, 10), WriteMode::Through));
    let error = segment.sync().wait().unwrap_err();
    assert!(error.chain().to_string().contains("an earlier sync of this file failed"), "{error:?}");
}

#[test]
fn settings_and_places_are_checked() {
    let Some(log) = log() else { return };
    let dir = log.dir.path();
    let open = |settings| UringStorage::open_with(dir, settings).unwrap_err();
    let error = open(UringSettings::default().queue_depth(0));
    assert!(error.to_string().contains("queue_depth is 0, allowed are 1 to 4096"), "{error}");
    let missing = UringStorage::open(dir.join("missing")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    // One request is a durable write where the file system is trusted with it, or where a setting says so.
    let trusts = |trust| {
        let settings = UringSettings::default().trust_write_through(trust);
        UringStorage::open_with(dir, settings).unwrap().capabilities().write_through
    };
    assert_eq!(trusts(None), wal_fs::FileSystem::profile(&wal_fs::RealFs, dir).write_through);
    assert!(trusts(Some(true)) && !trusts(Some(false)));
}

#[test]
fn where_one_request_is_not_believed_two_make_it_durable() {
    let Some(log) = log() else { return };
    let settings = UringSettings::default().trust_write_through(Some(false));
    let storage = UringStorage::open_with(log.dir.path(), settings).unwrap();
    let segment =
        storage.create(Lsn::FIRST, pattern(1, 4096), 1 << 20, Publish::New).wait().unwrap();
    for n in 0..5 {
        let at = 4096 + n * 3000;
        segment.write_at(at, pattern(n, 3000), WriteMode::Through).wait().unwrap();
        assert_eq!(segment.read_at(at, 3000).wait().unwrap(), pattern(n, 3000));
    }
}
