//! Threads that find the buffer full: one of them writes it, and the others go on as soon as it was taken.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::support::*;
use wal_core::*;

/// Two of them do not fit into the buffer.
static LARGE: [u8; 3000] = [7; 3000];

/// Record 1 is being written and does not come to an end, record 2 fills the buffer, and two threads have no
/// room for what they append.
fn stuck(probe: &Probe) -> (Wal, Appending, [Appending; 2]) {
    let log = probe.open_still(os(), Settings::default().buffer_bytes(4096));
    probe.control.writing.shut();
    let writes = append_beside(&log, &LARGE, Durability::Written);
    probe.control.writing.wait_for_stalled();
    assert_eq!(log.append_with(&LARGE, Durability::Buffered).unwrap(), Lsn::new(2));
    let waiting = [(); 2].map(|()| append_beside(&log, &LARGE, Durability::Buffered));
    // Until they have found it full: there is nothing to be seen of that.
    thread::sleep(Duration::from_millis(50));
    assert_eq!(log.last_lsn(), Lsn::new(2));
    (log, writes, waiting)
}

#[test]
fn while_one_writes_the_full_buffer_the_others_go_on() {
    let probe = Probe::default();
    let (log, first, waiting) = stuck(&probe);
    let before = probe.writes();
    probe.control.writing.let_one_pass();
    eventually("the next write has begun", || probe.writes() == before + 1);
    eventually_within(3_000, "one has room", || log.last_lsn() == Lsn::new(3));
    assert_eq!(first.join().unwrap().unwrap(), Lsn::new(1));
    assert_eq!(probe.writes(), before + 1, "and did not wait for the write that made it");
    probe.control.writing.open();
    let mut lsns = waiting.map(|thread| thread.join().unwrap().unwrap());
    lsns.sort_unstable();
    assert_eq!(lsns, [3, 4].map(Lsn::new));
    log.close().unwrap();
    assert_eq!(records(&log).len(), 4);
}

#[test]
fn a_failed_write_reaches_all_who_have_no_room() {
    let probe = Probe::default();
    probe.control.fail_write.store(1, Ordering::SeqCst);
    let (log, first, waiting) = stuck(&probe);
    probe.control.writing.open();
    assert_eq!(first.join().unwrap().unwrap_err().kind(), ErrorKind::Full);
    for thread in waiting {
        assert_eq!(thread.join().unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
    }
    assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn closing_leaves_nobody_without_an_answer() {
    let probe = Probe::default();
    let (log, first, waiting) = stuck(&probe);
    probe.close_beside_a_stalled_write(&log);
    first.join().unwrap().unwrap();
    let mut expected = 2;
    for outcome in waiting.map(|thread| thread.join().unwrap()) {
        match outcome {
            Ok(_) => expected += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
        }
    }
    assert_eq!(records(&log).len(), expected);
}
