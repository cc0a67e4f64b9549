//! One image of the disk: recover it, hold what comes back against what is known, crash again, append,
//! crash again.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use wal_core::{Access, Claim, Clock, Drive, Durability, Error, ErrorKind, Lsn, Result, Wal};
use wal_recovery::Mode;

use crate::promise::{Crash, Found, Knowledge, Lost, Violation, oracle};
use crate::simulation::{self, Run, SimulatedClock, Subject, Workload};
use crate::{CrashPolicy, FaultFs, ModelFs, Moment, StorageUnderTest};

/// The ways in which the last crash of an examination is made: a replay tries them all.
pub(super) const LAST_CRASHES: u64 = 12;

/// What is examined: a strategy on a storage, with segments of some size.
pub(crate) struct Probe<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) claim: Claim,
    pub(crate) segment_size: u64,
}

/// What one image showed.
pub(crate) struct Examined {
    pub(crate) lost: Lost,
    /// The state before each change that the recovery made, and the one after the last.
    pub(crate) moments: Vec<Moment>,
    /// How many recoveries ran.
    pub(crate) recoveries: u64,
}

/// A log that was recovered and opened.
pub(crate) struct Opened {
    pub(crate) log: Wal,
    pub(crate) found: Found,
    clock: SimulatedClock,
}

impl Opened {
    /// Appends a record and makes it durable, at whatever time the strategy wants that.
    fn append_durably(&self, record: &[u8]) -> Result<Lsn> {
        let task = self.log.clone().asynchronous();
        let mut append = Box::pin(task.append_with(record, Durability::Durable));
        let mut idle = 0;
        while idle < 2 {
            let polled = append.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(outcome) = polled {
                return outcome;
            }
            match self.log.drive() {
                Drive::Worked => {}
                Drive::Until(at) => self.clock.advance(at.saturating_sub(self.clock.monotonic())),
                Drive::Idle => idle += 1,
            }
        }
        Err(Error::new(ErrorKind::TimedOut, "append").with_detail("it waits, and nothing is due"))
    }
}

impl<'a> Probe<'a> {
    pub(crate) fn new(subject: &'a Subject, segment_size: u64) -> Self {
        Probe { subject, claim: subject.strategy.claim(), segment_size }
    }

    /// Recovers what is on a disk, opens it and reads everything.
    pub(crate) fn open(&self, disk: &ModelFs) -> Result<Opened> {
        let fs = FaultFs::new(disk.clone());
        fs.faults().keep_trace(false);
        self.open_over(fs)
    }

    /// The same, with faults.
    pub(crate) fn open_over(&self, fs: FaultFs<ModelFs>) -> Result<Opened> {
        let storage = self.subject.storage.open(fs)?;
        let clock = SimulatedClock::new();
        let opened = simulation::open(self.subject, self.segment_size, storage, &clock)?;
        let simulation::Opened { log, found, .. } = opened;
        Ok(Opened { log, found, clock })
    }

    /// Whether the storage's reserve is all there on a disk, and large enough for each of the segments.
    pub(super) fn has_whole_reserve(&self, disk: &ModelFs) -> bool {
        let look = || {
            let storage = self.subject.storage.open(FaultFs::new(disk.clone()))?;
            let (segments, reserve) = (storage.list().wait()?.segments, storage.reserve().wait()?);
            let len = |name: &Lsn| storage.open(*name, Access::Read).wait()?.len().wait();
            let largest =
                segments.iter().map(len).try_fold(0, |most, len| len.map(|n| n.max(most)));
            Ok::<_, Error>(
                largest? <= StorageUnderTest::FITS_IN_RESERVE
                    && self.subject.storage.reserve() == Some(reserve),
            )
        };
        look().unwrap_or(false)
    }

    /// Salvages what is on a disk, and reads everything.
    pub(crate) fn salvage(&self, disk: &ModelFs) -> Result<Found> {
        let fs = FaultFs::new(disk.clone());
        fs.faults().keep_trace(false);
        let storage = self.subject.storage.open(fs)?;
        let (mode, clock) = (Mode::Salvage, SimulatedClock::new());
        let opened = simulation::open_by(mode, self.subject, self.segment_size, storage, &clock)?;
        Ok(opened.found)
    }

    /// Checks every oracle on one image. `watch` keeps the moments of its recovery.
    pub(crate) fn examine(
        &self,
        known: &Knowledge,
        crash: Crash,
        image: &ModelFs,
        seed: u64,
        watch: bool,
    ) -> Result<Examined, Violation> {
        let checked =
            catch_unwind(AssertUnwindSafe(|| self.check(known, crash, image, seed, watch)));
        checked.unwrap_or_else(|panic| Err(panicked(&*panic)))
    }

    fn check(
        &self,
        known: &Knowledge,
        crash: Crash,
        image: &ModelFs,
        seed: u64,
        watch: bool,
    ) -> Result<Examined, Violation> {
        if watch {
            image.record_moments();
        }
        let opened =
            self.open(image).map_err(|e| Violation::new("O7", format!("opening fails: {e}")))?;
        let after = image.moment();
        let mut moments = image.take_moments();
        if watch {
            moments.push(after.clone());
        }
        let lost =
            oracle::records(known, &self.claim, crash, &opened.found, opened.log.next_lsn())?;
        self.survives_at_once(&after, &opened.found)?;
        self.goes_on(known, image, &opened, seed)?;
        Ok(Examined { lost, moments, recoveries: 3 })
    }

    /// O5: what recovery returned is there after a second crash that takes everything unsynced.
    fn survives_at_once(&self, after: &Moment, found: &Found) -> Result<(), Violation> {
        let again = self.open(&after.crash(CrashPolicy::DropUnsynced)).map_err(|e| {
            Violation::new("O5", format!("opening fails after a second crash: {e}"))
        })?;
        match again.found == *found {
            true => Ok(()),
            false => Err(Violation::new("O5", differ("a second crash", found, &again.found))),
        }
    }

    /// O9: what is appended after recovery survives the next crash.
    fn goes_on(
        &self,
        known: &Knowledge,
        image: &ModelFs,
        opened: &Opened,
        seed: u64,
    ) -> Result<(), Violation> {
        let lsn = opened.append_durably(b"after").map_err(|e| {
            Violation::new("O9", format!("the recovered log refuses an append: {e}"))
        })?;
        if lsn.get() <= known.durable {
            return Err(Violation::new("O10", format!("LSN {lsn} was given out a second time")));
        }
        let policy = match seed % 4 {
            0 => CrashPolicy::DropUnsynced,
            1 => CrashPolicy::KeepAll,
            _ => CrashPolicy::Seeded(seed),
        };
        let later = self.open(&image.crash(policy)).map_err(|e| {
            Violation::new("O9", format!("opening fails after one more append: {e}"))
        })?;
        let mut expected = opened.found.clone();
        expected.push((lsn.get(), Bytes::from_static(b"after")));
        if later.found != expected {
            return Err(Violation::new("O9", differ("one more append", &expected, &later.found)));
        }
        Ok(())
    }
}

/// How two sets of records differ.
fn differ(when: &str, expected: &Found, found: &Found) -> String {
    let at = expected.iter().zip(found).position(|(a, b)| a != b);
    let at = at.unwrap_or(expected.len().min(found.len()));
    let name = |records: &Found| match records.get(at) {
        Some((lsn, bytes)) => format!("LSN {lsn} of {} bytes", bytes.len()),
        None => "nothing".into(),
    };
    format!(
        "after {when} {} records came back instead of {}: {} in the place of {}",
        found.len(),
        expected.len(),
        name(found),
        name(expected)
    )
}

/// Runs a workload; a panic is a finding.
pub(super) fn run_caught(subject: &Subject, workload: &Workload) -> Result<Run, Violation> {
    catch_unwind(AssertUnwindSafe(|| simulation::run(subject, workload)))
        .map_err(|panic| panicked(&*panic))
}

/// A panic of the code under test is a finding like any other.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Violation {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message");
    Violation::new("panic", text)
}
