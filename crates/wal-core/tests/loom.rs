//! Models of the commit pipeline for loom: all interleavings of a few threads with up to two or three
//! preemptions.
//!
//! Run with `RUSTFLAGS="--cfg wal_loom" cargo test -p wal-core --test loom --release`.
#![cfg(wal_loom)]

use std::sync::Arc;

use bytes::Bytes;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;
use wal_core::*;

struct Always;

impl SyncStrategy for Always {
    fn name(&self) -> String {
        "always".into()
    }
    fn claim(&self) -> Claim {
        Claim::NOTHING_LOST
    }
    fn decide(&self, _: &TailView) -> Decision {
        Decision::durable(SyncWhen::Now)
    }
}

/// Knows how many bytes were written and how many of them are durable; a crash freezes it.
#[derive(Default)]
struct Disk {
    written: AtomicU64,
    durable: AtomicU64,
    syncs: AtomicU64,
    frozen: AtomicBool,
    fail_sync: bool,
}

#[derive(Clone)]
struct Storage(MemoryStorage, Arc<Disk>);
struct DiskSegment(Arc<Disk>);

impl LogStorage for Storage {
    fn capabilities(&self) -> Capabilities {
        Capabilities::durable()
    }
    fn describe(&self) -> String {
        "model".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.0.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.0.list()
    }
    fn create(&self, _: Lsn, _: Bytes, _: u64) -> Io<'_, Arc<dyn Segment>> {
        Io::ready(Ok(Arc::new(DiskSegment(self.1.clone()))))
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.0.open(name, access)
    }
    fn remove(&self, _: Lsn) -> Io<'_, ()> {
        Io::ready(Ok(()))
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.0.set_aside(label, data)
    }
}

impl Segment for DiskSegment {
    fn write_at(&self, offset: u64, data: Bytes, _: WriteMode) -> Io<'_, ()> {
        self.0.written.store(offset + data.len() as u64, Ordering::SeqCst);
        Io::ready(Ok(()))
    }
    fn sync(&self) -> Io<'_, ()> {
        let covered = self.0.written.load(Ordering::SeqCst);
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        // Time passes; whatever is written meanwhile is not covered.
        thread::yield_now();
        if self.0.fail_sync {
            return Io::ready(Err(Error::new(ErrorKind::Io, "sync")));
        }
        if !self.0.frozen.load(Ordering::SeqCst) {
            self.0.durable.store(covered, Ordering::SeqCst);
        }
        Io::ready(Ok(()))
    }
    fn read_at(&self, _: u64, _: usize) -> Io<'_, Bytes> {
        Io::ready(Ok(Bytes::new()))
    }
    fn len(&self) -> Io<'_, u64> {
        Io::ready(Ok(0))
    }
    fn truncate(&self, _: u64) -> Io<'_, ()> {
        Io::ready(Ok(()))
    }
}

const FRAME: u64 = 25;

fn open(disk: &Arc<Disk>) -> Wal {
    let mut recovered = MemoryStorage::new().into_empty_log().unwrap();
    recovered.storage = Arc::new(Storage(MemoryStorage::new(), disk.clone()));
    Wal::builder(Always).manual_driver().open(recovered).unwrap()
}

fn model(preemptions: Option<usize>, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(f);
}

/// What was acknowledged lies below what is durable, at the moment it is acknowledged.
fn append_and_check(log: &Wal, disk: &Disk) {
    let lsn = log.append(b"x").unwrap();
    if !disk.frozen.load(Ordering::SeqCst) {
        assert!(disk.durable.load(Ordering::SeqCst) >= 128 + lsn.get() * FRAME);
    }
}

fn appenders(threads: usize, preemptions: Option<usize>) {
    model(preemptions, move || {
        let disk = Arc::new(Disk::default());
        let log = open(&disk);
        let handles: Vec<_> = (1..threads)
            .map(|_| {
                let (log, disk) = (log.clone(), disk.clone());
                thread::spawn(move || append_and_check(&log, &disk))
            })
            .collect();
        append_and_check(&log, &disk);
        handles.into_iter().for_each(|h| h.join().unwrap());
        assert_eq!(log.durable_lsn(), Lsn::new(threads as u64));
    });
}

#[test]
fn loom_two_appenders() {
    appenders(2, Some(3));
}

#[test]
fn loom_three_appenders() {
    appenders(3, Some(2));
}

#[test]
fn loom_a_failed_sync_acknowledges_nobody_and_leaves_nobody_waiting() {
    model(Some(3), || {
        let disk = Arc::new(Disk { fail_sync: true, ..Disk::default() });
        let log = open(&disk);
        let other = log.clone();
        let handle = thread::spawn(move || other.append(b"x").is_err());
        assert!(log.append(b"x").is_err());
        assert!(handle.join().unwrap());
        assert_eq!(disk.syncs.load(Ordering::SeqCst), 1, "a failed sync is never tried again");
    });
}

#[test]
fn loom_close_beside_an_append() {
    model(Some(3), || {
        let disk = Arc::new(Disk::default());
        let log = open(&disk);
        let other = log.clone();
        let handle = thread::spawn(move || other.append(b"x"));
        log.close().unwrap();
        match handle.join().unwrap() {
            Ok(lsn) => assert!(log.durable_lsn() >= lsn),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
        }
    });
}

/// Drives the log as its own thread would, until `upto` is durable.
fn drive_until(log: &Wal, upto: u64) {
    while log.durable_lsn() < Lsn::new(upto) {
        if log.drive() != Drive::Worked {
            thread::yield_now();
        }
    }
}

#[test]
fn loom_a_task_is_woken_by_the_driver() {
    model(Some(2), || {
        let disk = Arc::new(Disk::default());
        let log = open(&disk);
        let task = log.clone().into_async();
        let handle = thread::spawn(move || loom::future::block_on(task.append(b"x")).unwrap());
        drive_until(&log, 1);
        assert_eq!(handle.join().unwrap(), Lsn::FIRST);
    });
}

#[test]
fn loom_a_dropped_append_beside_a_blocking_one() {
    model(Some(2), || {
        let disk = Arc::new(Disk::default());
        let log = open(&disk);
        let task = log.clone().into_async();
        let handle = thread::spawn(move || {
            use std::future::Future;
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let mut append = Box::pin(task.append(b"x"));
            drop(append.as_mut().poll(&mut cx));
        });
        append_and_check(&log, &disk);
        handle.join().unwrap();
        log.sync().unwrap();
        assert_eq!(log.durable_lsn(), Lsn::new(2), "the dropped one's record is there, once");
    });
}
