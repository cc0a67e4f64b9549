//! No write, no sync and no new segment on the thread that polls. Reads are made there, as the documentation says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use crate::support::{always, empty_log, os};
use bytes::Bytes;
use futures_util::StreamExt;
use wal_core::*;

/// Memory that notes, for one thread, the calls that would wait for a device.
#[derive(Clone)]
struct Watched {
    memory: MemoryStorage,
    watch: Arc<Watch>,
}

struct Watch {
    thread: ThreadId,
    calls: Mutex<Vec<&'static str>>,
    /// Those that only read.
    reads: Mutex<Vec<&'static str>>,
    elsewhere: AtomicU64,
}

impl Watch {
    fn saw(&self, call: &'static str) {
        if thread::current().id() == self.thread {
            self.calls.lock().unwrap().push(call);
        } else {
            self.elsewhere.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn read(&self, call: &'static str) {
        if thread::current().id() == self.thread {
            self.reads.lock().unwrap().push(call);
        }
    }

    /// What was read on the thread since this was asked last.
    fn take_reads(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.reads.lock().unwrap())
    }
}

struct WatchedSegment(Arc<dyn Segment>, Arc<Watch>);

impl Watched {
    fn new() -> Self {
        let watch = Watch {
            thread: thread::current().id(),
            calls: Mutex::default(),
            reads: Mutex::default(),
            elsewhere: AtomicU64::new(0),
        };
        Watched { memory: MemoryStorage::new(), watch: Arc::new(watch) }
    }
}

impl LogStorage for Watched {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }
    fn describe(&self) -> String {
        "watched".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.memory.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.watch.read("list");
        self.memory.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.watch.saw("stage");
        let (staged, watch) = (self.memory.stage(name, capacity), self.watch.clone());
        staged
            .map(move |staged| staged.wrap(move |segment| Arc::new(WatchedSegment(segment, watch))))
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.watch.read("open");
        let watch = self.watch.clone();
        self.memory.open(name, access).map(|inner| Arc::new(WatchedSegment(inner, watch)) as _)
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.watch.saw("remove");
        self.memory.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.watch.saw("set_aside");
        self.memory.set_aside(label, data)
    }
}

impl Segment for WatchedSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        self.1.saw("write_at");
        self.0.write_at(offset, data, mode)
    }
    fn sync(&self) -> Io<'_, ()> {
        self.1.saw("sync");
        self.0.sync()
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.1.read("read_at");
        self.0.read_at(offset, len)
    }
    fn len(&self) -> Io<'_, u64> {
        self.1.read("len");
        self.0.len()
    }
    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.1.saw("truncate");
        self.0.truncate(len)
    }
}

/// Ten records wait in the buffer; to write them takes some segments. The strategy wants no sync, which the driver would
/// make at any moment.
async fn buffered(watched: &Watched) -> AsyncWal {
    let settings =
        Settings::default().segment_size(4096).buffer_delay(std::time::Duration::from_secs(60));
    let builder = Wal::builder(os()).settings(settings);
    let log = builder.open_async(empty_log(watched.clone())).unwrap();
    for _ in 0..10 {
        log.append_with(&[7; 1000], Durability::Buffered).await.unwrap();
    }
    assert_eq!(watched.watch.elsewhere.load(Ordering::SeqCst), 0, "nothing is written yet");
    log
}

#[test]
fn nothing_that_a_task_does_is_written_or_synced_where_it_is_polled() {
    let watched = Watched::new();
    let held = crate::support::within_a_minute(async {
        let log = buffered(&watched).await;
        assert_eq!(log.read(Lsn::new(10)).await.unwrap().record, [7; 1000][..]);

        for _ in 0..10 {
            log.append_with(&[7; 1000], Durability::Buffered).await.unwrap();
        }
        assert_eq!(log.stream(Lsn::ZERO).unwrap().count().await, 20);

        log.append_with(&[7; 1000], Durability::Durable).await.unwrap();
        assert_eq!(log.follow(Lsn::new(20)).unwrap().take(2).count().await, 2);
        log.sync().await.unwrap();
        log.truncate_before(Lsn::new(9)).await.unwrap();
        log.truncate_after(Lsn::new(15)).await.unwrap();
        log.close().await.unwrap();
        log
    });
    drop(held);
    assert_eq!(*watched.watch.calls.lock().unwrap(), [""; 0]);
    assert!(watched.watch.elsewhere.load(Ordering::SeqCst) > 20, "the driver has done all of that");
}

#[test]
fn a_task_reads_where_it_is_polled_and_only_to_read() {
    let watched = Watched::new();
    let held = crate::support::within_a_minute(async {
        let log = buffered(&watched).await;
        watched.watch.take_reads();
        log.append_with(&[7; 1000], Durability::Durable).await.unwrap();
        log.truncate_before(Lsn::new(5)).await.unwrap();
        assert_eq!(watched.watch.take_reads(), [""; 0], "neither appends nor truncates by reading");
        log.read(Lsn::new(10)).await.unwrap();
        assert_eq!(watched.watch.take_reads(), ["open", "read_at"]);
        assert_eq!(log.stream(Lsn::ZERO).unwrap().count().await, 7);
        let mut reads = watched.watch.take_reads();
        reads.sort_unstable();
        reads.dedup();
        assert_eq!(reads, ["open", "read_at"]);
        log.close().await.unwrap();
        log
    });
    drop(held);
    assert_eq!(*watched.watch.calls.lock().unwrap(), [""; 0]);
}

#[test]
fn an_old_record_is_read_without_waiting_for_the_records_behind_it() {
    let probe = crate::support::Probe::default();
    let log = probe.open(always(), Settings::default()).asynchronous();
    let read = crate::support::within_a_minute(async {
        log.append(b"old").await.unwrap();
        probe.control.hold_syncs();
        let blocking = log.blocking();
        let stalled = thread::spawn(move || blocking.append(b"its sync stalls"));
        probe.control.wait_for_stalled_sync();
        log.append_with(b"in the buffer", Durability::Buffered).await.unwrap();
        let read = log.read(Lsn::FIRST).await;
        let first = log.stream(Lsn::ZERO).unwrap().next().await;
        probe.control.release_syncs();
        stalled.join().unwrap().unwrap();
        (read, first)
    });
    assert_eq!(read.0.unwrap().record, "old");
    assert_eq!(read.1.unwrap().unwrap().record, "old");
}
