//! From the one reader to the writers: a bounded queue each.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// What one append takes.
pub(crate) struct Item {
    /// Number of the first record in the input, from 1.
    pub(crate) number: u64,
    pub(crate) records: Records,
}

/// One record is the common case, and shall not cost an allocation for a list of one.
pub(crate) enum Records {
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Records {
    pub(crate) fn as_slice(&self) -> &[Bytes] {
        match self {
            Records::One(record) => std::slice::from_ref(record),
            Records::Many(records) => records,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.as_slice().iter().map(Bytes::len).sum()
    }
}

/// A queue is full at so many items,
const MAX_ITEMS: usize = 64;
/// or at so many bytes.
const MAX_BYTES: usize = 1 << 20;

/// The queues of all writers.
pub(crate) struct Queues {
    queues: Vec<Queue>,
    stopped: AtomicBool,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    /// No more will come.
    ended: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    pub(crate) fn new(writers: usize) -> Self {
        let queues = (0..writers).map(|_| Queue::default()).collect();
        Queues { queues, stopped: AtomicBool::new(false) }
    }

    pub(crate) fn len(&self) -> usize {
        self.queues.len()
    }

    /// Waits for room in a writer's queue; `false` if the writers have stopped.
    pub(crate) fn push(&self, writer: usize, item: Item) -> bool {
        let queue = &self.queues[writer];
        let mut state = queue.state();
        while !self.stopped() && (state.items.len() >= MAX_ITEMS || state.bytes >= MAX_BYTES) {
            state = queue.wait(state);
        }
        if self.stopped() {
            return false;
        }
        state.bytes += item.records.bytes();
        state.items.push_back(item);
        drop(state);
        queue.changed.notify_all();
        true
    }

    /// Takes whatever is queued for a writer, waiting for it. Nothing more will come if that is empty.
    pub(crate) fn take(&self, writer: usize, into: &mut VecDeque<Item>) {
        let queue = &self.queues[writer];
        let mut state = queue.state();
        while state.items.is_empty() && !state.ended && !self.stopped() {
            state = queue.wait(state);
        }
        if self.stopped() {
            state.items.clear();
        }
        std::mem::swap(&mut state.items, into);
        state.bytes = 0;
        drop(state);
        queue.changed.notify_all();
    }

    /// The input has ended: writers finish what is queued.
    pub(crate) fn end(&self) {
        for queue in &self.queues {
            queue.state().ended = true;
            queue.changed.notify_all();
        }
    }

    /// Something failed: writers and the reader stop as soon as they can.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        for queue in &self.queues {
            // A thread that checked before the store is waiting by now, and is woken.
            drop(queue.state());
            queue.changed.notify_all();
        }
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn item(number: u64) -> Item {
        Item { number, records: Records::One(Bytes::from_static(b"x")) }
    }

    #[test]
    fn a_full_queue_makes_the_reader_wait_and_stopping_frees_it() {
        let queues = Arc::new(Queues::new(1));
        let reader = {
            let queues = queues.clone();
            thread::spawn(move || (1..).take_while(|&n| queues.push(0, item(n))).count())
        };
        let mut taken = VecDeque::new();
        let mut last = 0;
        while last < 10 * MAX_ITEMS as u64 {
            queues.take(0, &mut taken);
            assert!(taken.len() <= MAX_ITEMS);
            for item in taken.drain(..) {
                assert_eq!(item.number, last + 1);
                last = item.number;
            }
        }
        queues.stop();
        assert!(reader.join().unwrap() as u64 >= last);
    }

    #[test]
    fn what_was_queued_before_the_end_is_still_taken() {
        let queues = Queues::new(2);
        assert!(queues.push(1, item(1)));
        queues.end();
        let mut taken = VecDeque::new();
        queues.take(1, &mut taken);
        assert_eq!(taken.len(), 1);
        taken.clear();
        queues.take(1, &mut taken);
        assert!(taken.is_empty());
        queues.take(0, &mut taken);
        assert!(taken.is_empty());
    }
}
