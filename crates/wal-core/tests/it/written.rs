//! Threads that wait until their records were written: who writes them, and who waits for what.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};

use crate::support::*;
use wal_core::*;

fn append(log: &Wal) -> Appending {
    append_beside(log, b"x", Durability::Written)
}

/// Record 1 is being written and does not come to an end, and so many threads wait behind it.
fn behind_a_write<const N: usize>(probe: &Probe) -> (Wal, Appending, [Appending; N]) {
    let log = probe.open_still(os(), Settings::default());
    probe.control.writing.shut();
    let first = append(&log);
    probe.control.writing.wait_for_stalled();
    let waiting = [(); N].map(|()| append(&log));
    eventually("all have appended", || log.last_lsn() == Lsn::new(1 + N as u64));
    (log, first, waiting)
}

#[test]
fn whoever_writes_next_writes_for_everybody() {
    let probe = Probe::default();
    let (log, first, waiting) = behind_a_write::<5>(&probe);
    probe.control.writing.open();
    assert_eq!(first.join().unwrap().unwrap(), Lsn::FIRST);
    let mut lsns = waiting.map(|thread| thread.join().unwrap().unwrap());
    lsns.sort_unstable();
    assert_eq!(lsns, [2, 3, 4, 5, 6].map(Lsn::new));
    assert_eq!((log.written_lsn(), probe.writes()), (Lsn::new(6), 2), "they share a write");
    assert_eq!(append(&log).join().unwrap().unwrap(), Lsn::new(7));
    assert_eq!((log.written_lsn(), probe.syncs()), (Lsn::new(7), 0));
}

#[test]
fn a_failed_write_reaches_all_who_wait() {
    let probe = Probe::default();
    probe.control.fail_write.store(1, Ordering::SeqCst);
    let (log, first, waiting) = behind_a_write::<3>(&probe);
    probe.control.writing.open();
    assert_eq!(first.join().unwrap().unwrap_err().kind(), ErrorKind::Full);
    for thread in waiting {
        assert_eq!(thread.join().unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
    }
    assert_eq!((log.written_lsn(), probe.writes()), (Lsn::ZERO, 1), "nobody tries again");
}

#[test]
fn closing_writes_what_others_wait_for() {
    let probe = Probe::default();
    let (log, first, waiting) = behind_a_write::<3>(&probe);
    probe.close_beside_a_stalled_write(&log);
    first.join().unwrap().unwrap();
    for thread in waiting {
        thread.join().unwrap().unwrap();
    }
    assert_eq!(records(&log).len(), 4);
}

/// Says that it is being called, and does not return until it is let go.
struct Slow {
    called: mpsc::Sender<()>,
    let_go: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl Wake for Slow {
    fn wake(self: Arc<Self>) {
        self.called.send(()).unwrap();
        let _ = self.let_go.lock().unwrap().recv();
    }
}

#[test]
fn the_next_write_does_not_wait_until_everybody_was_told_of_this_one() {
    let probe = Probe::default();
    let log = probe.open_still(os(), Settings::default());
    let (called, hears_called) = mpsc::channel();
    let (let_go, hears_let_go) = mpsc::channel();
    let waker = Waker::from(Arc::new(Slow { called, let_go: hears_let_go.into() }));
    let tasks = log.asynchronous();
    let mut task = pin!(tasks.append_with(b"x", Durability::Written));
    assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let tells = append(&log);
    hears_called.recv().unwrap();
    let next = append(&log);
    eventually_within(3_000, "the next was written", || log.written_lsn() == Lsn::new(3));
    assert_eq!(next.join().unwrap().unwrap(), Lsn::new(3));
    assert!(!tells.is_finished());
    let_go.send(()).unwrap();
    assert_eq!(tells.join().unwrap().unwrap(), Lsn::new(2));
    assert!(task.poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

/// What came while a write was in flight, and for which nobody waits, is written behind it.
#[test]
fn the_driver_writes_what_gathered_beside_a_write() {
    let probe = Probe::default();
    let settings = Settings::default().buffer_delay(std::time::Duration::from_secs(3600));
    let log = probe.open(os(), settings);
    probe.control.writing.shut();
    let first = append(&log);
    probe.control.writing.wait_for_stalled();
    let much = vec![7; 300 * 1024];
    log.append_with(&much, Durability::Buffered).unwrap();
    // Until the driver has seen that somebody writes, and sleeps again: there is nothing to be seen of that.
    std::thread::sleep(std::time::Duration::from_millis(50));
    probe.control.writing.open();
    first.join().unwrap().unwrap();
    eventually("it is written", || log.written_lsn() == Lsn::new(2));
}
