//! Turns: one operation that makes bytes durable at a time, and none after a failure.
//!
//! What the lock of `FileSegment` does for calls that block. Here a turn lasts from the moment an
//! operation is handed to the ring until the kernel is done with it, whether or not somebody still
//! waits for it: a future that is dropped ends no turn.

use std::future::{Future, poll_fn};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What is done in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Write,
    Sync,
}

/// The turns of one segment.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    taken: Option<Kind>,
    failed: bool,
    waiting: Vec<Waker>,
}

/// An operation failed in an earlier turn.
#[derive(Debug)]
pub(super) struct EarlierFailure;

impl Turns {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn, and takes it.
    pub(super) async fn take(&self, kind: Kind) -> Result<Turn<'_>, EarlierFailure> {
        let taken = poll_fn(|cx| {
            let mut state = self.state();
            if state.failed {
                return Poll::Ready(Err(EarlierFailure));
            }
            state.poll_without(|_| true, cx).map(|()| {
                state.taken = Some(kind);
                Ok(())
            })
        });
        taken.await.map(|()| Turn(self))
    }

    /// Waits until no turn is taken, whatever the last one came to.
    pub(super) fn idle(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| self.state().poll_without(|_| true, cx))
    }

    /// Waits until no write is under way; a sync may be.
    pub(super) fn without_write(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| self.state().poll_without(|kind| kind == Kind::Write, cx))
    }

    /// What is done at present.
    pub(super) fn taken(&self) -> Option<Kind> {
        self.state().taken
    }

    /// Ends the turn that was taken, by whoever knows what it came to.
    pub(super) fn end(&self, fine: bool) {
        let waiting = {
            let mut state = self.state();
            state.taken = None;
            state.failed |= !fine;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn poll_without(&mut self, disturbs: impl Fn(Kind) -> bool, cx: &Context<'_>) -> Poll<()> {
        if !self.taken.is_some_and(disturbs) {
            return Poll::Ready(());
        }
        if !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// A turn that was taken. Dropped, it ends as a failure: a panic says as little about the bytes as an
/// error does.
pub(super) struct Turn<'a>(&'a Turns);

impl Turn<'_> {
    /// Ends it; nothing was lost.
    pub(super) fn end(self) {
        self.0.end(true);
        self.pass_on();
    }

    /// Leaves it to the operation that was handed to the ring.
    pub(super) fn pass_on(self) {
        std::mem::forget(self);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.end(false);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use wal_core::block_on;

    use super::*;

    fn is_ready(future: impl Future) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn one_at_a_time_and_none_after_a_failure() {
        let turns = Turns::default();
        let first = block_on(turns.take(Kind::Sync)).unwrap();
        assert!(!is_ready(turns.take(Kind::Write)) && !is_ready(turns.idle()));
        assert!(is_ready(turns.without_write()));
        first.end();
        block_on(turns.take(Kind::Write)).unwrap().pass_on();
        assert!(!is_ready(turns.without_write()));
        turns.end(false);
        assert!(block_on(turns.take(Kind::Sync)).is_err());
        assert!(is_ready(turns.idle()) && is_ready(turns.without_write()));
    }

    #[test]
    fn a_turn_that_nobody_ended_failed() {
        let turns = Turns::default();
        drop(block_on(turns.take(Kind::Write)).unwrap());
        assert!(block_on(turns.take(Kind::Sync)).is_err());
    }

    #[test]
    fn the_end_of_a_turn_wakes_whoever_waits() {
        let turns = Turns::default();
        let turn = block_on(turns.take(Kind::Sync)).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| block_on(turns.take(Kind::Sync)).unwrap().end());
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
            turn.end();
        });
        assert_eq!(turns.taken(), None);
    }
}
