//! Who waits for what, and how they are woken.
//!
//! A waiting thread parks on a slot of its own and learns its fate from there; it takes the log's lock
//! again only if there is work for it. A waiting task leaves its waker.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::Waker;

use crate::Lsn;
use crate::sync::{AtomicU32, Ordering, thread};

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The record was handed to the storage.
    Written,
    /// The record was synced.
    Durable,
    /// The same, but nobody is to hurry for it: a follower reads what becomes durable anyway.
    Followed,
}

/// How a thread's wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What it waited for has happened.
    Done,
    /// It is to sync for everybody, itself included; or to see to it that somebody writes.
    Lead,
    /// The log failed.
    Failed,
}

const WAITING: u32 = 0;
const DONE: u32 = 1;
const LEAD: u32 = 2;
const FAILED: u32 = 3;

/// The place where one thread waits. A thread waits for one thing at a time.
pub(crate) struct Slot {
    state: AtomicU32,
    thread: thread::Thread,
}

impl Slot {
    fn new() -> Arc<Self> {
        Arc::new(Slot { state: AtomicU32::new(WAITING), thread: thread::current() })
    }

    /// This thread's slot, ready for a new wait.
    #[cfg(not(any(wal_loom, wal_shuttle)))]
    pub(crate) fn of_this_thread() -> Arc<Self> {
        std::thread_local! {
            static SLOT: Arc<Slot> = Slot::new();
        }
        let slot = SLOT.with(Arc::clone);
        slot.state.store(WAITING, Ordering::Relaxed);
        slot
    }

    /// This thread's slot, ready for a new wait.
    #[cfg(any(wal_loom, wal_shuttle))]
    pub(crate) fn of_this_thread() -> Arc<Self> {
        Slot::new()
    }

    /// Sleeps until somebody decides this thread's fate.
    pub(crate) fn wait(&self) -> Outcome {
        loop {
            match self.state.load(Ordering::Acquire) {
                DONE => return Outcome::Done,
                LEAD => return Outcome::Lead,
                FAILED => return Outcome::Failed,
                _ => thread::park(),
            }
        }
    }

    fn finish(&self, outcome: Outcome) {
        let state = match outcome {
            Outcome::Done => DONE,
            Outcome::Lead => LEAD,
            Outcome::Failed => FAILED,
        };
        // The owner may run on, and wait for something else, as soon as it sees the state; the
        // unpark below is then a spurious one, which `wait` tolerates.
        self.state.store(state, Ordering::Release);
        self.thread.unpark();
    }
}

/// A thread or a task.
pub(crate) enum Who {
    Thread(Arc<Slot>),
    Task(Waker),
}

impl Who {
    pub(crate) fn wake(self, outcome: Outcome) {
        match self {
            Who::Thread(slot) => slot.finish(outcome),
            Who::Task(waker) => waker.wake(),
        }
    }
}

/// Wakes everybody. Threads first: a task's waker is foreign code, and may panic.
pub(crate) fn wake_all(wakes: &mut Vec<Who>, outcome: Outcome) {
    wakes.retain(|who| match who {
        Who::Thread(slot) => {
            slot.finish(outcome);
            false
        }
        Who::Task(_) => true,
    });
    wakes.drain(..).for_each(|who| who.wake(outcome));
}

/// Those who are to be woken because what they waited for has happened. Wakes them when dropped.
///
/// The list itself is kept from commit to commit, so that waking allocates nothing.
pub(super) struct Wakes(pub(super) Vec<Who>);

std::thread_local! {
    static KEPT: std::cell::Cell<Vec<Who>> = const { std::cell::Cell::new(Vec::new()) };
}

impl Wakes {
    pub(super) fn take() -> Self {
        Wakes(KEPT.take())
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        wake_all(&mut self.0, Outcome::Done);
        KEPT.set(std::mem::take(&mut self.0));
    }
}

/// Identifies a waiting task, so that it can be found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    pub(super) lsn: Lsn,
    pub(super) id: NonZeroU64,
}

struct Waiter {
    ticket: Ticket,
    /// `None` once the waiting future was dropped.
    who: Option<Who>,
}

/// Waiters of one level, ordered by LSN. Appends come in order, so pushing is at the back.
#[derive(Default)]
pub(crate) struct Queue {
    entries: VecDeque<Waiter>,
    cancelled: usize,
}

impl Queue {
    fn insert(&mut self, ticket: Ticket, who: Who) {
        let waiter = Waiter { ticket, who: Some(who) };
        if self.entries.back().is_none_or(|last| last.ticket < ticket) {
            self.entries.push_back(waiter);
        } else {
            let at = self.entries.partition_point(|other| other.ticket < ticket);
            self.entries.insert(at, waiter);
        }
    }

    fn find(&mut self, ticket: Ticket) -> Option<&mut Waiter> {
        let at = self.entries.binary_search_by(|waiter| waiter.ticket.cmp(&ticket)).ok()?;
        self.entries.get_mut(at)
    }

    fn drop_cancelled_front(&mut self) {
        while self.entries.front().is_some_and(|front| front.who.is_none()) {
            self.entries.pop_front();
            self.cancelled -= 1;
        }
    }

    /// Moves everybody who waits for `upto` or less into `wakes`.
    pub(crate) fn take(&mut self, upto: Lsn, wakes: &mut Vec<Who>) {
        while self.entries.front().is_some_and(|front| front.ticket.lsn <= upto) {
            match self.entries.pop_front().and_then(|waiter| waiter.who) {
                Some(who) => wakes.push(who),
                None => self.cancelled -= 1,
            }
        }
    }

    /// If a thread is the first in the queue, takes it out to be woken for the work.
    pub(crate) fn take_leader(&mut self) -> Option<Arc<Slot>> {
        self.drop_cancelled_front();
        if !matches!(self.entries.front()?.who, Some(Who::Thread(_))) {
            return None;
        }
        match self.entries.pop_front()?.who {
            Some(Who::Thread(slot)) => Some(slot),
            _ => None,
        }
    }

    /// Whether somebody waits for a record up to `lsn`, that is, one that was appended.
    pub(crate) fn waits_for(&self, lsn: Lsn) -> bool {
        self.len() > 0 && self.entries.front().is_some_and(|front| front.ticket.lsn <= lsn)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.cancelled
    }
}

/// Everybody who waits.
#[derive(Default)]
pub(crate) struct Waiters {
    pub(crate) written: Queue,
    pub(crate) durable: Queue,
    pub(crate) followers: Queue,
    /// Those who found the buffer full; all of them try again when it was taken.
    space: Vec<Who>,
    last_id: u64,
}

impl Waiters {
    fn queue(&mut self, level: Level) -> &mut Queue {
        match level {
            Level::Written => &mut self.written,
            Level::Durable => &mut self.durable,
            Level::Followed => &mut self.followers,
        }
    }

    pub(crate) fn push(&mut self, level: Level, lsn: Lsn, who: Who) -> Ticket {
        self.last_id += 1;
        let ticket = Ticket { lsn, id: NonZeroU64::new(self.last_id).expect("counted up") };
        self.queue(level).insert(ticket, who);
        ticket
    }

    /// A task was polled again: it may have moved to another waker. False if it waits no more.
    pub(crate) fn update(&mut self, level: Level, ticket: Ticket, waker: &Waker) -> bool {
        let Some(waiter) = self.queue(level).find(ticket) else { return false };
        match &mut waiter.who {
            Some(Who::Task(old)) => old.clone_from(waker),
            who => *who = Some(Who::Task(waker.clone())),
        }
        true
    }

    /// A future was dropped. Its record stays in the log; only nobody is told.
    pub(crate) fn cancel(&mut self, level: Level, ticket: Ticket) {
        let queue = self.queue(level);
        if let Some(waiter) = queue.find(ticket)
            && waiter.who.take().is_some()
        {
            queue.cancelled += 1;
            queue.drop_cancelled_front();
        }
    }

    pub(crate) fn push_space(&mut self, who: Who) {
        self.space.push(who);
    }

    /// The same for a task, which may have been polled before.
    pub(crate) fn push_space_once(&mut self, waker: &Waker) {
        let same = |other: &Who| matches!(other, Who::Task(other) if other.will_wake(waker));
        if !self.space.iter().any(same) {
            self.space.push(Who::Task(waker.clone()));
        }
    }

    pub(crate) fn take_space(&mut self, wakes: &mut Vec<Who>) {
        wakes.append(&mut self.space);
    }

    /// Everybody, because the log failed or was closed.
    pub(crate) fn take_all(&mut self, wakes: &mut Vec<Who>) {
        self.written.take(Lsn::MAX, wakes);
        self.durable.take(Lsn::MAX, wakes);
        self.followers.take(Lsn::MAX, wakes);
        self.take_space(wakes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelled_tasks_are_skipped_and_out_of_order_waits_are_sorted_in() {
        let mut waiters = Waiters::default();
        let task = || Who::Task(Waker::noop().clone());
        let five = waiters.push(Level::Durable, Lsn::new(5), task());
        waiters.push(Level::Durable, Lsn::new(3), task());
        waiters.push(Level::Durable, Lsn::new(5), task());
        waiters.cancel(Level::Durable, five);
        waiters.cancel(Level::Durable, five);
        assert_eq!(waiters.durable.len(), 2);
        let mut wakes = Vec::new();
        waiters.durable.take(Lsn::new(4), &mut wakes);
        assert_eq!(wakes.len(), 1);
        waiters.durable.take(Lsn::new(5), &mut wakes);
        assert_eq!((wakes.len(), waiters.durable.len()), (2, 0));
    }

    #[test]
    fn only_a_thread_at_the_front_becomes_leader() {
        let mut waiters = Waiters::default();
        let slot = Slot::of_this_thread();
        waiters.push(Level::Durable, Lsn::new(1), Who::Task(Waker::noop().clone()));
        waiters.push(Level::Durable, Lsn::new(2), Who::Thread(slot.clone()));
        assert!(waiters.durable.take_leader().is_none());
        let mut wakes = Vec::new();
        waiters.durable.take(Lsn::new(1), &mut wakes);
        waiters.durable.take_leader().unwrap().finish(Outcome::Lead);
        assert_eq!(slot.wait(), Outcome::Lead);
    }

    #[test]
    #[cfg(not(any(wal_loom, wal_shuttle)))]
    fn a_waker_that_panics_leaves_no_thread_asleep() {
        struct Panics;
        impl std::task::Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("a waker panics");
            }
        }
        let slot = Slot::of_this_thread();
        let task = Who::Task(Waker::from(Arc::new(Panics)));
        let mut wakes = vec![task, Who::Thread(slot.clone())];
        let woken = std::panic::AssertUnwindSafe(|| wake_all(&mut wakes, Outcome::Done));
        assert!(std::panic::catch_unwind(woken).is_err());
        assert_eq!(slot.state.load(Ordering::Acquire), DONE);
    }
}
