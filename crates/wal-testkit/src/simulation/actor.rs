//! Appends and time: what can also happen while a sync is in flight.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use wal_core::{AsyncWal, Clock, Drive, Durability, Lsn, LsnRange, Result};

use super::history::{History, payload};
use super::{SimulatedClock, Step};
use crate::ModelFs;
use crate::promise::{Event, FaultKind, Violation};

pub(super) type Pending<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// More steps of the driver than any amount of work needs.
const ENDLESS: usize = 10_000;

/// An append that was not acknowledged yet.
pub(super) struct Waiting {
    pub(super) range: LsnRange,
    append: Pending<LsnRange>,
    woken: Arc<Woken>,
}

/// Notes when a task was woken: from then on its caller may know, whenever it is polled.
struct Woken {
    disk: ModelFs,
    /// How many changes the file system had seen; none before the wake-up.
    at: OnceLock<usize>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.at.get_or_init(|| self.disk.recorded());
    }
}

/// One open log, and the means to use it. Clones use the same one.
#[derive(Clone)]
pub(super) struct Actor {
    pub(super) log: AsyncWal,
    pub(super) clock: SimulatedClock,
    pub(super) disk: ModelFs,
    pub(super) history: Arc<Mutex<History>>,
    pub(super) waiting: Arc<Mutex<Vec<Waiting>>>,
    /// The log said that it failed.
    pub(super) poisoned: Arc<AtomicBool>,
    /// Why an append was refused, the first time one was.
    pub(super) refused: Arc<OnceLock<String>>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn poll<T>(future: &mut Pending<T>) -> Poll<Result<T>> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

impl Actor {
    /// Notes what an observer learns at this moment.
    pub(super) fn note(&self, event: Event) {
        self.note_at(self.disk.recorded(), event);
    }

    pub(super) fn note_at(&self, changes: usize, event: Event) {
        locked(&self.history).events.push((changes, event));
    }

    /// Does a step that may happen beside a sync.
    pub(super) fn act(&self, step: &Step) -> Result<(), Violation> {
        match step {
            Step::Append { count, len, durability } => {
                self.append(u64::from(*count), *len, *durability);
            }
            Step::Starve(time) => {
                self.note(Event::Befell(FaultKind::Clock));
                self.clock.advance(*time);
                return Ok(());
            }
            Step::Wait(time) => return self.wait(*time),
            Step::Drive => {}
            _ => unreachable!("such steps do not fit beside a sync"),
        }
        self.drive()
    }

    pub(super) fn append(&self, count: u64, len: u32, requested: Option<Durability>) {
        let first = self.log.blocking().next_lsn().get();
        let batch = {
            let mut history = locked(&self.history);
            history.batches += 1;
            history.batches
        };
        let records: Vec<_> = (0..count).map(|index| payload(batch, index, len)).collect();
        let at = self.clock.monotonic();
        self.note(Event::Submitted { first, records: records.clone(), requested, at });
        let range = LsnRange::new(Lsn::new(first), Lsn::new(first + count - 1));
        let log = self.log.clone();
        let mut append: Pending<LsnRange> =
            Box::pin(async move { log.append_batch_with(&records, requested).await });
        let woken = Arc::new(Woken { disk: self.disk.clone(), at: OnceLock::new() });
        let waker = Waker::from(woken.clone());
        match append.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(Ok(acknowledged)) => self.note(Event::Acknowledged(acknowledged)),
            Poll::Ready(Err(error)) => {
                self.refused.get_or_init(|| error.to_string());
            }
            Poll::Pending => locked(&self.waiting).push(Waiting { range, append, woken }),
        }
    }

    /// Lets the driver do what is due, and sees who is acknowledged.
    pub(super) fn drive(&self) -> Result<(), Violation> {
        let log = self.log.blocking();
        for _ in 0..ENDLESS {
            if log.drive() != Drive::Worked {
                self.settle();
                return Ok(());
            }
        }
        Err(Violation::new("progress", "the driver finds work for ever, without time passing"))
    }

    /// Time passes, with the driver at work whenever something comes due.
    pub(super) fn wait(&self, time: Duration) -> Result<(), Violation> {
        let until = self.clock.monotonic() + time;
        self.drive()?;
        for _ in 0..ENDLESS {
            let now = self.clock.monotonic();
            match self.log.blocking().drive() {
                Drive::Worked => self.settle(),
                Drive::Until(at) if at <= until => {
                    self.clock.advance(at.saturating_sub(now).max(Duration::from_nanos(1)));
                }
                Drive::Until(_) | Drive::Idle => {
                    self.clock.advance(until.saturating_sub(now));
                    return self.drive();
                }
            }
        }
        Err(Violation::new("progress", "deadlines come up for ever, one after the other"))
    }

    /// Sees who is acknowledged, and what is reported durable.
    pub(super) fn settle(&self) {
        let waiting = std::mem::take(&mut *locked(&self.waiting));
        let mut left = Vec::new();
        for mut one in waiting {
            let waker = Waker::from(one.woken.clone());
            match one.append.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(Ok(range)) => {
                    let now = self.disk.recorded();
                    let at = one.woken.at.get().map_or(now, |at| *at);
                    self.note_at(at, Event::Acknowledged(range));
                }
                Poll::Ready(Err(error)) => {
                    self.refused.get_or_init(|| error.to_string());
                }
                Poll::Pending => left.push(one),
            }
        }
        locked(&self.waiting).extend(left);
        self.note(Event::Durable(self.log.blocking().durable_lsn().get()));
    }

    /// Looks at the position that the log reports as durable before every change of the disk: somebody
    /// may ask at any moment.
    pub(super) fn watch_durable(&self) {
        let (log, history) = (self.log.blocking(), self.history.clone());
        let mut last = log.durable_lsn();
        self.disk.on_change(Some(Box::new(move |at| {
            let now = log.durable_lsn();
            if now != last {
                last = now;
                locked(&history).events.push((at, Event::Durable(now.get())));
            }
        })));
    }

    /// Arranges for the next sync of the driver to take its time.
    pub(super) fn slow_sync(&self, steps: Vec<Step>, outcome: Arc<Mutex<Result<(), Violation>>>) {
        let actor = self.clone();
        let mut steps = Some(steps);
        self.disk.on_sync(Some(Box::new(move |kind| {
            // The steps may write, and a write would wait for the one that this sync belongs to: on one thread for
            // ever. Which syncs belong to a write, a rotation or a truncation is up to the storage.
            if kind != crate::SyncKind::Data || actor.log.blocking().is_writing() {
                return;
            }
            let Some(steps) = steps.take() else { return };
            actor.note(Event::SyncBegan);
            let done = steps.iter().try_for_each(|step| actor.act(step));
            if done.is_err() {
                *locked(&outcome) = done;
            }
            // The next change is the end of this sync.
            actor.note_at(actor.disk.recorded() + 1, Event::SyncEnded);
        })));
    }
}
