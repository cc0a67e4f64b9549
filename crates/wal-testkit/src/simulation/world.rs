//! Runs a workload, and writes down what happened.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use wal_core::{Clock, Drive, ErrorKind, Lsn, Result};

use super::actor::{Actor, Pending, locked, poll};
use super::below::{self, Below, Broken};
use super::history::History;
use super::opening::{self, Opened};
use super::{LiveFault, SimulatedClock, Step, Subject, Workload};
use crate::promise::{Crash, Event, FaultKind, Knowledge, Violation, oracle};
use crate::{FaultFs, Moment};

/// A workload that has been run.
pub(crate) struct Run {
    /// The state before every change, and at last the final one.
    pub(crate) moments: Vec<Moment>,
    pub(crate) events: Vec<(usize, Event)>,
    /// What was wrong without any crash.
    pub(crate) complaint: Option<Violation>,
}

/// Runs a workload, from an empty disk on.
pub(crate) fn run(subject: &Subject, workload: &Workload) -> Run {
    let mut world = World {
        subject,
        segment_size: workload.segment_size,
        below: Below::new(),
        clock: SimulatedClock::new(),
        history: Arc::default(),
        actor: None,
        slow_syncs: workload.is_roomy(),
    };
    let complaint = world.run(workload).err();
    let last = world.below.disk().moment();
    let mut moments = world.below.disk().take_moments();
    moments.push(last);
    if let Some(actor) = world.actor.take() {
        // What is done when the handle is dropped is not part of the workload: it meets a dead process.
        let _ = world.below.disk().process_crash();
        locked(&actor.waiting).clear();
    }
    let mut events = std::mem::take(&mut locked(&world.history).events);
    // What a caller could know at some moment was noted when it was next looked at.
    events.sort_by_key(|(at, _)| *at);
    Run { moments, events, complaint }
}

pub(super) struct World<'a> {
    pub(super) subject: &'a Subject,
    pub(super) segment_size: u64,
    pub(super) below: Below,
    clock: SimulatedClock,
    history: Arc<Mutex<History>>,
    actor: Option<Actor>,
    /// Whether a sync leaves room for others: not on small segments, where it may belong to a
    /// rotation, nor where a write and its sync are one call, nor where what is filled ahead is synced with each block
    /// (direct writes). One thread could not wait for itself.
    slow_syncs: bool,
}

impl World<'_> {
    fn run(&mut self, workload: &Workload) -> Result<(), Violation> {
        self.open(None)?;
        for step in &workload.steps {
            self.step(step)?;
        }
        self.wind_down()
    }

    pub(super) fn actor(&self) -> &Actor {
        self.actor.as_ref().expect("the log is open between steps")
    }

    fn step(&mut self, step: &Step) -> Result<(), Violation> {
        match step {
            Step::Append { .. } | Step::Starve(_) | Step::Drive => self.actor().act(step)?,
            Step::Wait(time) => {
                self.actor().wait(*time)?;
                self.check_timer()?;
            }
            Step::Slow(steps) if self.slow_syncs => self.slow(steps)?,
            Step::Slow(steps) => steps.iter().try_for_each(|step| self.actor().act(step))?,
            Step::Sync => {
                let log = self.actor().log.clone();
                self.finish("sync", Box::pin(async move { log.sync().await }))?;
            }
            Step::Before(at) => self.truncate_before(*at)?,
            Step::After(at) => self.truncate_after(*at)?,
            Step::Close => {
                let log = self.actor().log.clone();
                self.finish("close", Box::pin(async move { log.close().await }))?;
                return self.reopen(Some(Crash::None));
            }
            Step::Drop => {
                let how = if self.is_poisoned() { Crash::Process } else { Crash::None };
                return self.reopen(Some(how));
            }
            Step::Kill => {
                self.actor().settle();
                self.actor().note(Event::Befell(FaultKind::Restart));
                self.below.process_dies();
                return self.reopen(Some(Crash::Process));
            }
            Step::Intrude => self.intrude()?,
            Step::Jump(by) => {
                self.actor().note(Event::Befell(FaultKind::Clock));
                self.clock.jump_micros(*by);
            }
            Step::Fault(LiveFault::Lost(how)) => self.lose(*how)?,
            Step::Fault(fault) => self.fault(*fault),
        }
        if let Some(why) = self.actor().refused.get().filter(|_| !self.below.is_broken()) {
            let what = format!("an append was refused with nothing wrong: {why}");
            return Err(Violation::new("progress", what));
        }
        if !self.is_poisoned() && self.below.sync_failed() {
            return Err(Violation::new("O8", "a sync failed, and the log goes on"));
        }
        if self.is_poisoned() {
            if !self.below.is_broken() {
                return Err(Violation::new(
                    "progress",
                    "the log failed with nothing wrong below it",
                ));
            }
            self.check_poisoned()?;
            return self.reopen(Some(Crash::Process));
        }
        Ok(())
    }

    /// A sync of the driver that takes its time. There is a record for it, whatever was synced before.
    fn slow(&mut self, steps: &[Step]) -> Result<(), Violation> {
        let outcome = Arc::new(Mutex::new(Ok(())));
        self.actor().slow_sync(steps.to_vec(), outcome.clone());
        self.actor().append(1, 1, None);
        let log = self.actor().log.clone();
        let done = self.finish("sync", Box::pin(async move { log.sync().await }));
        self.below.disk().on_sync(None);
        done?;
        std::mem::replace(&mut *locked(&outcome), Ok(()))
    }

    fn truncate_before(&mut self, at: u32) -> Result<(), Violation> {
        let log = self.actor().log.clone();
        let (first, next) = (log.blocking().first_lsn().get(), log.blocking().next_lsn().get());
        let lsn = first + (next - first) * u64::from(at.min(1000)) / 1000;
        self.actor().note(Event::BeforeAsked(lsn));
        let truncation = Box::pin(async move { log.truncate_before(Lsn::new(lsn)).await });
        if let Some(start) = self.finish("truncate_before", truncation)? {
            if start.get() < lsn {
                return Err(Violation::new("O4", format!("truncated to {start} instead of {lsn}")));
            }
            self.actor().note(Event::BeforeDone(lsn));
        }
        Ok(())
    }

    fn truncate_after(&mut self, at: u32) -> Result<(), Violation> {
        let log = self.actor().log.clone();
        let (first, next) = (log.blocking().first_lsn().get(), log.blocking().next_lsn().get());
        let kept = first.saturating_sub(1) + (next - first) * u64::from(at.min(1000)) / 1000;
        self.actor().note(Event::AfterAsked { kept, last: next - 1 });
        let truncation = Box::pin(async move { log.truncate_after(Lsn::new(kept)).await });
        if self.finish("truncate_after", truncation)?.is_some() {
            self.actor().note(Event::AfterDone);
        }
        Ok(())
    }

    /// A second opener must be told that the log is taken.
    fn intrude(&mut self) -> Result<(), Violation> {
        let storage = self.subject.storage.open(FaultFs::new(self.below.disk().clone()));
        match storage.and_then(|storage| storage.lock().wait()) {
            Ok(_) => Err(Violation::new("lock", "a second opener got the lock of an open log")),
            Err(error) if error.kind() == ErrorKind::Locked => Ok(()),
            Err(error) => Err(Violation::new("lock", format!("instead of \"locked\": {error}"))),
        }
    }

    fn fault(&mut self, fault: LiveFault) {
        self.actor().note(Event::Befell(match fault {
            LiveFault::SyncFails(_) => FaultKind::FailedSync,
            _ => FaultKind::LiveFault,
        }));
        if below::empties_the_cache(fault) {
            self.actor().note(Event::CacheFails);
        }
        self.below.strike(fault);
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.actor().poisoned.load(Ordering::Relaxed)
    }

    /// O8: on a log that failed nothing is acknowledged any more.
    fn check_poisoned(&mut self) -> Result<(), Violation> {
        let log = self.actor().log.blocking();
        let durable = log.durable_lsn();
        self.actor().settle();
        if log.append(b"after the failure").is_ok() || log.sync().is_ok() {
            return Err(Violation::new(
                "O8",
                "something was acknowledged on a log that had failed",
            ));
        }
        if log.durable_lsn() != durable {
            return Err(Violation::new(
                "O8",
                "the durable position moved on a log that had failed",
            ));
        }
        if !locked(&self.actor().waiting).is_empty() {
            return Err(Violation::new("O8", "a log that failed left somebody waiting"));
        }
        Ok(())
    }

    /// The driver was punctual: no acknowledged record is older than the claimed window with no sync
    /// begun for it.
    fn check_timer(&self) -> Result<(), Violation> {
        let Some(window) = self.subject.strategy.claim().power_loss.window else { return Ok(()) };
        if self.is_poisoned() {
            return Ok(());
        }
        let knowledge = self.knowledge();
        oracle::overdue(&knowledge, self.clock.monotonic(), window)
    }

    pub(super) fn knowledge(&self) -> Knowledge {
        let mut knowledge = Knowledge::default();
        locked(&self.history).events.iter().for_each(|(_, event)| knowledge.learn(event));
        knowledge
    }

    /// Opens the log again; `how` says how the last handle ended.
    fn reopen(&mut self, how: Option<Crash>) -> Result<(), Violation> {
        if let Some(actor) = self.actor.take() {
            actor.settle();
            // The futures end first: they belong to the old handle.
            locked(&actor.waiting).clear();
            self.below.disk().on_change(None);
        }
        self.open(how)
    }

    fn open(&mut self, how: Option<Crash>) -> Result<(), Violation> {
        // Faults are still in force: opening may fail, and without them it must work.
        let opened = match self.try_open() {
            Err(_) if self.below.is_broken() => {
                self.below.process_dies();
                self.below.heal();
                self.try_open()
            }
            opened => opened,
        };
        let Opened { log, found, poisoned } =
            opened.map_err(|e| Violation::new("O7", format!("the log does not open: {e}")))?;
        if let Some(how) = how {
            let how = match self.below.broken() {
                Some(Broken::Sync) => Crash::FailedSync,
                _ if self.knowledge().owner_lost => Crash::Power,
                Some(Broken::Call) if how == Crash::None => Crash::Process,
                _ => how,
            };
            let claim = self.subject.strategy.claim();
            let next = log.next_lsn();
            oracle::records(&self.knowledge(), &claim, how, &found, next)?;
        }
        self.below.heal();
        self.below.opened();
        let lsns = found.iter().map(|(lsn, _)| *lsn).collect();
        let actor = Actor {
            log: log.asynchronous(),
            clock: self.clock.clone(),
            disk: self.below.disk().clone(),
            history: self.history.clone(),
            waiting: Arc::default(),
            poisoned,
            refused: Arc::default(),
        };
        actor.note(Event::Reopened { found: lsns });
        actor.settle();
        actor.watch_durable();
        self.actor = Some(actor);
        Ok(())
    }

    fn try_open(&mut self) -> Result<Opened> {
        let storage = self.subject.storage.open(self.below.mount())?;
        let capabilities = storage.capabilities();
        self.slow_syncs &= !capabilities.write_through && capabilities.alignment == 1;
        opening::open(self.subject, self.segment_size, storage, &self.clock)
    }

    /// Drives until one thing is done; `None` if a fault prevented it.
    fn finish<T>(&mut self, what: &str, mut pending: Pending<T>) -> Result<Option<T>, Violation> {
        let mut idle = 0;
        // More than any amount of work needs.
        for _ in 0..10_000 {
            if let Poll::Ready(outcome) = poll(&mut pending) {
                self.actor().settle();
                return match outcome {
                    Ok(value) => Ok(Some(value)),
                    Err(_) if self.below.is_broken() => Ok(None),
                    Err(error) => Err(Violation::new("progress", format!("{what}: {error}"))),
                };
            }
            if self.actor().log.blocking().drive() != Drive::Worked {
                idle += 1;
                if idle > 1 {
                    break;
                }
            }
        }
        Err(Violation::new("progress", format!("{what} never returns, and nothing is due")))
    }

    /// When nothing more is asked of the log, everybody who waits is served within an hour.
    fn wind_down(&mut self) -> Result<(), Violation> {
        self.actor().wait(Duration::from_secs(3600))?;
        self.check_timer()?;
        let left = locked(&self.actor().waiting).first().map(|waiting| waiting.range);
        match left {
            Some(range) if !self.is_poisoned() => Err(Violation::new(
                "progress",
                format!("the append of LSN {} waits for ever", range.first),
            )),
            _ => Ok(()),
        }
    }
}
