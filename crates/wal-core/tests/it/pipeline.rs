//! The commit pipeline under threads: who is acknowledged when, who syncs, what a failure does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::support::*;
use wal_core::*;

#[test]
fn always_makes_one_sync_for_each_append_and_one_for_a_batch() {
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default());
    for i in 1..=20_u64 {
        assert_eq!(log.append(format!("{i}").as_bytes()).unwrap(), Lsn::new(i));
        assert_eq!((log.durable_lsn(), probe.syncs()), (Lsn::new(i), i));
    }
    let batch = vec![b"x".to_vec(); 1000];
    let range = log.append_batch(&batch).unwrap();
    assert_eq!((range.first, range.last, range.len()), (Lsn::new(21), Lsn::new(1020), 1000));
    assert_eq!(probe.syncs(), 21);
    assert_eq!(log.stats().syncs, 21);
}

#[test]
fn write_through_takes_one_call_where_it_covers_everything_and_a_sync_otherwise() {
    let probe = Probe { write_through: true, ..Probe::default() };
    // A driver might sync the written record before the next append does.
    let log = probe.open_still(always(), Settings::default());
    let throughs = || probe.control.throughs.load(Ordering::SeqCst);
    // The first frame begins a segment; from then on one call commits.
    log.append(b"first").unwrap();
    let before = (throughs(), probe.syncs());
    for _ in 0..10 {
        let lsn = log.append(b"x").unwrap();
        assert_eq!(log.durable_lsn(), lsn);
    }
    assert_eq!((throughs(), probe.syncs()), (before.0 + 10, before.1));
    // A written record that is not durable needs a sync: the next write does not cover it.
    log.append_with(b"written", Durability::Written).unwrap();
    let lsn = log.append(b"y").unwrap();
    assert_eq!((log.durable_lsn(), throughs(), probe.syncs()), (lsn, before.0 + 10, before.1 + 1));
}

#[test]
fn threads_share_syncs_and_nobody_is_acknowledged_before_the_sync_that_covers_it() {
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default());
    let acknowledged = AtomicU64::new(0);
    thread::scope(|scope| {
        for t in 0..16 {
            let (log, acknowledged) = (&log, &acknowledged);
            scope.spawn(move || {
                for i in 0..500 {
                    let lsn = log.append(format!("{t} {i}").as_bytes()).unwrap();
                    assert!(log.durable_lsn() >= lsn);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(acknowledged.into_inner(), 8000);
    assert_eq!(log.durable_lsn(), Lsn::new(8000));
    let mut seen: Vec<String> = records(&log).into_iter().map(|(_, text)| text).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 8000, "each record once");
}

#[test]
fn a_sync_in_flight_does_not_cover_what_is_appended_meanwhile() {
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default());
    probe.control.hold_syncs();
    thread::scope(|scope| {
        let first = scope.spawn(|| log.append(b"first").unwrap());
        probe.control.wait_for_stalled_sync();
        let (tx, rx) = mpsc::channel();
        for i in 0..5 {
            let (log, tx) = (&log, tx.clone());
            scope.spawn(move || tx.send(log.append(format!("late {i}").as_bytes()).unwrap()));
        }
        eventually("all are framed", || log.last_lsn() == Lsn::new(6));
        thread::sleep(Duration::from_millis(20));
        assert!(rx.try_recv().is_err(), "acknowledged while no sync had ended");
        assert_eq!(log.durable_lsn(), Lsn::ZERO);
        probe.control.release_syncs();
        first.join().unwrap();
        drop(tx);
        assert_eq!(rx.iter().count(), 5);
    });
    assert_eq!(probe.syncs(), 2, "one for the first, one for all five");
}

#[test]
fn written_and_buffered_appends_do_not_wait_for_a_slow_sync() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default());
    probe.control.hold_syncs();
    thread::scope(|scope| {
        log.append(b"before").unwrap();
        let sync = scope.spawn(|| log.sync().unwrap());
        probe.control.wait_for_stalled_sync();
        assert_eq!(log.append(b"beside").unwrap(), Lsn::new(2));
        assert_eq!(log.written_lsn(), Lsn::new(2));
        log.append_with(b"memory", Durability::Buffered).unwrap();
        probe.control.release_syncs();
        assert_eq!(sync.join().unwrap(), Lsn::new(1));
    });
    assert_eq!(log.durable_lsn(), Lsn::new(1));
}

#[test]
fn a_critical_record_is_durable_under_any_strategy_and_covers_those_before_it() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default());
    log.append(b"a").unwrap();
    log.append_with(b"b", Durability::Buffered).unwrap();
    assert_eq!(probe.syncs(), 0, "os never syncs by itself");
    let lsn = log.append_with(b"critical", Durability::Durable).unwrap();
    assert_eq!((log.durable_lsn(), probe.syncs()), (lsn, 1));
}

#[test]
fn a_deadline_comes_although_nobody_appends_any_more() {
    let probe = Probe::default();
    let strategy =
        Rule(|_: &TailView| Decision::written(SyncWhen::Within(Duration::from_millis(5))));
    // At the deadline the same rule would only ask for more time.
    let strategy = Rule(move |tail: &TailView| match tail.trigger {
        Trigger::Deadline => Decision::written(SyncWhen::Now),
        _ => strategy.decide(tail),
    });
    let log = probe.open(strategy, Settings::default());
    let lsn = log.append(b"idle").unwrap();
    eventually("the idle tail is synced", || log.durable_lsn() == lsn);
    assert_eq!(probe.syncs(), 1);
}

#[test]
fn buffered_records_are_handed_over_after_the_delay() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default().buffer_delay(Duration::from_millis(2)));
    let lsn = log.append_with(b"x", Durability::Buffered).unwrap();
    eventually("it is written", || log.written_lsn() == lsn);
    assert_eq!(probe.syncs(), 0);
}

#[test]
fn a_failed_sync_poisons_and_tells_everybody() {
    let probe = Probe::default();
    let log = probe.open(always(), Settings::default());
    log.append(b"good").unwrap();
    probe.control.fail_sync.store(2, Ordering::SeqCst);
    probe.control.hold_syncs();
    thread::scope(|scope| {
        let handles: Vec<_> = (0..8).map(|_| scope.spawn(|| log.append(b"doomed"))).collect();
        probe.control.wait_for_stalled_sync();
        eventually("all are framed", || log.last_lsn() == Lsn::new(9));
        probe.control.release_syncs();
        let kinds: Vec<_> =
            handles.into_iter().map(|h| h.join().unwrap().unwrap_err().kind()).collect();
        assert_eq!(kinds.iter().filter(|k| **k == ErrorKind::Io).count(), 1, "{kinds:?}");
        assert_eq!(kinds.iter().filter(|k| **k == ErrorKind::Poisoned).count(), 7, "{kinds:?}");
    });
    assert_eq!(log.durable_lsn(), Lsn::new(1));
    // The next sync would say Ok. It must never be asked.
    assert_eq!(log.append(b"more").unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(probe.syncs(), 2);
    assert_eq!(log.read(Lsn::new(1)).unwrap().record, "good", "reads go on");
}

#[test]
fn a_failed_write_poisons_and_keeps_its_kind() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default());
    log.append(b"good").unwrap();
    probe.control.fail_write.store(2, Ordering::SeqCst);
    assert_eq!(log.append(b"no room").unwrap_err().kind(), ErrorKind::Full);
    let later = log.append(b"more").unwrap_err();
    assert_eq!(later.kind(), ErrorKind::Poisoned);
    assert!(later.chain().to_string().contains("no space"), "{later:?}");
    assert_eq!(records(&log).len(), 1);
}

#[test]
fn a_full_buffer_makes_appenders_wait_and_loses_nothing() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default().buffer_bytes(4096));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    log.append_with(&[7; 100], Durability::Buffered).unwrap();
                }
            });
        }
    });
    log.close().unwrap();
    assert_eq!(records(&log).len(), 8000);
}

#[test]
fn bounds_are_refused_before_a_byte_is_written() {
    let probe = Probe::default();
    let settings = Settings::default().segment_size(8192).max_record_bytes(1000);
    let log = probe.open(always(), settings);
    assert_eq!(log.append(&[0; 1001]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(log.append_batch::<Vec<u8>>(&[]).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(log.append_batch(&vec![vec![1; 900]; 10]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(log.append_batch(&vec![vec![]; 3000]).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(probe.writes(), 0);
    assert_eq!(log.append(b"").unwrap(), Lsn::FIRST, "an empty record is a record");
    assert_eq!(log.append_batch(&[b"".to_vec(), b"".to_vec()]).unwrap().last, Lsn::new(3));
    assert!(log.read(Lsn::new(2)).unwrap().record.is_empty());
}

#[test]
fn closing_covers_everything_and_refuses_what_comes_after() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default());
    for _ in 0..10 {
        log.append_with(b"x", Durability::Buffered).unwrap();
    }
    let clone = log.clone();
    let waiting = thread::spawn(move || clone.wait_durable(Lsn::new(99)));
    thread::sleep(Duration::from_millis(5));
    log.close().unwrap();
    assert_eq!(log.durable_lsn(), Lsn::new(10));
    assert_eq!(log.append(b"y").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(records(&log).len(), 10);
    log.close().unwrap();
}

#[test]
fn a_dropped_log_hands_over_what_it_acknowledged_and_unlocks() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default().buffer_delay(Duration::from_secs(3600)));
    log.append_with(b"in memory", Durability::Buffered).unwrap();
    assert_eq!(probe.memory.lock().wait().unwrap_err().kind(), ErrorKind::Locked);
    drop(log);
    assert_eq!(probe.writes(), 1);
    probe.memory.lock().wait().unwrap();
}

#[test]
fn events_tell_of_rotation_sync_and_removal() {
    let events = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = events.clone();
    let log = Wal::builder(always())
        .settings(Settings::default().segment_size(4096))
        .on_event(move |event| sink.lock().unwrap().push(event.clone()))
        .open(MemoryStorage::new().into_empty_log().unwrap())
        .unwrap();
    for _ in 0..10 {
        log.append(&[1; 1000]).unwrap();
    }
    log.truncate_before(Lsn::new(8)).unwrap();
    log.close().unwrap();
    let events = events.lock().unwrap();
    let count = |f: fn(&Event) -> bool| events.iter().filter(|e| f(e)).count();
    assert_eq!(count(|e| matches!(e, Event::SegmentCreated { .. })), 5);
    assert_eq!(count(|e| matches!(e, Event::SegmentSealed { .. })), 5);
    assert_eq!(count(|e| matches!(e, Event::SegmentRemoved { .. })), 2);
    assert!(count(|e| matches!(e, Event::Synced { .. })) >= 10);
    assert!(matches!(events.last(), Some(Event::Closed { .. })));
}

/// It sleeps in a queue, where a strategy sees it, and does not look again and again.
#[test]
fn a_thread_that_waits_for_a_record_yet_to_come_is_seen_to_wait() {
    let (probe, seen) = (Probe::default(), Arc::new(AtomicU64::new(0)));
    let waiting = seen.clone();
    let strategy = Rule(move |tail: &TailView| {
        waiting.fetch_max(tail.waiting, Ordering::SeqCst);
        Decision::written(SyncWhen::OnRequest)
    });
    let log = probe.open(strategy, Settings::default());
    // Not in a scope: if it is never seen to wait, a scope would wait for it for ever.
    let theirs = log.clone();
    let waiter = thread::spawn(move || theirs.wait_durable(Lsn::new(1_000_000)));
    eventually("it is seen to wait", || {
        log.append(b"x").unwrap();
        seen.load(Ordering::SeqCst) == 1
    });
    log.close().unwrap();
    assert_eq!(waiter.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn waiting_for_a_record_that_is_yet_to_come_makes_it_durable() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| log.wait_durable(Lsn::new(2)));
        let task = log.asynchronous();
        let other = scope.spawn(move || block_on(task.wait_durable(Lsn::new(2))));
        thread::sleep(Duration::from_millis(5));
        log.append(b"first").unwrap();
        log.append(b"second").unwrap();
        waiting.join().unwrap().unwrap();
        other.join().unwrap().unwrap();
    });
    assert!(log.durable_lsn() >= Lsn::new(2));
}

#[test]
fn a_follower_makes_nobody_hurry_and_counts_for_nobody() {
    let probe = Probe::default();
    let seen = Arc::new(AtomicU64::new(0));
    let waiting = seen.clone();
    let strategy = Rule(move |tail: &TailView| {
        waiting.fetch_max(tail.waiting, Ordering::SeqCst);
        Decision::written(SyncWhen::OnRequest)
    });
    let log = probe.open(strategy, Settings::default());
    let mut follower = log.follow(Lsn::FIRST).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(move || follower.next().unwrap().unwrap().lsn);
        thread::sleep(Duration::from_millis(5));
        log.append(b"x").unwrap();
        log.append(b"y").unwrap();
        thread::sleep(Duration::from_millis(5));
        assert_eq!((probe.syncs(), seen.load(Ordering::SeqCst)), (0, 0));
        log.sync().unwrap();
        assert_eq!(reader.join().unwrap(), Lsn::FIRST);
    });
}

#[test]
fn whoever_closes_second_is_told_that_the_first_failed() {
    let probe = Probe::default();
    let log = probe.open(os(), Settings::default());
    log.append(b"x").unwrap();
    probe.control.fail_sync.store(1, Ordering::SeqCst);
    probe.control.hold_syncs();
    thread::scope(|scope| {
        let first = scope.spawn(|| log.close());
        probe.control.wait_for_stalled_sync();
        let second = scope.spawn(|| log.close());
        thread::sleep(Duration::from_millis(10));
        probe.control.release_syncs();
        assert_eq!(first.join().unwrap().unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(second.join().unwrap().unwrap_err().kind(), ErrorKind::Poisoned);
    });
}

#[test]
fn a_sync_that_was_due_is_made_when_the_log_is_dropped() {
    let probe = Probe::default();
    let later = Rule(|_: &TailView| Decision::written(SyncWhen::Within(Duration::from_secs(3600))));
    let log = probe.open(later, Settings::default());
    log.append(b"x").unwrap();
    drop(log);
    assert_eq!(probe.syncs(), 1, "its deadline would never have come");
}
