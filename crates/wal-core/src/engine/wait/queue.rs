//! Waiters of one level, in the order of what they wait for.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::Waker;

use super::slot::{Slot, Waiter};
use crate::Lsn;

/// Identifies a waiting task, so that it can be found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    pub(crate) lsn: Lsn,
    pub(crate) id: NonZeroU64,
}

struct Entry {
    ticket: Ticket,
    /// `None` once the waiting future was dropped.
    waiter: Option<Waiter>,
}

/// Waiters of one level, ordered by LSN. Appends come in order, so pushing is at the back.
#[derive(Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    cancelled: usize,
}

impl Queue {
    pub(super) fn insert(&mut self, ticket: Ticket, waiter: Waiter) {
        let entry = Entry { ticket, waiter: Some(waiter) };
        if self.entries.back().is_none_or(|last| last.ticket < ticket) {
            self.entries.push_back(entry);
        } else {
            let at = self.entries.partition_point(|other| other.ticket < ticket);
            self.entries.insert(at, entry);
        }
    }

    fn find(&mut self, ticket: Ticket) -> Option<&mut Entry> {
        let at = self.entries.binary_search_by(|entry| entry.ticket.cmp(&ticket)).ok()?;
        self.entries.get_mut(at)
    }

    /// A task was polled again: it may have moved to another waker. False if it waits no more.
    pub(super) fn update(&mut self, ticket: Ticket, waker: &Waker) -> bool {
        let Some(entry) = self.find(ticket) else { return false };
        match &mut entry.waiter {
            Some(Waiter::Task(old)) => old.clone_from(waker),
            waiter => *waiter = Some(Waiter::Task(waker.clone())),
        }
        true
    }

    /// A future was dropped.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        if self.find(ticket).is_some_and(|entry| entry.waiter.take().is_some()) {
            self.cancelled += 1;
            self.drop_cancelled_front();
        }
    }

    fn drop_cancelled_front(&mut self) {
        while self.entries.front().is_some_and(|front| front.waiter.is_none()) {
            self.entries.pop_front();
            self.cancelled -= 1;
        }
    }

    /// Moves everybody who waits for `upto` or less into `wakes`.
    pub(super) fn take(&mut self, upto: Lsn, wakes: &mut Vec<Waiter>) {
        while self.entries.front().is_some_and(|front| front.ticket.lsn <= upto) {
            match self.entries.pop_front().and_then(|entry| entry.waiter) {
                Some(waiter) => wakes.push(waiter),
                None => self.cancelled -= 1,
            }
        }
        assert!(self.cancelled <= self.entries.len(), "each waiter is taken or cancelled once");
    }

    /// If a thread is the first in the queue, takes it out to be woken for the work.
    pub(super) fn take_leader(&mut self) -> Option<Arc<Slot>> {
        self.drop_cancelled_front();
        if !matches!(self.entries.front()?.waiter, Some(Waiter::Thread(_))) {
            return None;
        }
        match self.entries.pop_front()?.waiter {
            Some(Waiter::Thread(slot)) => Some(slot),
            _ => None,
        }
    }

    /// Whether somebody waits for a record up to `lsn`, that is, one that was appended.
    pub(super) fn waits_for(&self, lsn: Lsn) -> bool {
        self.len() > 0 && self.entries.front().is_some_and(|front| front.ticket.lsn <= lsn)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.cancelled
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot::Outcome;
    use super::*;

    fn ticket(lsn: u64, id: u64) -> Ticket {
        Ticket { lsn: Lsn::new(lsn), id: NonZeroU64::new(id).unwrap() }
    }

    #[test]
    fn cancelled_tasks_are_skipped_and_out_of_order_waits_are_sorted_in() {
        let mut queue = Queue::default();
        let task = || Waiter::Task(Waker::noop().clone());
        let five = ticket(5, 1);
        queue.insert(five, task());
        queue.insert(ticket(3, 2), task());
        queue.insert(ticket(5, 3), task());
        queue.cancel(five);
        queue.cancel(five);
        assert_eq!(queue.len(), 2);
        let mut wakes = Vec::new();
        queue.take(Lsn::new(4), &mut wakes);
        assert_eq!(wakes.len(), 1);
        queue.take(Lsn::new(5), &mut wakes);
        assert_eq!((wakes.len(), queue.len()), (2, 0));
    }

    #[test]
    fn tasks_that_were_cancelled_in_front_are_let_go_of_at_once() {
        let mut queue = Queue::default();
        for lsn in 1..=3 {
            queue.insert(ticket(lsn, lsn), Waiter::Task(Waker::noop().clone()));
        }
        queue.cancel(ticket(2, 2));
        assert_eq!((queue.entries.len(), queue.len()), (3, 2), "somebody waits in front of it");
        queue.cancel(ticket(1, 1));
        assert_eq!((queue.entries.len(), queue.len()), (1, 1));
        let slot = Slot::of_this_thread();
        queue.insert(ticket(4, 4), Waiter::Thread(slot.clone()));
        queue.cancel(ticket(3, 3));
        Waiter::Thread(queue.take_leader().unwrap()).wake(Outcome::Lead);
        assert_eq!(slot.wait(), Outcome::Lead);
    }

    #[test]
    fn only_a_thread_at_the_front_becomes_leader() {
        let mut queue = Queue::default();
        let slot = Slot::of_this_thread();
        queue.insert(ticket(1, 1), Waiter::Task(Waker::noop().clone()));
        queue.insert(ticket(2, 2), Waiter::Thread(slot.clone()));
        assert!(queue.take_leader().is_none());
        let mut wakes = Vec::new();
        queue.take(Lsn::new(1), &mut wakes);
        Waiter::Thread(queue.take_leader().unwrap()).wake(Outcome::Lead);
        assert_eq!(slot.wait(), Outcome::Lead);
    }
}
