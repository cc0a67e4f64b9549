//! What the ring's thread shares with those who want something done: operations that arrived, and how many are
//! under way.

use std::any::Any;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::operation::Operation;

/// What the ring's thread and the others share.
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    /// Nothing is under way.
    pub(super) idle: Condvar,
    /// Wakes the ring's thread, which sleeps in the kernel.
    pub(super) bell: OwnedFd,
}

#[derive(Default)]
pub(super) struct Inbox {
    pub(super) arrived: VecDeque<Operation>,
    /// Operations that were handed over and are not finished.
    pub(super) under_way: usize,
    /// The bell was rung since the inbox was looked into.
    pub(super) rung: bool,
    pub(super) closing: bool,
    /// Why nothing more is done.
    pub(super) broken: Option<String>,
    /// The ring failed while the kernel had requests: they may be carried out at any time.
    pub(super) abandoned: bool,
    /// To be dropped when nothing is under way.
    pub(super) leftovers: Vec<Box<dyn Any + Send>>,
}

impl Shared {
    pub(super) fn new(bell: OwnedFd) -> Self {
        Shared { inbox: Mutex::default(), idle: Condvar::new(), bell }
    }

    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ring_bell(&self) {
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
