//! How work is handed from one caller to the next, and how those who wait are told.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crate::support::*;
use wal_core::*;

#[test]
fn what_gathers_in_memory_during_a_slow_write_is_written_next() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default().buffer_delay(Duration::from_secs(3600)));
    thread::sleep(Duration::from_millis(20));
    probe.control.writing.shut();
    thread::scope(|scope| {
        let first = scope.spawn(|| log.append(b"leads").unwrap());
        probe.control.writing.wait_for_stalled();
        let last = log.append_with(&[1; 300 << 10], Durability::Buffered).unwrap();
        // Now the driver sleeps again: the write that it could make is in other hands.
        thread::sleep(Duration::from_millis(20));
        probe.control.writing.open();
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
    let log = memory_log(always()).asynchronous();
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
        let log = memory_log(always()).asynchronous();
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
    let log = memory_log(always()).asynchronous();
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
    .asynchronous();
    let mut append = pin!(log.append(b"x"));
    assert!(append.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(append.as_mut().poll(&mut cx).is_pending());
    log.blocking().sync().unwrap();
    assert_eq!(new.0.load(Ordering::SeqCst), 2);
    assert!(matches!(append.as_mut().poll(&mut cx), Poll::Ready(Ok(Lsn::FIRST))));
}
