//! A log under a random workload on the model file system, on one thread and a simulated clock, and
//! what an observer outside knows about it when the power fails.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use wal_core::*;
use wal_fs::{FileSettings, FileStorage};
use wal_recovery::Recovery;
use wal_sync::Policy;
use wal_testkit::{FaultFs, ModelFs, Rng};

/// Time that only moves when it is told to.
#[derive(Clone, Default)]
pub struct SimulatedClock(Arc<AtomicU64>);

impl SimulatedClock {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl Clock for SimulatedClock {
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + self.0.load(Ordering::Relaxed) / 1000)
    }
}

/// What is known of one record.
#[derive(Clone, Debug)]
pub struct Known {
    pub bytes: Vec<u8>,
    pub requested: Durability,
    pub appended_at: Duration,
    pub acknowledged: bool,
}

/// What is known of the log when it stops.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    pub records: BTreeMap<u64, Known>,
    /// The highest durable position that the log ever reported.
    pub durable: u64,
    /// `truncate_before` that was acknowledged / asked for.
    pub start_acknowledged: u64,
    pub start_asked: u64,
    /// `truncate_after`: kept up to .0, void up to .1 (the last LSN then), acknowledged or not.
    pub cuts: Vec<(u64, u64, bool)>,
    pub now: Duration,
}

impl Knowledge {
    /// Whether the record may be missing because somebody asked for its truncation.
    pub fn may_be_truncated(&self, lsn: u64) -> bool {
        lsn < self.start_asked || self.cuts.iter().any(|&(kept, upto, _)| kept < lsn && lsn <= upto)
    }
}

type Pending<T> = Pin<Box<dyn Future<Output = Result<T>>>>;

pub struct World {
    pub disk: ModelFs,
    pub fs: FaultFs<ModelFs>,
    pub known: Knowledge,
    policy: Policy,
    clock: SimulatedClock,
    log: Option<AsyncWal>,
    appends: Vec<(LsnRange, Pending<LsnRange>)>,
}

pub fn settings() -> Settings {
    Settings::default().segment_size(4096).buffer_bytes(16384)
}

pub fn storage<F: wal_fs::FileSystem>(fs: F) -> Result<FileStorage<F>> {
    let settings = FileSettings::default().preallocate_bytes(1024).max_spares(1);
    FileStorage::create_with_file_system(fs, "/log", settings)
}

impl World {
    pub fn new(disk: ModelFs, policy: Policy) -> Self {
        let fs = FaultFs::new(disk.clone());
        let known = Knowledge::default();
        World {
            disk,
            fs,
            known,
            policy,
            clock: SimulatedClock::default(),
            log: None,
            appends: Vec::new(),
        }
    }

    pub fn open(&mut self) -> Result<()> {
        let (recovered, _) = Recovery::new(storage(self.fs.clone())?).threads(1).run()?;
        let log = Wal::builder(self.policy)
            .settings(settings())
            .clock(self.clock.clone())
            .manual_driver()
            .open_async(recovered)?;
        self.log = Some(log);
        Ok(())
    }

    /// Runs `steps` random steps, or until the first error; then takes stock.
    pub fn run(&mut self, seed: u64, steps: usize) -> Result<()> {
        let mut rng = Rng::new(seed);
        let outcome = self.open().and_then(|()| (0..steps).try_for_each(|_| self.step(&mut rng)));
        self.settle();
        self.known.now = self.clock.monotonic();
        outcome
    }

    fn step(&mut self, rng: &mut Rng) -> Result<()> {
        match rng.below(40) {
            0..=17 => self.append(rng, Durability::Strategy),
            18..=19 => self.append(rng, Durability::Buffered),
            20..=21 => self.append(rng, Durability::Written),
            22..=23 => self.append(rng, Durability::Durable),
            24..=30 => {
                self.clock.advance(Duration::from_micros(rng.below(4000)));
                self.drive()
            }
            31..=33 => self.drive(),
            34..=35 => {
                let log = self.log().clone();
                self.finish(Box::pin(async move { log.sync().await })).map(drop)
            }
            36 => self.truncate_before(rng),
            37 => self.truncate_after(rng),
            38 => {
                let log = self.log().clone();
                self.finish(Box::pin(async move { log.close().await }))?;
                self.reopen()
            }
            _ => self.reopen(),
        }
    }

    fn log(&self) -> &AsyncWal {
        self.log.as_ref().expect("the log is open")
    }

    fn reopen(&mut self) -> Result<()> {
        self.settle();
        // The futures end first: they belong to the old handle.
        self.appends.clear();
        self.log = None;
        self.open()
    }

    fn append(&mut self, rng: &mut Rng, requested: Durability) -> Result<()> {
        let count = if rng.below(4) == 0 { 1 + rng.below(5) } else { 1 };
        let first = self.log().blocking().next_lsn().get();
        let records: Vec<Vec<u8>> = (0..count)
            .map(|i| {
                let len = if rng.below(8) == 0 { rng.below(900) } else { rng.below(60) };
                let mut bytes = format!("{} {} ", first + i, rng.next()).into_bytes();
                bytes.resize(len as usize, b'.');
                bytes
            })
            .collect();
        for (i, bytes) in records.iter().enumerate() {
            let known = Known {
                bytes: bytes.clone(),
                requested,
                appended_at: self.clock.monotonic(),
                acknowledged: false,
            };
            self.known.records.insert(first + i as u64, known);
        }
        let range = LsnRange { first: Lsn::new(first), last: Lsn::new(first + count - 1) };
        let log = self.log().clone();
        let mut append: Pending<LsnRange> =
            Box::pin(async move { log.append_batch_with(&records, requested).await });
        match poll(&mut append) {
            Poll::Ready(outcome) => {
                assert_eq!(outcome?, range);
                self.acknowledge(range);
                Ok(())
            }
            Poll::Pending => {
                self.appends.push((range, append));
                // A driver that is up to its work; the deadlines are the clock's business.
                self.drive()
            }
        }
    }

    fn acknowledge(&mut self, range: LsnRange) {
        for lsn in range.first.get()..=range.last.get() {
            self.known.records.get_mut(&lsn).expect("appended").acknowledged = true;
        }
    }

    fn truncate_before(&mut self, rng: &mut Rng) -> Result<()> {
        let (first, next) =
            (self.log().blocking().first_lsn().get(), self.log().blocking().next_lsn().get());
        let lsn = first + rng.below(next + 1 - first);
        self.known.start_asked = self.known.start_asked.max(lsn);
        let log = self.log().clone();
        let start =
            self.finish(Box::pin(async move { log.truncate_before(Lsn::new(lsn)).await }))?;
        assert!(start.get() >= lsn);
        self.known.start_acknowledged = self.known.start_acknowledged.max(lsn);
        Ok(())
    }

    fn truncate_after(&mut self, rng: &mut Rng) -> Result<()> {
        let (first, next) =
            (self.log().blocking().first_lsn().get(), self.log().blocking().next_lsn().get());
        let kept = first.saturating_sub(1) + rng.below(next + 1 - first);
        self.known.cuts.push((kept, next - 1, false));
        let log = self.log().clone();
        self.finish(Box::pin(async move { log.truncate_after(Lsn::new(kept)).await }))?;
        self.known.cuts.last_mut().expect("just pushed").2 = true;
        Ok(())
    }

    /// Lets the driver do what is due, and sees who is acknowledged.
    fn drive(&mut self) -> Result<()> {
        while self.log().blocking().drive() == Drive::Worked {}
        self.settle();
        Ok(())
    }

    /// Sees who is acknowledged.
    fn settle(&mut self) {
        let mut left = Vec::new();
        for (range, mut append) in std::mem::take(&mut self.appends) {
            match poll(&mut append) {
                Poll::Ready(Ok(_)) => self.acknowledge(range),
                Poll::Ready(Err(_)) => {}
                Poll::Pending => left.push((range, append)),
            }
        }
        self.appends = left;
        if let Some(log) = &self.log {
            self.known.durable = self.known.durable.max(log.blocking().durable_lsn().get());
        }
    }

    /// Drives until one thing is done.
    fn finish<T>(&mut self, mut pending: Pending<T>) -> Result<T> {
        loop {
            if let Poll::Ready(outcome) = poll(&mut pending) {
                self.settle();
                return outcome;
            }
            if self.log().blocking().drive() != Drive::Worked {
                // Only a poisoned log stops short; the next poll says so.
                match poll(&mut pending) {
                    Poll::Ready(outcome) => return outcome,
                    Poll::Pending => panic!("nothing is due, and somebody waits"),
                }
            }
        }
    }
}

fn poll<T>(future: &mut Pending<T>) -> Poll<Result<T>> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}
