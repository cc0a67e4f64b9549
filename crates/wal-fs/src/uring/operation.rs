//! One operation, from the moment it is wanted to the moment somebody is told what became of it.

use std::future::Future;
use std::io;
use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::work::Work;

/// What an operation is done to.
pub(super) trait Target: Send + Sync + 'static {
    /// The file. It is not closed before the operation is over.
    fn file(&self) -> BorrowedFd<'_>;

    /// The operation is over, also if nobody waits for it any more. Called before its waiter is woken.
    fn ended(&self, fine: bool);
}

/// Something to do, and whom to tell.
pub(super) struct Operation {
    pub(super) target: Arc<dyn Target>,
    pub(super) work: Work,
    /// `None` once it is over.
    ticket: Option<Arc<Ticket>>,
}

impl Operation {
    pub(super) fn new(target: Arc<dyn Target>, work: Work) -> (Operation, Outcome) {
        let ticket = Arc::<Ticket>::default();
        (Operation { target, work, ticket: Some(ticket.clone()) }, Outcome(ticket))
    }

    /// It is over.
    pub(super) fn finish(mut self, outcome: io::Result<()>) {
        // A waiter that is told finds the memory of its bytes free again.
        self.work = Work::sync();
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: io::Result<()>) {
        let Some(ticket) = self.ticket.take() else { return };
        // A waker that panics must not stop the others' operations.
        let _ = catch_unwind(AssertUnwindSafe(|| self.target.ended(outcome.is_ok())));
        let _ = catch_unwind(AssertUnwindSafe(|| ticket.settle(outcome)));
    }
}

impl Drop for Operation {
    /// Nobody waits for a ring that is gone.
    fn drop(&mut self) {
        self.tell(Err(io::Error::other("io_uring failed before the operation was over")));
    }
}

/// Where an outcome is left.
#[derive(Default)]
struct Ticket(Mutex<Settled>);

#[derive(Default)]
struct Settled {
    outcome: Option<io::Result<()>>,
    waker: Option<Waker>,
}

impl Ticket {
    fn lock(&self) -> MutexGuard<'_, Settled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, outcome: io::Result<()>) {
        let waker = {
            let mut settled = self.lock();
            settled.outcome = Some(outcome);
            settled.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The outcome of an operation.
#[must_use = "the operation may still be under way"]
pub(super) struct Outcome(Arc<Ticket>);

impl Future for Outcome {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut settled = self.0.lock();
        match settled.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                settled.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
