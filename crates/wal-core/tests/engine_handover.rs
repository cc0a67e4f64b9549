//! How work is handed from one caller to the next, and how those who wait are told.

mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use support::*;
use wal_core::*;

/// A memory whose writes can be held up.
#[derive(Clone, Default)]
struct Gated {
    probe: Probe,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    closed: Mutex<(bool, u64)>,
    changed: Condvar,
}

impl Gate {
    fn close(&self) {
        self.closed.lock().unwrap().0 = true;
    }
    fn open(&self) {
        self.closed.lock().unwrap().0 = false;
        self.changed.notify_all();
    }
    fn pass(&self) {
        let mut closed = self.closed.lock().unwrap();
        closed.1 += 1;
        self.changed.notify_all();
        while closed.0 {
            closed = self.changed.wait(closed).unwrap();
        }
        closed.1 -= 1;
    }
    fn wait_for_stalled_write(&self) {
        let mut closed = self.closed.lock().unwrap();
        while closed.1 == 0 {
            closed = self.changed.wait(closed).unwrap();
        }
    }
}

struct GatedSegment(Arc<dyn Segment>, Arc<Gate>);

impl Segment for GatedSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        self.1.pass();
        self.0.write_at(offset, data, mode)
    }
    fn sync(&self) -> Io<'_, ()> {
        self.0.sync()
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.0.read_at(offset, len)
    }
    fn len(&self) -> Io<'_, u64> {
        self.0.len()
    }
    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.0.truncate(len)
    }
}

impl LogStorage for Gated {
    fn capabilities(&self) -> Capabilities {
        self.probe.capabilities()
    }
    fn describe(&self) -> String {
        "gated".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.probe.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.probe.list()
    }
    fn create(&self, name: Lsn, header: Bytes, capacity: u64) -> Io<'_, Arc<dyn Segment>> {
        let inner = self.probe.create(name, header, capacity).wait();
        Io::ready(inner.map(|s| Arc::new(GatedSegment(s, self.gate.clone())) as Arc<dyn Segment>))
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.probe.memory.open(name, access)
    }
    fn remove(&self, name: Lsn) -> Io<'_, ()> {
        self.probe.remove(name)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.probe.set_aside(label, data)
    }
}

impl Gated {
    fn open_log(&self) -> Wal {
        let mut recovered = self.probe.memory.clone().into_empty_log().unwrap();
        recovered.storage = Arc::new(self.clone());
        let settings = Settings::default().buffer_delay(Duration::from_secs(3600));
        Wal::builder(os()).settings(settings).open(recovered).unwrap()
    }
}

#[test]
fn writers_who_queue_behind_a_slow_write_go_on_without_a_sync() {
    let storage = Gated::default();
    let log = storage.open_log();
    storage.gate.close();
    thread::scope(|scope| {
        let first = scope.spawn(|| log.append(b"leads").unwrap());
        storage.gate.wait_for_stalled_write();
        let rest: Vec<_> = (0..3).map(|_| scope.spawn(|| log.append(b"queues").unwrap())).collect();
        eventually("all are framed", || log.last_lsn() == Lsn::new(4));
        thread::sleep(Duration::from_millis(20));
        assert_eq!(log.written_lsn(), Lsn::ZERO);
        storage.gate.open();
        first.join().unwrap();
        for writer in rest {
            writer.join().unwrap();
        }
    });
    assert_eq!((log.written_lsn(), log.stats().writes), (Lsn::new(4), 2), "they share a write");
    assert_eq!(log.append(b"later").unwrap(), Lsn::new(5));
    assert_eq!((log.written_lsn(), storage.probe.syncs()), (Lsn::new(5), 0));
}

#[test]
fn what_gathers_in_memory_during_a_slow_write_is_written_next() {
    let storage = Gated::default();
    let log = storage.open_log();
    thread::sleep(Duration::from_millis(20));
    storage.gate.close();
    thread::scope(|scope| {
        let first = scope.spawn(|| log.append(b"leads").unwrap());
        storage.gate.wait_for_stalled_write();
        let last = log.append_with(&[1; 300 << 10], Durability::Buffered).unwrap();
        // Now the driver sleeps again: the write that it could make is in other hands.
        thread::sleep(Duration::from_millis(20));
        storage.gate.open();
        first.join().unwrap();
        eventually("nobody else asks, yet it is written", || log.written_lsn() == last);
    });
}

#[test]
fn a_sync_that_ends_after_the_log_failed_acknowledges_nothing() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default());
    log.append(b"written").unwrap();
    probe.control.fail_write.store(2, Ordering::SeqCst);
    probe.control.hold_syncs();
    thread::scope(|scope| {
        let sync = scope.spawn(|| log.sync());
        probe.control.wait_for_stalled_sync();
        assert_eq!(log.append(b"no room").unwrap_err().kind(), ErrorKind::Full);
        probe.control.release_syncs();
        assert_eq!(sync.join().unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
    });
    assert_eq!(log.durable_lsn(), Lsn::ZERO);
}

struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

type Task<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// A task that waits until `lsn` is durable, and the bell that tells whether it was woken.
fn waiter(log: &AsyncWal, lsn: u64) -> (Task<'_>, Arc<Bell>) {
    let mut task: Task<'_> = Box::pin(log.wait_durable(Lsn::new(lsn)));
    let bell = Arc::new(Bell(AtomicU64::new(0)));
    let waker = Waker::from(bell.clone());
    assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    (task, bell)
}

fn rung(bell: &Bell) -> bool {
    bell.0.load(Ordering::SeqCst) > 0
}

#[test]
fn tasks_are_woken_in_the_order_of_their_records_however_they_came() {
    let log = memory_log(always()).into_async();
    let (_one, one) = waiter(&log, 1);
    let (_three, three) = waiter(&log, 3);
    let (_two, two) = waiter(&log, 2);
    let (_four, four) = waiter(&log, 4);
    for (lsn, expected) in
        [(1, [true, false, false]), (2, [true, true, false]), (3, [true, true, true])]
    {
        assert_eq!(log.blocking().append(b"x").unwrap(), Lsn::new(lsn));
        assert_eq!([rung(&one), rung(&two), rung(&three)], expected, "LSN {lsn} is durable");
    }
    assert!(!rung(&four));
}

#[test]
fn of_two_tasks_that_wait_for_one_record_either_may_give_up() {
    for drop_first in [true, false] {
        let log = memory_log(always()).into_async();
        let (first, first_bell) = waiter(&log, 1);
        let (second, second_bell) = waiter(&log, 1);
        let (_kept, bell, gone) = if drop_first {
            drop(first);
            (second, second_bell, first_bell)
        } else {
            drop(second);
            (first, first_bell, second_bell)
        };
        log.blocking().append(b"x").unwrap();
        assert!(rung(&bell), "the other one waits still");
        assert!(!rung(&gone));
    }
}

#[test]
fn a_task_that_moved_is_woken_where_it_is_now() {
    let log = memory_log(always()).into_async();
    let (mut task, old) = waiter(&log, 1);
    let new = Arc::new(Bell(AtomicU64::new(0)));
    let waker = Waker::from(new.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(task.as_mut().poll(&mut cx).is_pending());
    log.blocking().append(b"x").unwrap();
    assert_eq!((rung(&old), new.0.load(Ordering::SeqCst)), (false, 1));
    assert!(matches!(task.as_mut().poll(&mut cx), Poll::Ready(Ok(()))));
    // The same for an append that was framed.
    let log = memory_log(Rule(|tail: &TailView| match tail.trigger {
        Trigger::Append => Decision::durable(SyncWhen::Within(Duration::from_secs(3600))),
        _ => Decision::durable(SyncWhen::Now),
    }))
    .into_async();
    let mut append = pin!(log.append(b"x"));
    assert!(append.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(append.as_mut().poll(&mut cx).is_pending());
    log.blocking().sync().unwrap();
    assert_eq!(new.0.load(Ordering::SeqCst), 2);
    assert!(matches!(append.as_mut().poll(&mut cx), Poll::Ready(Ok(Lsn::FIRST))));
}
