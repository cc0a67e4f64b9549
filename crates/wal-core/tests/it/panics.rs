//! What a panic of a part leaves behind: nobody waits for ever, and a caller's own panic is none of the log's.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::support::*;
use wal_core::*;

#[test]
fn a_panicking_storage_leaves_nobody_waiting() {
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default());
    probe.control.hold_syncs();
    thread::scope(|scope| {
        let handles: Vec<_> = (0..4).map(|_| scope.spawn(|| log.append(b"x"))).collect();
        probe.control.wait_for_stalled_sync();
        eventually("all are framed", || log.last_lsn() == Lsn::new(4));
        probe.control.panic_in_sync.store(true, Ordering::SeqCst);
        probe.control.release_syncs();
        let outcomes: Vec<_> = handles.into_iter().map(thread::ScopedJoinHandle::join).collect();
        assert_eq!(outcomes.iter().filter(|o| o.is_err()).count(), 1, "the panic itself");
        assert!(outcomes.into_iter().flatten().all(|o| o.is_err()));
    });
    assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn a_panicking_strategy_leaves_nobody_waiting() {
    let probe = Probe::default();
    let strategy = Rule(|tail: &TailView| {
        assert!(tail.trigger != Trigger::Synced, "the strategy panics");
        Decision::durable(SyncWhen::Now)
    });
    let log = probe.open(strategy, Settings::default());
    probe.control.hold_syncs();
    thread::scope(|scope| {
        let first = scope.spawn(|| log.append(b"leads, and is durable"));
        probe.control.wait_for_stalled_sync();
        let rest: Vec<_> = (0..3).map(|_| scope.spawn(|| log.append(b"x"))).collect();
        eventually("all are framed", || log.last_lsn() == Lsn::new(4));
        probe.control.release_syncs();
        assert!(first.join().is_err(), "the panic itself");
        for other in rest {
            assert_eq!(other.join().unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
        }
    });
    assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn an_append_while_the_callers_thread_unwinds_is_an_append_like_others() {
    struct AppendsWhenDropped<'a>(&'a Wal);
    impl Drop for AppendsWhenDropped<'_> {
        fn drop(&mut self) {
            self.0.append(b"undo").unwrap();
            self.0.sync().unwrap();
            self.0.truncate_before(Lsn::new(2)).unwrap();
        }
    }
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default());
    log.append(b"do").unwrap();
    let unwound = thread::scope(|scope| {
        scope
            .spawn(|| {
                let _last = AppendsWhenDropped(&log);
                panic!("of the caller, not of the log");
            })
            .join()
    });
    assert!(unwound.is_err());
    assert_eq!(log.append(b"after").unwrap(), Lsn::new(3));
    log.close().unwrap();
}

#[test]
fn a_strategy_that_panics_in_the_driver_leaves_nobody_waiting() {
    let probe = Probe::default();
    let strategy = Rule(|tail: &TailView| {
        assert!(tail.trigger != Trigger::Deadline, "the strategy panics");
        Decision::durable(SyncWhen::Within(Duration::from_millis(2)))
    });
    let log = probe.open(strategy, Settings::default());
    assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Poisoned);
    let log = log.asynchronous();
    assert!(block_on(log.sync()).is_err());
    assert!(block_on(log.close()).is_err());
}
