//! One operation of a segment at a time that makes bytes durable, and none after a failure.
//!
//! What the lock of `FileSegment` does for calls that block. Here a permit is held from the moment an
//! operation is handed to the ring until the kernel is done with it, whether or not somebody still
//! waits for it: a future that is dropped releases nothing.

use std::future::{Future, poll_fn};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What a permit is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Write,
    Sync,
}

/// The one permit of a segment.
#[derive(Debug, Default)]
pub(super) struct Exclusive(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    held_for: Option<Kind>,
    failed: bool,
    waiting: Vec<Waker>,
}

/// An earlier operation failed.
#[derive(Debug)]
pub(super) struct EarlierFailure;

impl Exclusive {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the permit, and takes it.
    pub(super) async fn acquire(&self, kind: Kind) -> Result<Permit<'_>, EarlierFailure> {
        let acquired = poll_fn(|cx| {
            let mut state = self.state();
            if state.failed {
                return Poll::Ready(Err(EarlierFailure));
            }
            state.poll_without(|_| true, cx).map(|()| {
                state.held_for = Some(kind);
                Ok(())
            })
        });
        acquired.await.map(|()| Permit(self))
    }

    /// Waits until nobody holds the permit, whatever the last operation came to.
    pub(super) fn free(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| self.state().poll_without(|_| true, cx))
    }

    /// Waits until no write is under way; a sync may be.
    pub(super) fn without_write(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| self.state().poll_without(|kind| kind == Kind::Write, cx))
    }

    /// What is done at present.
    pub(super) fn held_for(&self) -> Option<Kind> {
        self.state().held_for
    }

    /// Gives the permit back; `fine` says whether the operation succeeded.
    pub(super) fn release(&self, fine: bool) {
        let waiting = {
            let mut state = self.state();
            state.held_for = None;
            state.failed |= !fine;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn poll_without(&mut self, disturbs: impl Fn(Kind) -> bool, cx: &Context<'_>) -> Poll<()> {
        if !self.held_for.is_some_and(disturbs) {
            return Poll::Ready(());
        }
        if !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// The permit, held. Dropping it counts as a failure: a panic says as little about the bytes as an
/// error does.
pub(super) struct Permit<'a>(&'a Exclusive);

impl Permit<'_> {
    /// Gives it back; nothing was lost.
    pub(super) fn release(self) {
        self.0.release(true);
        self.pass_on();
    }

    /// Leaves it to the operation that was handed to the ring.
    pub(super) fn pass_on(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.release(false);
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
        let exclusive = Exclusive::default();
        let first = block_on(exclusive.acquire(Kind::Sync)).unwrap();
        assert!(!is_ready(exclusive.acquire(Kind::Write)) && !is_ready(exclusive.free()));
        assert!(is_ready(exclusive.without_write()));
        first.release();
        block_on(exclusive.acquire(Kind::Write)).unwrap().pass_on();
        assert!(!is_ready(exclusive.without_write()));
        exclusive.release(false);
        assert!(block_on(exclusive.acquire(Kind::Sync)).is_err());
        assert!(is_ready(exclusive.free()) && is_ready(exclusive.without_write()));
    }

    #[test]
    fn a_permit_that_nobody_released_failed() {
        let exclusive = Exclusive::default();
        drop(block_on(exclusive.acquire(Kind::Write)).unwrap());
        assert!(block_on(exclusive.acquire(Kind::Sync)).is_err());
    }

    #[test]
    fn releasing_the_permit_wakes_whoever_waits() {
        let exclusive = Exclusive::default();
        let permit = block_on(exclusive.acquire(Kind::Sync)).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| block_on(exclusive.acquire(Kind::Sync)).unwrap().release());
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
            permit.release();
        });
        assert_eq!(exclusive.held_for(), None);
    }
}
