//! What a strategy is told about the tail, with a clock that only the test moves.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use crate::support::*;
use wal_core::*;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone)]
struct HandClock(Arc<AtomicU64>);

impl HandClock {
    fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_micros() as u64, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

struct Bench {
    log: Wal,
    probe: Probe,
    clock: HandClock,
    told: Arc<Mutex<Vec<TailView>>>,
}

impl Bench {
    fn new(decision: Decision) -> Self {
        let (probe, told) = (Probe::default(), Arc::new(Mutex::new(Vec::new())));
        let clock = HandClock(Arc::new(AtomicU64::new(1_000_000)));
        let seen = told.clone();
        let strategy = Rule(move |tail: &TailView| {
            seen.lock().unwrap().push(*tail);
            decision
        });
        let builder = Wal::builder(strategy).clock(clock.clone()).manual_driver();
        Bench { log: builder.open(probe.recovered()).unwrap(), probe, clock, told }
    }

    /// What the strategy was told last.
    fn last(&self) -> TailView {
        *self.told.lock().unwrap().last().unwrap()
    }

    /// A sync that takes `time`, while `meanwhile` happens after `before` of it.
    fn sync_for(&self, before: Duration, after: Duration, meanwhile: impl FnOnce()) {
        self.probe.control.hold_syncs();
        thread::scope(|scope| {
            let sync = scope.spawn(|| self.log.sync().unwrap());
            self.probe.control.wait_for_stalled_sync();
            self.clock.pass(before);
            meanwhile();
            self.clock.pass(after);
            self.probe.control.release_syncs();
            sync.join().unwrap();
        });
    }
}

fn lazy() -> Decision {
    Decision::written(SyncWhen::OnRequest)
}

#[test]
fn sizes_and_age_are_those_of_all_that_is_not_durable() {
    let bench = Bench::new(lazy());
    let sizes = || {
        let tail = bench.last();
        assert_eq!((tail.pending_records, tail.pending_bytes), (tail.records, tail.bytes));
        assert_eq!((tail.trigger, tail.in_flight, tail.waiting), (Trigger::Append, None, 0));
        (tail.records, tail.bytes, tail.pending_age)
    };
    bench.log.append(b"abc").unwrap();
    assert_eq!(sizes(), (1, 3, Duration::ZERO));
    assert_eq!(bench.last().requested, None);
    // What was written is as old as what is still in memory, as long as no sync covers it.
    bench.clock.pass(5 * MS);
    bench.log.append_with(b"defg", Durability::Buffered).unwrap();
    assert_eq!(sizes(), (2, 7, 5 * MS));
    assert_eq!(bench.last().requested, Some(Durability::Buffered));
    bench.clock.pass(MS);
    bench.log.append_batch(&[b"h".to_vec(), b"i".to_vec()]).unwrap();
    assert_eq!(sizes(), (4, 9, 6 * MS));

    bench.log.sync().unwrap();
    bench.clock.pass(2 * MS);
    bench.log.append_with(b"j", Durability::Buffered).unwrap();
    assert_eq!(sizes(), (1, 1, Duration::ZERO));
    assert_eq!(bench.last().since_last_sync, 2 * MS);
    bench.clock.pass(3 * MS);
    bench.log.append_with(b"k", Durability::Buffered).unwrap();
    assert_eq!(sizes(), (2, 2, 3 * MS));
    assert_eq!(bench.last().since_last_sync, 5 * MS);
}

#[test]
fn a_sync_in_flight_is_told_apart_from_what_waits_for_the_next() {
    let bench = Bench::new(lazy());
    bench.log.append(b"covered").unwrap();
    bench.sync_for(2 * MS, MS, || {
        bench.log.append(b"late").unwrap();
        let tail = bench.last();
        assert_eq!((tail.records, tail.bytes), (2, 11));
        assert_eq!((tail.pending_records, tail.pending_bytes), (1, 4));
        assert_eq!((tail.pending_age, tail.in_flight), (Duration::ZERO, Some(2 * MS)));
        bench.clock.pass(MS);
        bench.log.append(b"later").unwrap();
        let tail = bench.last();
        assert_eq!((tail.records, tail.pending_records), (3, 2));
        assert_eq!((tail.pending_age, tail.in_flight), (MS, Some(3 * MS)));
    });
    let tail = bench.last();
    assert_eq!((tail.trigger, tail.in_flight), (Trigger::Synced, None));
    assert_eq!((tail.records, tail.pending_records, tail.bytes), (2, 2, 9));
    assert_eq!((tail.pending_age, tail.since_last_sync), (2 * MS, Duration::ZERO));
}

/// The weights are those that `Adaptive` is tuned for: an eighth, a quarter.
#[test]
fn the_cost_of_a_sync_and_what_it_carries_are_averages_of_real_syncs() {
    let bench = Bench::new(lazy());
    let measured = || {
        let tail = bench.last();
        (tail.sync_cost, tail.records_per_sync)
    };
    bench.log.append(b"a").unwrap();
    assert_eq!(measured(), (Duration::ZERO, 0.0));
    bench.sync_for(8 * MS, Duration::ZERO, || ());
    bench.log.append(b"b").unwrap();
    assert_eq!(measured(), (8 * MS, 1.0));
    bench.log.append_batch(&vec![b"c".to_vec(); 8]).unwrap();
    bench.sync_for(16 * MS, Duration::ZERO, || ());
    bench.log.append(b"d").unwrap();
    assert_eq!(measured(), (9 * MS, 3.0));

    // A task asks for a sync; before anybody makes it, a rotation makes all durable. The commit that
    // follows finds nothing to do, makes no sync, and is no measure of one.
    let tasks = bench.log.asynchronous();
    let mut asked = pin!(tasks.sync());
    assert!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    bench.log.truncate_before(Lsn::new(3)).unwrap();
    assert_eq!(bench.log.durable_lsn(), bench.log.last_lsn());
    let syncs = bench.probe.syncs();
    assert_eq!(bench.log.drive(), Drive::Worked);
    assert_eq!(bench.probe.syncs(), syncs);
    bench.log.append(b"e").unwrap();
    assert_eq!(measured(), (9 * MS, 3.0));
}

#[test]
fn callers_that_wait_are_counted_once_and_no_more_when_they_give_up() {
    let bench = Bench::new(Decision::durable(SyncWhen::Within(HOUR)));
    let tasks = bench.log.asynchronous();
    let mut cx = Context::from_waker(Waker::noop());
    let mut first = Box::pin(tasks.append(b"first"));
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert_eq!(bench.last().waiting, 0, "itself it does not count");
    assert!(first.as_mut().poll(&mut cx).is_pending());
    let mut second = pin!(tasks.append(b"second"));
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert_eq!(bench.last().waiting, 1, "polled twice, waits once");
    drop(first);
    let mut third = pin!(tasks.append(b"third"));
    assert!(third.as_mut().poll(&mut cx).is_pending());
    assert_eq!(bench.last().waiting, 1, "the first gave up");
    let mut fourth = pin!(tasks.append(b"fourth"));
    assert!(fourth.as_mut().poll(&mut cx).is_pending());
    assert_eq!(bench.last().waiting, 2);
}
