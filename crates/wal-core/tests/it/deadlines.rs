//! Who is in a hurry and who is not: when records are written and synced, and when they are left.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use crate::support::*;
use wal_core::*;

const HOUR: Duration = Duration::from_secs(3600);

fn within(wait: Duration) -> impl SyncStrategy {
    Rule(move |tail: &TailView| match tail.trigger {
        Trigger::Deadline => Decision::written(SyncWhen::Now),
        _ => Decision::written(SyncWhen::Within(wait)),
    })
}

#[test]
fn a_critical_record_does_not_wait_for_a_deadline_that_is_far_away() {
    let probe = Probe::default();
    let log = probe.open(within(HOUR), Settings::default());
    log.append(b"an hour will do").unwrap();
    let critical = log.clone();
    thread::spawn(move || critical.append_with(b"at once", Durability::Durable));
    eventually("the critical record is durable", || log.durable_lsn() == Lsn::new(2));
}

#[test]
fn waiting_for_a_record_syncs_it_and_waiting_for_a_later_one_syncs_nothing() {
    let probe = Probe::default();
    let log = probe.open_still(os(), Settings::default());
    log.append(b"first").unwrap();
    let patient = log.clone();
    let patient = thread::spawn(move || patient.wait_durable(Lsn::new(3)));
    let tasks = log.asynchronous();
    let mut task = pin!(tasks.wait_durable(Lsn::new(3)));
    assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    thread::sleep(Duration::from_millis(20));
    log.append(b"second").unwrap();
    assert_eq!((log.drive(), probe.syncs()), (Drive::Idle, 0), "nobody waits for these");

    let waiting = log.clone();
    thread::spawn(move || waiting.wait_durable(Lsn::new(2)));
    eventually("the record that is waited for is synced", || log.durable_lsn() == Lsn::new(2));
    assert_eq!(probe.syncs(), 1);
    log.close().unwrap();
    assert_eq!(patient.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_wait_that_was_given_up_makes_nobody_hurry() {
    let probe = Probe::default();
    let log = probe.open_still(os(), Settings::default());
    let tasks = log.asynchronous();
    let mut cx = Context::from_waker(Waker::noop());
    let mut one = pin!(tasks.wait_durable(Lsn::new(1)));
    assert!(one.as_mut().poll(&mut cx).is_pending());
    let mut two = Box::pin(tasks.wait_durable(Lsn::new(2)));
    assert!(two.as_mut().poll(&mut cx).is_pending());
    drop(two);
    log.append(b"first").unwrap();
    log.sync().unwrap();
    log.append(b"second").unwrap();
    assert_eq!((log.drive(), probe.syncs()), (Drive::Idle, 1));
}

#[test]
fn asking_for_a_sync_of_what_is_durable_gives_nobody_work() {
    let probe = Probe::default();
    let log = probe.open_still(always(), Settings::default());
    log.append(b"x").unwrap();
    let tasks = log.asynchronous();
    assert_eq!(block_on(tasks.sync()).unwrap(), Lsn::new(1));
    assert_eq!((log.drive(), probe.syncs()), (Drive::Idle, 1));
}

#[test]
fn buffered_records_are_gathered_until_they_are_many() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default().buffer_delay(HOUR));
    thread::sleep(Duration::from_millis(20));
    for _ in 0..10 {
        log.append_with(&[1; 20 << 10], Durability::Buffered).unwrap();
    }
    thread::sleep(Duration::from_millis(20));
    assert_eq!(probe.writes(), 0, "200 KiB can wait");
    let last = log.append_with(&[1; 100 << 10], Durability::Buffered).unwrap();
    eventually("300 KiB are handed over", || log.written_lsn() == last);
    assert_eq!(probe.syncs(), 0);
}

#[test]
fn a_deadline_wakes_a_driver_that_sleeps_already() {
    let probe = Probe::default();
    let log = probe.open(within(Duration::from_millis(5)), Settings::default());
    thread::sleep(Duration::from_millis(50));
    let lsn = log.append(b"x").unwrap();
    eventually("the tail is synced", || log.durable_lsn() == lsn);
    // From one deadline far away to a near one.
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default().buffer_delay(HOUR));
    log.append_with(b"an hour", Durability::Buffered).unwrap();
    thread::sleep(Duration::from_millis(50));
    let tasks = log.asynchronous();
    assert_eq!(block_on(tasks.append(b"now")).unwrap(), Lsn::new(2));
}

#[test]
fn a_task_that_arrives_beside_the_sync_of_a_thread_is_synced_next() {
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default());
    thread::sleep(Duration::from_millis(20));
    probe.control.hold_syncs();
    let thread = log.clone();
    let thread = thread::spawn(move || thread.append(b"leads"));
    probe.control.wait_for_stalled_sync();
    let tasks = log.asynchronous();
    let mut task = pin!(tasks.append(b"comes beside it"));
    assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    probe.control.release_syncs();
    thread.join().unwrap().unwrap();
    eventually("nobody else asks, yet the task is served", || log.durable_lsn() == Lsn::new(2));
}

#[test]
fn a_thread_behind_a_task_that_gave_up_leads_the_next_sync() {
    let probe = Probe::default();
    let log = probe.open_still(always(), Settings::default());
    probe.control.hold_syncs();
    let first = log.clone();
    let first = thread::spawn(move || first.append(b"leads"));
    probe.control.wait_for_stalled_sync();
    let tasks = log.asynchronous();
    let mut task = Box::pin(tasks.append(b"gives up"));
    assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let behind = log.clone();
    let behind = thread::spawn(move || behind.append(b"behind it"));
    eventually("it is framed", || log.last_lsn() == Lsn::new(3));
    thread::sleep(Duration::from_millis(20));
    drop(task);
    probe.control.release_syncs();
    first.join().unwrap().unwrap();
    eventually("no driver is there to help", || log.durable_lsn() == Lsn::new(3));
    behind.join().unwrap().unwrap();
}

/// Counts how often it is read.
struct CountingClock(Arc<AtomicU64>, SystemClock);

impl Clock for CountingClock {
    fn monotonic(&self) -> Duration {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.monotonic()
    }
    fn wall(&self) -> Timestamp {
        self.1.wall()
    }
}

#[test]
fn a_driver_sleeps_until_its_deadline() {
    let probe = Probe::default();
    let read = Arc::new(AtomicU64::new(0));
    let clock = CountingClock(read.clone(), SystemClock::new());
    let log = Wal::builder(within(HOUR)).clock(clock).open(probe.recovered()).unwrap();
    log.append(b"x").unwrap();
    thread::sleep(Duration::from_millis(50));
    assert!(read.load(Ordering::SeqCst) < 100, "it looked {read:?} times whether an hour is over");
}

#[test]
fn dropping_a_log_waits_for_what_its_driver_has_begun() {
    let (begun, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (begin, end) = (begun.clone(), ended.clone());
    let log = Wal::builder(within(Duration::from_millis(1)))
        .on_event(move |event| {
            if matches!(event, Event::Synced { .. }) {
                begin.store(true, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(50));
                end.store(true, Ordering::SeqCst);
            }
        })
        .open(MemoryStorage::new().into_empty_log().unwrap())
        .unwrap();
    log.append(b"x").unwrap();
    eventually("the driver syncs", || begun.load(Ordering::SeqCst));
    drop(log);
    assert!(ended.load(Ordering::SeqCst));
}

/// Who waits for a write needs no sync, and who waits for what is durable needs nothing.
#[test]
fn nothing_is_synced_for_those_who_need_none() {
    let probe = Probe::default();
    let log = probe.open_still(os(), Settings::default());
    log.submit_with(b"written", Durability::Written).unwrap().wait().unwrap();
    assert_eq!((log.drive(), probe.syncs()), (Drive::Idle, 0));
    log.append_with(b"durable", Durability::Durable).unwrap();
    let syncs = probe.syncs();
    let tasks = log.asynchronous();
    block_on(tasks.wait_durable(Lsn::new(2))).unwrap();
    assert_eq!((log.drive(), probe.syncs()), (Drive::Idle, syncs));
    log.close().unwrap();
    block_on(tasks.wait_durable(Lsn::new(2))).unwrap();
    log.wait_durable(Lsn::new(2)).unwrap();
}

/// While nobody waits, a strategy may let its own deadline pass. The wait itself then asks for the sync.
#[test]
fn who_waits_for_a_record_that_no_strategy_wants_to_sync_has_it_synced() {
    let probe = Probe::default();
    let strategy = Rule(|tail: &TailView| match tail.trigger {
        Trigger::Append => Decision::durable(SyncWhen::Within(Duration::from_millis(1))),
        _ => Decision::durable(SyncWhen::OnRequest),
    });
    let log = probe.open_still(strategy, Settings::default());
    let submitted = log.submit(b"x").unwrap();
    thread::sleep(Duration::from_millis(5));
    while log.drive() == Drive::Worked {}
    assert_eq!(probe.syncs(), 0, "nobody waits for it yet");
    submitted.wait().unwrap();
    assert_eq!((log.durable_lsn(), probe.syncs()), (Lsn::FIRST, 1));
}
