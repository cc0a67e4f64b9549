//! Threads that wait for one commit, and appends whose acknowledgement is waited for later.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::support::*;
use wal_core::*;

/// Durable, with a sync that nobody makes for an hour.
fn lazily_durable() -> impl SyncStrategy {
    Rule(|_: &TailView| Decision::durable(SyncWhen::Within(Duration::from_secs(3600))))
}

fn probe_log(strategy: impl SyncStrategy) -> (Wal, Probe) {
    let probe = Probe::default();
    (probe.open(strategy, Settings::default()), probe)
}

/// What a thread returns, or a panic if it hangs.
fn outcome_of<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(work()));
    move || told.recv_timeout(Duration::from_secs(6)).expect("it does not hang")
}

#[test]
fn who_waits_for_a_commit_is_served_by_a_truncation_that_comes_first() {
    let (log, _) = probe_log(lazily_durable());
    let appender = log.clone();
    let appended = outcome_of(move || appender.append(b"waits"));
    while log.last_lsn() == Lsn::ZERO {
        thread::yield_now();
    }
    // It seals the segment, which makes the record durable without a commit.
    log.truncate_before(Lsn::new(2)).unwrap();
    assert_eq!(appended().unwrap(), Lsn::FIRST);
}

#[test]
fn who_waits_for_a_commit_is_served_by_closing() {
    let (log, _) = probe_log(lazily_durable());
    let appender = log.clone();
    let appended = outcome_of(move || appender.append(b"waits"));
    while log.last_lsn() == Lsn::ZERO {
        thread::yield_now();
    }
    log.close().unwrap();
    assert_eq!(appended().unwrap(), Lsn::FIRST);
}

#[test]
fn many_threads_are_served_by_few_syncs_and_nobody_is_left() {
    let (log, probe) = probe_log(always());
    let threads: Vec<_> = (0..32)
        .map(|_| {
            let log = log.clone();
            outcome_of(move || (0..50).try_for_each(|_| log.append(b"x").map(drop)))
        })
        .collect();
    threads.into_iter().for_each(|outcome| outcome().unwrap());
    assert_eq!(log.durable_lsn(), Lsn::new(1600));
    assert!(probe.syncs() <= 1600);
}

#[test]
fn a_failed_sync_is_told_to_the_whole_group() {
    let (log, probe) = probe_log(always());
    probe.control.hold_syncs();
    let first = log.clone();
    let first = outcome_of(move || first.append(b"leads"));
    probe.control.wait_for_stalled_sync();
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let log = log.clone();
            outcome_of(move || log.append(b"waits"))
        })
        .collect();
    while log.last_lsn() < Lsn::new(9) {
        thread::yield_now();
    }
    probe.control.fail_sync.store(2, Ordering::SeqCst);
    probe.control.release_syncs();
    // Its record is durable; but if the log has failed by the time it looks, it is told nothing good.
    assert!(first().is_ok_and(|lsn| lsn == Lsn::FIRST) || log.durable_lsn() == Lsn::FIRST);
    for outcome in waiting {
        assert!(matches!(outcome().unwrap_err().kind(), ErrorKind::Io | ErrorKind::Poisoned));
    }
}

#[test]
fn what_was_submitted_together_is_covered_by_one_sync() {
    let (log, probe) = probe_log(always());
    let submitted: Vec<_> = (0..10).map(|_| log.submit_with(b"x", None).unwrap()).collect();
    assert_eq!(probe.syncs(), 0);
    assert_eq!(submitted[9].range(), LsnRange::new(Lsn::new(10), Lsn::new(10)));
    for one in submitted {
        let lsn = one.range().last;
        assert_eq!(one.wait().unwrap().last, lsn);
        assert!(log.durable_lsn() >= lsn);
    }
    assert_eq!(probe.syncs(), 1);
}

#[test]
fn what_was_submitted_and_forgotten_becomes_durable_all_the_same() {
    let forgotten: [fn(Submitted<'_>); 2] =
        [|submitted| drop(submitted), |submitted| drop(submitted.into_future())];
    for forget in forgotten {
        let (log, _) = probe_log(always());
        forget(log.submit_batch_with(&[*b"a", *b"b"], None).unwrap());
        let waiter = log.clone();
        // Nothing but the driver works for it: the wait below only looks.
        let durable = outcome_of(move || {
            while waiter.durable_lsn() < Lsn::new(2) {
                thread::yield_now();
            }
        });
        durable();
    }
}

#[test]
fn a_task_can_wait_for_what_was_submitted() {
    for durability in [Durability::Buffered, Durability::Written, Durability::Durable] {
        let (log, _) = probe_log(os());
        let submitted = log.submit_with(b"x", durability).unwrap();
        assert_eq!(block_on(submitted.into_future()).unwrap().last, Lsn::FIRST);
        assert!(durability != Durability::Written || log.written_lsn() == Lsn::FIRST);
        assert!(durability != Durability::Durable || log.durable_lsn() == Lsn::FIRST);
    }
}

#[test]
fn what_was_submitted_while_a_sync_was_in_flight_is_synced_when_somebody_waits() {
    let (log, probe) = probe_log(os());
    probe.control.hold_syncs();
    let syncing = log.clone();
    log.append(b"before").unwrap();
    let sync = outcome_of(move || syncing.sync());
    probe.control.wait_for_stalled_sync();
    let submitted = log.submit_with(b"beside", Durability::Durable).unwrap();
    probe.control.release_syncs();
    sync().unwrap();
    assert_eq!(submitted.wait().unwrap().last, Lsn::new(2));
    assert_eq!(log.durable_lsn(), Lsn::new(2));
}
