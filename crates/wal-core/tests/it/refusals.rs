//! What callers are told of a log that takes nothing more: what they asked for, and why it is not done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use crate::support::*;
use wal_core::*;

/// What is said of a call that must have failed: for what reason, and of which operation.
fn refused<T>(outcome: Result<T>) -> (ErrorKind, String) {
    let Err(error) = outcome else { panic!("it was done") };
    (error.kind(), error.op().to_owned())
}

/// Polls once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_closed_log_names_what_was_asked_for() {
    let closed = |op: &str| (ErrorKind::Closed, op.to_owned());
    let log = memory_log(os());
    log.append(b"x").unwrap();
    let submitted = log.submit_with(b"y", Durability::Durable).unwrap();
    log.close().unwrap();
    assert_eq!(submitted.wait().unwrap().last, Lsn::new(2));
    assert_eq!(refused(log.append(b"z")), closed("append"));
    assert_eq!(refused(log.submit(b"z")), closed("append"));
    assert_eq!(refused(log.sync()), closed("sync"));
    assert_eq!(refused(log.wait_durable(Lsn::new(3))), closed("wait for durability"));
    assert_eq!(refused(log.truncate_before(Lsn::new(2))), closed("truncate"));
    assert_eq!(refused(log.truncate_after(Lsn::FIRST)), closed("truncate"));
    let tasks = log.asynchronous();
    within_a_minute(async {
        assert_eq!(refused(tasks.append(b"z").await), closed("append"));
        assert_eq!(refused(tasks.sync().await), closed("sync"));
        assert_eq!(refused(tasks.wait_durable(Lsn::new(3)).await), closed("wait for durability"));
        assert_eq!(refused(tasks.truncate_before(Lsn::new(2)).await), closed("truncate"));
    });
    assert_eq!(log.append(b"z").unwrap_err().to_string(), "append: closed: the log was closed");
}

#[test]
fn a_wait_that_ends_in_vain_is_called_a_wait() {
    let probe = Probe::default();
    let log = probe.open_still(os(), Settings::default());
    let tasks = log.asynchronous();
    let mut written = pin!(tasks.append_with(b"x", Durability::Written));
    let mut durable = pin!(tasks.append_with(b"x", Durability::Durable));
    let mut comes = pin!(tasks.wait_durable(Lsn::new(9)));
    assert!(poll(written.as_mut()).is_pending() && poll(durable.as_mut()).is_pending());
    assert!(poll(comes.as_mut()).is_pending());
    probe.control.fail_write.store(1, Ordering::SeqCst);
    assert_eq!(refused(log.append(b"x")), (ErrorKind::Full, "write".to_owned()));
    let told = |outcome| match outcome {
        Poll::Ready(outcome) => refused(outcome),
        Poll::Pending => panic!("it waits"),
    };
    let poisoned = |op: &str| (ErrorKind::Poisoned, op.to_owned());
    assert_eq!(told(poll(written)), poisoned("wait for write"));
    assert_eq!(told(poll(durable)), poisoned("wait for durability"));
    assert_eq!(told(poll(comes).map_ok(|()| Lsn::ZERO)), poisoned("wait for durability"));
}

/// The second append panics.
fn panics_at_the_second() -> impl SyncStrategy {
    Rule(|tail: &TailView| {
        assert!(tail.records < 2, "the strategy panics");
        Decision::written(SyncWhen::OnRequest)
    })
}

#[test]
fn a_strategy_that_panics_in_an_append_leaves_nobody_waiting() {
    for by_a_task in [false, true] {
        let log = Probe::default().open_still(panics_at_the_second(), Settings::default());
        let tasks = log.asynchronous();
        log.append(b"x").unwrap();
        let mut waits = pin!(tasks.wait_durable(Lsn::new(9)));
        assert!(poll(waits.as_mut()).is_pending());
        let append = || match by_a_task {
            false => drop(log.append(b"x")),
            true => drop(poll(pin!(tasks.append(b"x")))),
        };
        assert!(catch_unwind(AssertUnwindSafe(append)).is_err());
        let Poll::Ready(Err(told)) = poll(waits) else { panic!("it waits, or is acknowledged") };
        assert_eq!(told.kind(), ErrorKind::Poisoned);
        assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Poisoned);
    }
}

#[test]
fn a_panic_is_not_called_an_error_of_the_device() {
    let probe = Probe::default();
    probe.control.panic_in_sync.store(true, Ordering::SeqCst);
    let (tell, told) = mpsc::channel();
    let builder = Wal::builder(always()).manual_driver().on_event(move |event| {
        if let Event::Poisoned { error, .. } = event {
            tell.send(error.to_string()).unwrap();
        }
    });
    let log = builder.open(probe.recovered()).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| log.append(b"x"))).is_err());
    let why = told.recv().unwrap();
    assert_eq!(why, "run: poisoned: a panic in the storage, in the strategy or in the log itself");
    let later = log.append(b"x").unwrap_err();
    assert!(later.chain().to_string().ends_with(&format!(": {why}")), "{later:?}");
}
