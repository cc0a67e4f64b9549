//! `commit_in_place`: a task that finds nobody at work commits on its own thread, without the driver.

use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::thread;

use crate::support::*;
use wal_core::*;

/// Nobody drives this log.
fn open(probe: &Probe, strategy: impl SyncStrategy, in_place: bool) -> AsyncWal {
    probe.open_still(strategy, Settings::default().commit_in_place(in_place)).asynchronous()
}

fn poll<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

#[test]
fn the_first_poll_makes_a_record_durable() {
    let probe = Probe::default();
    let log = open(&probe, always(), true);
    for n in 1..=10 {
        assert_eq!(poll(log.append(b"x")).unwrap().unwrap(), Lsn::new(n));
        assert_eq!(log.blocking().durable_lsn(), Lsn::new(n));
    }
    let batch = [b"a", b"b"].map(|record| record.to_vec());
    assert_eq!(poll(log.append_batch(&batch)).unwrap().unwrap().last, Lsn::new(12));
    assert_eq!(probe.syncs(), 11);
}

#[test]
fn and_hands_one_to_the_storage_that_must_survive_the_process() {
    let probe = Probe::default();
    let log = open(&probe, os(), true);
    poll(log.append(b"x")).unwrap().unwrap();
    assert_eq!((log.blocking().written_lsn(), probe.syncs()), (Lsn::FIRST, 0));
    poll(log.append_with(b"y", Durability::Durable)).unwrap().unwrap();
    assert_eq!((log.blocking().durable_lsn(), probe.syncs()), (Lsn::new(2), 1));
    // This one is in memory, and that is all it was asked to be.
    poll(log.append_with(b"z", Durability::Buffered)).unwrap().unwrap();
    assert_eq!(log.blocking().written_lsn(), Lsn::new(2));
}

#[test]
fn unless_it_is_wanted_a_task_leaves_all_that_to_the_driver() {
    let probe = Probe::default();
    let log = open(&probe, always(), false);
    assert!(poll(log.append(b"x")).is_none());
    assert_eq!((probe.writes(), probe.syncs()), (0, 0));
}

#[test]
fn beside_a_commit_a_task_waits_and_blocks_nobody() {
    let probe = Probe::default();
    let log = open(&probe, always(), true);
    probe.control.hold_syncs();
    thread::scope(|scope| {
        let first = scope.spawn(|| block_on(log.append(b"first")));
        probe.control.wait_for_stalled_sync();
        let mut second = pin!(log.append(b"second"));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        probe.control.release_syncs();
        first.join().unwrap().unwrap();
        // The commit of the first left work behind, for the driver.
        assert_eq!(log.blocking().drive(), Drive::Worked);
        assert!(matches!(second.poll(&mut cx), Poll::Ready(Ok(lsn)) if lsn == Lsn::new(2)));
    });
}

#[test]
fn a_failed_sync_is_told_at_once_and_to_everybody_after() {
    let probe = Probe::default();
    let log = open(&probe, always(), true);
    probe.control.fail_sync.store(1, Ordering::SeqCst);
    assert_eq!(poll(log.append(b"x")).unwrap().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(poll(log.append(b"y")).unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn a_storage_that_panics_in_place_leaves_nobody_waiting() {
    let probe = Probe::default();
    let log = open(&probe, always(), true);
    probe.control.panic_in_sync.store(true, Ordering::SeqCst);
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| poll(log.append(b"x"))));
    assert!(panicked.is_err());
    assert_eq!(poll(log.append(b"y")).unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_still_share_syncs_and_none_is_forgotten() {
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default().commit_in_place(true)).asynchronous();
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let log = log.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    let lsn = log.append(b"x").await.unwrap();
                    assert!(log.blocking().durable_lsn() >= lsn);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(log.blocking().durable_lsn(), Lsn::new(10_000));
    assert!(probe.syncs() < 10_000, "{} syncs", probe.syncs());
    log.close().await.unwrap();
}
