//! The asynchronous interface: ten thousand tasks, dropped futures, a full buffer, failures.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::support::*;
use futures_util::StreamExt;
use wal_core::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_are_all_acknowledged_durably() {
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default()).asynchronous();
    let tasks: Vec<_> = (0..10_000)
        .map(|i| {
            let log = log.clone();
            tokio::spawn(async move {
                let lsn = log.append(format!("{i}").as_bytes()).await.unwrap();
                assert!(log.blocking().durable_lsn() >= lsn);
                lsn.get()
            })
        })
        .collect();
    let mut lsns = Vec::new();
    for task in tasks {
        lsns.push(task.await.unwrap());
    }
    lsns.sort_unstable();
    assert_eq!(lsns, (1..=10_000).collect::<Vec<_>>());
    assert!(probe.syncs() < 10_000, "{} syncs", probe.syncs());
    log.close().await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn works_on_a_single_threaded_runtime_and_flushes_on_request() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default()).asynchronous();
    for i in 0..100 {
        log.append_with(format!("{i}").as_bytes(), Durability::Buffered).await.unwrap();
    }
    assert_eq!(probe.syncs(), 0);
    assert_eq!(log.sync().await.unwrap(), Lsn::new(100));
    assert_eq!(log.blocking().durable_lsn(), Lsn::new(100));
    assert_eq!(log.append(b"written").await.unwrap(), Lsn::new(101));
    assert_eq!(
        log.append_batch(&[b"a", b"b"].map(|b| b.to_vec())).await.unwrap().last,
        Lsn::new(103)
    );
    log.wait_durable(Lsn::new(103)).await.unwrap();
    assert_eq!(log.read(Lsn::new(100)).await.unwrap().record, "99");
    let all: Vec<_> = log.stream(Lsn::ZERO).unwrap().collect().await;
    assert_eq!(all.len(), 103);
    assert_eq!(log.truncate_before(Lsn::new(50)).await.unwrap(), Lsn::new(50));
    assert_eq!(log.truncate_after(Lsn::new(60)).await.unwrap(), Lsn::new(60));
    log.close().await.unwrap();
    assert_eq!(log.append(b"late").await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn a_stream_follows_the_tail_and_ends_with_the_log() {
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default().segment_size(4096)).asynchronous();
    let follower = log.follow(Lsn::ZERO).unwrap();
    let reader = tokio::spawn(follower.map(|e| e.unwrap().lsn.get()).collect::<Vec<_>>());
    for _ in 0..300 {
        log.append(&[3; 100]).await.unwrap();
    }
    log.close().await.unwrap();
    assert_eq!(reader.await.unwrap(), (1..=300).collect::<Vec<_>>());
}

#[test]
fn dropping_an_append_loses_doubles_and_blocks_nothing() {
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default()).asynchronous();
    let mut cx = Context::from_waker(Waker::noop());
    drop(log.append(b"never polled"));
    probe.control.hold_syncs();
    {
        let mut append = pin!(log.append(b"polled once"));
        assert!(append.as_mut().poll(&mut cx).is_pending());
        probe.control.wait_for_stalled_sync();
        let mut second = pin!(log.append(b"kept"));
        assert!(second.as_mut().poll(&mut cx).is_pending());
        let mut third = Box::pin(log.append(b"dropped in the queue"));
        assert!(third.as_mut().poll(&mut cx).is_pending());
        drop(third);
        probe.control.release_syncs();
        assert_eq!(block_on(second).unwrap(), Lsn::new(2));
    }
    block_on(log.sync()).unwrap();
    let texts: Vec<_> = records(&log.blocking()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["polled once", "kept", "dropped in the queue"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_buffer_holds_tasks_back_until_there_is_room() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default().buffer_bytes(4096)).asynchronous();
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let log = log.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    log.append_with(&[1; 200], Durability::Buffered).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(log.sync().await.unwrap(), Lsn::new(10_000));
}

#[tokio::test]
async fn a_failed_sync_reaches_every_task() {
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default()).asynchronous();
    probe.control.fail_sync.store(1, Ordering::SeqCst);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let log = log.clone();
            tokio::spawn(async move { log.append(b"x").await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
    }
    assert_eq!(log.sync().await.unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn without_a_driver_thread_the_caller_drives() {
    let probe = Probe::default();
    let strategy = Rule(|tail: &TailView| match tail.trigger {
        Trigger::Deadline => Decision::durable(SyncWhen::Now),
        _ => Decision::durable(SyncWhen::Within(Duration::from_micros(1))),
    });
    let log = probe.open_still(strategy, Settings::default());
    let tasks = log.asynchronous();
    let mut append = pin!(tasks.append(b"x"));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(append.as_mut().poll(&mut cx).is_pending());
    while log.durable_lsn() == Lsn::ZERO {
        log.drive();
    }
    assert_eq!(log.drive(), Drive::Idle);
    assert!(matches!(append.as_mut().poll(&mut cx), Poll::Ready(Ok(Lsn::FIRST))));
}

/// The driver sleeps, and somebody else does its work: it is to be woken all the same.
#[test]
fn driving_beside_the_driver_takes_no_wake_up_from_it() {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let log = Probe::default().open(always(), Settings::default());
        // Long enough for the driver to fall asleep; if it does not, this proves less.
        std::thread::sleep(Duration::from_millis(50));
        let submitted = log.submit_with(b"x", None).unwrap();
        assert_eq!(log.drive(), Drive::Worked);
        assert_eq!(submitted.wait().unwrap().last, log.durable_lsn());
        block_on(log.asynchronous().close()).unwrap();
        tell.send(()).unwrap();
    });
    told.recv_timeout(Duration::from_secs(8)).expect("the driver was not woken");
}

/// Closing makes durable what was appended before it, and tells those who wait for more.
#[test]
fn a_task_that_waits_while_the_log_is_being_closed_gets_its_record() {
    let probe = Probe::default();
    let log = probe.open_still(os(), Settings::default());
    log.append_with(b"x", Durability::Buffered).unwrap();
    let tasks = log.asynchronous();
    let mut cx = Context::from_waker(Waker::noop());
    let mut covered = pin!(tasks.wait_durable(Lsn::FIRST));
    let mut later = pin!(tasks.wait_durable(Lsn::new(2)));
    assert!(
        covered.as_mut().poll(&mut cx).is_pending() && later.as_mut().poll(&mut cx).is_pending()
    );
    probe.control.writing.shut();
    let closing = log.clone();
    let closing = std::thread::spawn(move || closing.close());
    probe.control.writing.wait_for_stalled();
    eventually("it is closed to appends", || log.submit(b"y").is_err());
    assert!(covered.as_mut().poll(&mut cx).is_pending(), "it is about to become durable");
    let Poll::Ready(Err(error)) = later.as_mut().poll(&mut cx) else { panic!("it never will") };
    assert_eq!(error.kind(), ErrorKind::Closed);
    probe.control.writing.open();
    closing.join().unwrap().unwrap();
    assert!(matches!(covered.poll(&mut cx), Poll::Ready(Ok(()))));
}
