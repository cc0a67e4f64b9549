//! Callers that wait, and how they are woken.
//!
//! | file | idea |
//! | --- | --- |
//! | `slot` | how one thread or task waits; waking many |
//! | `queue` | waiters of one level, in the order of what they wait for |
//! | `group` | threads that wait for the same commit, woken all at once |
//!
//! [`Wait`] owns an invariant: **each waiter is taken exactly once**, by progress, by a failure, by the end of
//! the log, or by a future that is dropped. The code that takes waiters out wakes them after the short lock was let go.

mod group;
mod queue;
mod slot;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::Waker;

pub(super) use group::{CommitGroups, CommitNumber};
pub(super) use queue::Ticket;
pub(super) use slot::{Outcome, Slot, Waiter, Wakes, wake_all};

use crate::Lsn;
use group::Membership;
use queue::Queue;

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

impl Level {
    /// What an error calls waiting for it.
    pub(super) fn op(self) -> &'static str {
        match self {
            Level::Written => "wait for write",
            Level::Durable => "wait for durability",
            Level::Followed => "follow",
        }
    }
}

/// The next leader of a commit.
pub(super) enum Successor {
    /// One of the threads that wait for this commit.
    Group(CommitNumber),
    /// A thread that waits for a record by its number.
    Thread(Arc<Slot>),
}

/// Everybody who waits. Under the short lock.
#[derive(Default)]
pub(super) struct Wait {
    /// Threads that wait for a commit of what they appended; everybody else is in the queues.
    groups: Membership,
    durable: Queue,
    written: Queue,
    followers: Queue,
    /// Those who found the buffer full; all of them try again when it was taken.
    buffer: Vec<Waiter>,
    last_id: u64,
}

impl Wait {
    fn queue(&mut self, level: Level) -> &mut Queue {
        match level {
            Level::Written => &mut self.written,
            Level::Durable => &mut self.durable,
            Level::Followed => &mut self.followers,
        }
    }

    // Beginning and ending a wait.

    /// Joins the queue of those who wait until `lsn` reaches `level`.
    pub(super) fn join(&mut self, level: Level, lsn: Lsn, waiter: Waiter) -> Ticket {
        self.last_id += 1;
        let ticket = Ticket { lsn, id: NonZeroU64::new(self.last_id).expect("counted up") };
        self.queue(level).insert(ticket, waiter);
        ticket
    }

    /// Joins the threads that wait for the commit in flight, or for the next one.
    pub(super) fn join_group(&mut self, lsn: Lsn, in_flight: bool) -> CommitNumber {
        let joined = if in_flight { self.groups.join_in_flight() } else { None };
        joined.unwrap_or_else(|| self.groups.join_next(lsn))
    }

    /// A task was polled again: it may have moved to another waker. False if it waits no more.
    pub(super) fn update(&mut self, level: Level, ticket: Ticket, waker: &Waker) -> bool {
        self.queue(level).update(ticket, waker)
    }

    /// A future was dropped. Its record stays in the log; only nobody is told.
    pub(super) fn cancel(&mut self, level: Level, ticket: Ticket) {
        self.queue(level).cancel(ticket);
    }

    /// Waits until the full buffer is taken.
    pub(super) fn join_for_buffer(&mut self, waiter: Waiter) {
        self.buffer.push(waiter);
    }

    /// The same for a task, which may have been polled before.
    pub(super) fn join_for_buffer_once(&mut self, waker: &Waker) {
        let same = |other: &Waiter| matches!(other, Waiter::Task(other) if other.will_wake(waker));
        if !self.buffer.iter().any(same) {
            self.buffer.push(Waiter::Task(waker.clone()));
        }
    }

    // Progress.

    /// The buffer was taken: collects those who waited for that.
    pub(super) fn take_for_buffer(&mut self, wakes: &mut Vec<Waiter>) {
        wakes.append(&mut self.buffer);
    }

    /// Everything up to here was written: collects those who waited for that.
    pub(super) fn take_written(&mut self, upto: Lsn, wakes: &mut Vec<Waiter>) {
        self.written.take(upto, wakes);
    }

    /// Everything up to here is durable: collects those who waited for that, and wakes the group that gathers if
    /// something else than its commit made its records durable.
    pub(super) fn take_durable(
        &mut self,
        upto: Lsn,
        groups: &CommitGroups,
        wakes: &mut Vec<Waiter>,
    ) {
        if let Some(commit) = self.groups.overtaken(upto, groups) {
            groups.wake(commit);
        }
        self.durable.take(upto, wakes);
        self.followers.take(upto, wakes);
    }

    /// A commit begins: the group that gathered is in flight.
    pub(super) fn begin_commit(&mut self, groups: &CommitGroups) {
        self.groups.begin(groups);
    }

    /// The commit in flight is done: the one whose group is to be woken, if anybody is in it.
    pub(super) fn complete_commit(&mut self, groups: &CommitGroups) -> Option<CommitNumber> {
        self.groups.complete(groups)
    }

    /// Chooses a thread that waits, to lead the next commit.
    pub(super) fn choose_leader(&mut self) -> Option<Successor> {
        let group = self.groups.choose().map(Successor::Group);
        group.or_else(|| self.durable.take_leader().map(Successor::Thread))
    }

    /// The first who waits for a write, if that is a thread, to see to it.
    pub(super) fn choose_writer(&mut self) -> Option<Arc<Slot>> {
        self.written.take_leader()
    }

    /// Everybody in the queues, because the log failed or was closed.
    pub(super) fn take_all(&mut self, wakes: &mut Vec<Waiter>) {
        self.written.take(Lsn::MAX, wakes);
        self.durable.take(Lsn::MAX, wakes);
        self.followers.take(Lsn::MAX, wakes);
        self.take_for_buffer(wakes);
    }

    // Who waits.

    /// Whether somebody waits until a record up to `appended` is durable, and no commit in flight covers it.
    #[inline]
    pub(super) fn awaits_commit(&self, appended: Lsn) -> bool {
        self.groups.is_awaited() || self.durable.waits_for(appended)
    }

    /// How many wait for durability.
    pub(super) fn for_durable(&self) -> u64 {
        self.durable.len() as u64 + self.groups.waiting()
    }

    /// Whether somebody is in the queue for a write.
    pub(super) fn awaits_write(&self) -> bool {
        self.written.len() > 0
    }

    /// How many wait for the next commit.
    pub(super) fn gathered(&self) -> u64 {
        self.groups.gathered() + self.durable.len() as u64
    }

    /// How many threads wait for the commit in flight.
    pub(super) fn covered(&self) -> u64 {
        self.groups.covered()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_wait_are_counted_by_what_they_wait_for() {
        let (mut wait, groups) = (Wait::default(), CommitGroups::new());
        let task = || Waiter::Task(Waker::noop().clone());
        let counts = |wait: &Wait| (wait.gathered(), wait.covered(), wait.for_durable());
        assert_eq!(counts(&wait), (0, 0, 0));
        assert!(!wait.awaits_write() && !wait.awaits_commit(Lsn::MAX));
        for lsn in 1..=3 {
            wait.join_group(Lsn::new(lsn), false);
        }
        wait.begin_commit(&groups);
        assert_eq!(counts(&wait), (0, 3, 3));
        assert!(!wait.awaits_commit(Lsn::MAX), "the one in flight covers them");
        for lsn in 4..=5 {
            wait.join_group(Lsn::new(lsn), false);
        }
        wait.join(Level::Durable, Lsn::new(6), task());
        assert_eq!(counts(&wait), (3, 3, 6));
        assert!(wait.awaits_commit(Lsn::FIRST) && !wait.awaits_write());
        wait.join(Level::Written, Lsn::new(7), task());
        assert!(wait.awaits_write());
        let mut wakes = Vec::new();
        wait.take_written(Lsn::new(6), &mut wakes);
        assert!(wait.awaits_write() && wakes.is_empty());
        wait.take_written(Lsn::new(7), &mut wakes);
        assert!(!wait.awaits_write() && wakes.len() == 1);
    }
}
