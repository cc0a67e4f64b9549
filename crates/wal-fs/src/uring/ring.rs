//! The ring, as those see it who want something done: operations go in, outcomes come out.

use std::any::Any;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use wal_core::{Error, ErrorKind, Result};

use super::reaper::Reaper;
use super::work::Work;

/// What an operation is done to.
pub(super) trait Target: Send + Sync + 'static {
    /// The file. It is not closed before the operation is over.
    fn file(&self) -> BorrowedFd<'_>;

    /// The operation is over, also if nobody waits for it any more. Called before whoever waits is woken.
    fn ended(&self, fine: bool);
}

/// A ring and the one thread that uses it. Dropping it waits for what is under way.
pub(super) struct Ring {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Ring {
    /// Sets up a ring. The kernel gets at most `depth` operations at a time.
    pub(super) fn start(depth: u32) -> Result<Ring> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| Error::io("set up io_uring", errno.into()))?;
        let shared = Arc::new(Shared { inbox: Mutex::default(), idle: Condvar::new(), bell });
        let reaper = Reaper::new(depth, shared.clone()).map_err(refused)?;
        let thread = thread::Builder::new()
            .name("wal-uring".into())
            .spawn(move || reaper.run())
            .map_err(|source| Error::io("start the thread of io_uring", source))?;
        Ok(Ring { shared, thread: Some(thread) })
    }

    /// Hands an operation over. It is done whether or not the outcome is waited for.
    pub(super) fn run(&self, target: Arc<dyn Target>, work: Work) -> Outcome {
        let ticket = Arc::<Ticket>::default();
        let operation = Operation { target, work, ticket: Some(ticket.clone()) };
        let mut inbox = self.shared.inbox();
        if let Some(why) = &inbox.broken {
            let error = io::Error::other(why.clone());
            drop(inbox);
            operation.finish(Err(error));
            return Outcome(ticket);
        }
        inbox.under_way += 1;
        inbox.arrived.push_back(operation);
        let silent = !std::mem::replace(&mut inbox.rung, true);
        drop(inbox);
        if silent {
            self.shared.ring_bell();
        }
        Outcome(ticket)
    }

    /// Drops `thing` when nothing is under way. Waits for that, except on the ring's own thread, where
    /// a waker may end up that drops what it wakes.
    pub(super) fn drop_when_idle(&self, thing: impl Any + Send) {
        let mut inbox = self.shared.inbox();
        if inbox.under_way > 0 && self.is_own_thread() {
            inbox.leftovers.push(Box::new(thing));
            return;
        }
        while inbox.under_way > 0 {
            inbox = self.shared.idle.wait(inbox).unwrap_or_else(PoisonError::into_inner);
        }
        // The process's end is the first moment at which nothing is under way for certain.
        if inbox.abandoned {
            std::mem::forget(thing);
        }
    }

    /// Whether the ring failed, and left requests behind of which nobody will hear.
    pub(super) fn abandoned(&self) -> bool {
        self.shared.inbox().abandoned
    }

    fn is_own_thread(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| thread.thread().id() == thread::current().id())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.shared.inbox().closing = true;
        self.shared.ring_bell();
        // The thread cannot wait for itself; it ends once nothing is under way.
        if !self.is_own_thread()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// Says in words why there is no ring.
fn refused(source: io::Error) -> Error {
    let why = match Errno::from_io_error(&source) {
        Some(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {
            "this kernel has no io_uring, or an old one; it takes Linux 5.6"
        }
        Some(Errno::PERM | Errno::ACCESS) => {
            "io_uring is forbidden to this process, by kernel.io_uring_disabled or by a seccomp filter, \
             as containers have one"
        }
        _ => return Error::io("set up io_uring", source),
    };
    let detail = format!("{why}; use FileStorage here");
    Error::new(ErrorKind::Unsupported, "set up io_uring").detail(detail).source(source)
}

/// What the ring's thread and the others share.
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    /// Nothing is under way.
    idle: Condvar,
    /// Wakes the ring's thread, which sleeps in the kernel.
    pub(super) bell: OwnedFd,
}

#[derive(Default)]
pub(super) struct Inbox {
    pub(super) arrived: VecDeque<Operation>,
    /// Operations that were handed over and are not finished.
    under_way: usize,
    /// The bell was rung since the inbox was looked into.
    pub(super) rung: bool,
    pub(super) closing: bool,
    /// Why nothing more is done.
    broken: Option<String>,
    /// The ring failed while the kernel had requests: they may be carried out at any time.
    pub(super) abandoned: bool,
    /// To be dropped when nothing is under way.
    leftovers: Vec<Box<dyn Any + Send>>,
}

impl Shared {
    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring_bell(&self) {
        // "Try again" means that it is ringing.
        while rustix::io::write(&self.bell, &1_u64.to_ne_bytes()) == Err(Errno::INTR) {}
    }

    /// So many operations are finished.
    pub(super) fn finished(&self, count: usize) {
        if count == 0 {
            return;
        }
        let mut inbox = self.inbox();
        inbox.under_way -= count;
        if inbox.under_way == 0 {
            let leftovers = std::mem::take(&mut inbox.leftovers);
            let abandoned = inbox.abandoned;
            drop(inbox);
            self.idle.notify_all();
            if abandoned {
                std::mem::forget(leftovers);
            }
        }
    }

    /// Nothing is done any more: what is waiting fails, and so does everything that comes.
    pub(super) fn give_up(&self, why: &str) {
        let arrived = {
            let mut inbox = self.inbox();
            inbox.broken = Some(why.to_owned());
            std::mem::take(&mut inbox.arrived)
        };
        let count = arrived.len();
        drop(arrived);
        self.finished(count);
    }
}

/// Something to do, and whom to tell.
pub(super) struct Operation {
    pub(super) target: Arc<dyn Target>,
    pub(super) work: Work,
    /// `None` once it is over.
    ticket: Option<Arc<Ticket>>,
}

impl Operation {
    /// It is over.
    pub(super) fn finish(mut self, outcome: io::Result<()>) {
        // Whoever is told finds the memory of its bytes free again.
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

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
