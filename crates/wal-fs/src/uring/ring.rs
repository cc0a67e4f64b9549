//! The ring, as those see it who want something done: operations go in, outcomes come out.

use std::any::Any;
use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use wal_core::{Error, ErrorKind, Result};

use super::inbox::Shared;
use super::operation::{Operation, Outcome, Target};
use super::reaper::Reaper;
use super::work::Work;

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
        let shared = Arc::new(Shared::new(bell));
        let reaper = Reaper::new(depth, shared.clone()).map_err(refused)?;
        let thread = thread::Builder::new()
            .name("wal-uring".into())
            .spawn(move || reaper.run())
            .map_err(|source| Error::io("start the thread of io_uring", source))?;
        Ok(Ring { shared, thread: Some(thread) })
    }

    /// Hands an operation over. It is done whether or not the outcome is waited for.
    pub(super) fn run(&self, target: Arc<dyn Target>, work: Work) -> Outcome {
        let (operation, outcome) = Operation::new(target, work);
        let mut inbox = self.shared.inbox();
        if let Some(why) = &inbox.broken {
            let error = io::Error::other(why.clone());
            drop(inbox);
            operation.finish(Err(error));
            return outcome;
        }
        inbox.under_way += 1;
        inbox.arrived.push_back(operation);
        let silent = !std::mem::replace(&mut inbox.rung, true);
        drop(inbox);
        if silent {
            self.shared.ring_bell();
        }
        outcome
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
    Error::new(ErrorKind::Unsupported, "set up io_uring").with_detail(detail).with_source(source)
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
