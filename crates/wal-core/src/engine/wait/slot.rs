//! How one thread or task waits, and is woken.
//!
//! A waiting thread parks on a slot of its own and learns its fate from there; it takes the log's lock again only
//! if there is work for it. A waiting task leaves its waker.

use std::sync::Arc;
use std::task::Waker;

use crate::sync::{AtomicU32, Ordering, thread};

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

    /// The same for a model checker, whose threads end with each execution and have nothing that is kept.
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
        assert_eq!(self.state.load(Ordering::Relaxed), WAITING, "a wait ends once");
        // The owner may run on, and wait for something else, as soon as it sees the state; the
        // unpark below is then a spurious one, which `wait` tolerates.
        self.state.store(state, Ordering::Release);
        self.thread.unpark();
    }

    #[cfg(test)]
    pub(super) fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }
}

/// A thread or a task.
pub(crate) enum Waiter {
    Thread(Arc<Slot>),
    Task(Waker),
}

impl Waiter {
    pub(crate) fn wake(self, outcome: Outcome) {
        match self {
            Waiter::Thread(slot) => slot.finish(outcome),
            Waiter::Task(waker) => waker.wake(),
        }
    }
}

/// Wakes everybody. Threads first: a task's waker is foreign code, and may panic.
pub(crate) fn wake_all(wakes: &mut Vec<Waiter>, outcome: Outcome) {
    if wakes.is_empty() {
        return;
    }
    wakes.retain(|waiter| match waiter {
        Waiter::Thread(slot) => {
            slot.finish(outcome);
            false
        }
        Waiter::Task(_) => true,
    });
    wakes.drain(..).for_each(|waiter| waiter.wake(outcome));
}

/// Those who are to be woken because what they waited for has happened. Wakes them when dropped.
///
/// The list itself is kept from commit to commit, so that waking allocates nothing.
pub(crate) struct Wakes(pub(crate) Vec<Waiter>);

std::thread_local! {
    static KEPT: std::cell::Cell<Vec<Waiter>> = const { std::cell::Cell::new(Vec::new()) };
}

impl Wakes {
    pub(crate) fn take() -> Self {
        Wakes(KEPT.take())
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        wake_all(&mut self.0, Outcome::Done);
        KEPT.set(std::mem::take(&mut self.0));
    }
}

#[cfg(all(test, not(any(wal_loom, wal_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_waker_that_panics_leaves_no_thread_asleep() {
        struct Panics;
        impl std::task::Wake for Panics {
            fn wake(self: Arc<Self>) {
                panic!("a waker panics");
            }
        }
        let slot = Slot::of_this_thread();
        let task = Waiter::Task(Waker::from(Arc::new(Panics)));
        let mut wakes = vec![task, Waiter::Thread(slot.clone())];
        let woken = std::panic::AssertUnwindSafe(|| wake_all(&mut wakes, Outcome::Done));
        assert!(std::panic::catch_unwind(woken).is_err());
        assert!(slot.is_done());
    }

    #[test]
    #[should_panic(expected = "a wait ends once")]
    fn a_wait_does_not_end_twice() {
        let slot = Slot::of_this_thread();
        slot.finish(Outcome::Done);
        slot.finish(Outcome::Lead);
    }
}
