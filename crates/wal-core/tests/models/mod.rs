//! What the models of loom and of shuttle share: a storage that a crash can freeze, a clock, and the
//! steps that threads of a model take.
//!
//! | file | idea |
//! | --- | --- |
//! | `disk` | the storage: what is written, what is durable, what a crash leaves |
//! | `image` | what a recovery would find after that crash |
//! | `history` | what the storage saw, printed if a model fails |
//!
//! The engine and the strategies are the real ones. Everything that threads share is made of the
//! primitives of the checker at hand, so that it sees every dependency between them.
#![allow(dead_code, unreachable_pub, reason = "each target uses a part of it")]

mod disk;
mod history;
mod image;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub use disk::{Disk, Plan};
pub use history::explain_failure;
#[cfg(wal_loom)]
pub use loom::{future::block_on, sync::Mutex, thread};
#[cfg(wal_shuttle)]
pub use shuttle::{future::block_on, sync::Mutex, thread};
use wal_core::format::LogId;
use wal_core::*;
use wal_sync::Policy;

/// A log on a model disk, and a clock that somebody must advance.
#[derive(Clone)]
pub struct World {
    pub log: Wal,
    pub disk: Arc<Disk>,
    pub clock: Arc<TestClock>,
    /// Threads that were spawned and have not come to their ends.
    running: Arc<AtomicU64>,
}

/// A record that leaves room for no other in a segment of [`SMALL_SEGMENT`] bytes.
pub const LARGE_RECORD: [u8; 2500] = [7; 2500];
/// By then all other threads have long come to their ends, or wait.
const IDLE_MAX: u32 = 1000;
/// The smallest segment that the settings allow.
const SMALL_SEGMENT: u64 = 4096;

impl World {
    /// A log under the strategy that `policy` names, driven by the model's own threads.
    pub fn new(policy: &str) -> Self {
        Self::with(policy, Plan::default(), false)
    }

    /// A log whose buffer has room for one [`LARGE_RECORD`].
    pub fn with_little_room(policy: &str) -> Self {
        Self::of(policy, Plan::default(), false, Settings::default().buffer_bytes(SMALL_SEGMENT))
    }

    /// A log whose tasks commit in place.
    pub fn in_place(policy: &str) -> Self {
        Self::of(policy, Plan::default(), false, Settings::default().commit_in_place(true))
    }

    /// A log whose disk fails as planned; with the real driver thread if `driver`.
    pub fn with(policy: &str, plan: Plan, driver: bool) -> Self {
        Self::of(policy, plan, driver, Settings::default())
    }

    fn of(policy: &str, plan: Plan, driver: bool, settings: Settings) -> Self {
        let policy: Policy = policy.parse().expect("a policy");
        let clock = Arc::new(TestClock::default());
        let disk = Arc::new(Disk::new(plan, policy.claim(), clock.clone()));
        let storage = Arc::new(disk::Storage(disk.clone()));
        let lock = StorageLock::new(disk::Held(disk.clone()));
        let recovered = Recovered::empty(storage, lock, LogId([7; 16]));
        let recovered = recovered.expect("an empty disk");
        let settings = settings.segment_size(SMALL_SEGMENT);
        let builder = Wal::builder(policy).settings(settings).clock(clock.clone());
        let builder = if driver { builder } else { builder.manual_driver() };
        let log = builder.open(recovered).expect("a new log");
        World { log, disk, clock, running: Arc::default() }
    }

    /// Appends a record; if that is acknowledged, it counts for the claim from now on.
    pub fn append(&self, record: &[u8]) -> Result<Lsn> {
        let lsn = self.log.append(record)?;
        self.disk.acknowledge(lsn, self.log.durable_lsn());
        Ok(lsn)
    }

    /// The same from a task on this thread.
    pub fn append_async(&self, record: &[u8]) -> Result<Lsn> {
        let task = self.log.asynchronous();
        let lsn = block_on(task.append(record))?;
        self.disk.acknowledge(lsn, self.log.durable_lsn());
        Ok(lsn)
    }

    /// The same from a task on this thread, which also does what the driver thread would do.
    pub fn append_driving(&self, record: &[u8]) -> Result<Lsn> {
        let task = self.log.asynchronous();
        let mut append = pin!(task.append(record));
        let mut cx = Context::from_waker(Waker::noop());
        let mut outcome = None;
        self.drive_until(|| match append.as_mut().poll(&mut cx) {
            Poll::Ready(ready) => {
                outcome = Some(ready);
                true
            }
            Poll::Pending => false,
        });
        let lsn = outcome.expect("ready")?;
        self.disk.acknowledge(lsn, self.log.durable_lsn());
        Ok(lsn)
    }

    /// Does what the driver thread would do, until this many records are durable.
    pub fn drive_until_durable(&self, records: u64) {
        self.drive_until(|| self.log.durable_lsn() >= Lsn::new(records));
    }

    /// Does what the driver thread would do, until all threads of the model have come to their ends.
    pub fn drive_to_the_end(&self) {
        self.drive_until(|| self.running.load(Ordering::SeqCst) == 0);
    }

    /// Drives. A deadline comes as soon as nothing else is due: how long that takes is up to the checker,
    /// which lets other threads run meanwhile.
    fn drive_until(&self, mut done: impl FnMut() -> bool) {
        let mut idle = 0;
        while !done() {
            match self.log.drive() {
                Drive::Worked => continue,
                Drive::Until(at) => self.clock.advance_to(at),
                Drive::Idle => idle += 1,
            }
            assert!(idle < IDLE_MAX, "the driver has nothing to do, and somebody waits for ever");
            thread::yield_now();
        }
    }

    /// Lets a thread freeze the disk, at whatever moment.
    pub fn crash_beside(&self) -> thread::JoinHandle<()> {
        self.disk.expect_crash();
        self.spawn(|world| world.disk.freeze())
    }

    /// Runs `f` beside this thread.
    pub fn spawn<T: Send + 'static>(
        &self,
        f: impl FnOnce(&World) -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let world = self.clone();
        world.running.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            let outcome = f(&world);
            world.running.fetch_sub(1, Ordering::SeqCst);
            outcome
        })
    }
}

/// Joins threads that must not have panicked.
pub fn join<T>(threads: impl IntoIterator<Item = thread::JoinHandle<T>>) -> Vec<T> {
    threads
        .into_iter()
        .map(|thread| thread.join().expect("a thread of the model panicked"))
        .collect()
}

/// Stands still until it is told to go on.
///
/// Not made of the checker's primitives: it would multiply the interleavings by those of reading it,
/// and all that is decided by it is *when* a deadline comes, which the schedule decides as well.
#[derive(Default)]
pub struct TestClock(AtomicU64);

impl TestClock {
    fn advance_by(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Ordering::SeqCst);
    }

    pub fn advance_to(&self, at: Duration) {
        self.0.fetch_max(at.as_nanos() as u64, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst) / 1000)
    }
}
