//! A thread for work that nobody should have to wait for.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

type Work = Box<dyn FnOnce() + Send>;

/// Does one piece of work after the other, on a thread that begins with the first one and ends when the
/// helper is dropped and nothing is left to do.
///
/// Without a thread, if none is wanted or none can be had, work is done by the thread that brings it.
pub(crate) struct Helper {
    shared: Arc<Shared>,
    threaded: bool,
}

#[derive(Default)]
struct Shared {
    desk: Mutex<Desk>,
    changed: Condvar,
}

#[derive(Default)]
struct Desk {
    work: VecDeque<Work>,
    /// Begun, or still on the desk.
    undone: usize,
    started: bool,
    dismissed: bool,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, desk: MutexGuard<'a, Desk>) -> MutexGuard<'a, Desk> {
        self.changed.wait(desk).unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut desk = self.desk();
        loop {
            if let Some(work) = desk.work.pop_front() {
                drop(desk);
                // The thread that waits for the outcome is told by what the work drops.
                let _ = catch_unwind(AssertUnwindSafe(work));
                desk = self.desk();
                desk.undone -= 1;
                self.changed.notify_all();
            } else if desk.dismissed {
                return;
            } else {
                desk = self.wait(desk);
            }
        }
    }
}

impl Helper {
    pub(crate) fn new(threaded: bool) -> Self {
        Helper { shared: Arc::default(), threaded }
    }

    /// Has it done, at once or soon. Call it without a lock that the work needs.
    pub(crate) fn hand(&self, work: impl FnOnce() + Send + 'static) {
        let mut desk = self.shared.desk();
        if self.threaded && !desk.started {
            let shared = self.shared.clone();
            let spawned =
                thread::Builder::new().name("wal-helper".into()).spawn(move || shared.serve());
            desk.started = spawned.is_ok();
        }
        if !desk.started {
            drop(desk);
            return work();
        }
        desk.work.push_back(Box::new(work));
        desk.undone += 1;
        self.shared.changed.notify_all();
    }

    /// Waits until nothing is left to do.
    pub(crate) fn settle(&self) {
        let mut desk = self.shared.desk();
        while desk.undone > 0 {
            desk = self.shared.wait(desk);
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.shared.desk().dismissed = true;
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn work_is_done_in_turn_elsewhere_also_after_one_that_panics() {
        let helper = Helper::new(true);
        let (tell, told) = mpsc::channel();
        let here = thread::current().id();
        for number in 0..100 {
            let tell = tell.clone();
            helper.hand(move || {
                tell.send((number, thread::current().id() == here)).unwrap();
                assert_ne!(number, 50, "this one panics, and is meant to");
            });
        }
        helper.settle();
        drop(tell);
        let done: Vec<_> = told.into_iter().collect();
        assert_eq!(done, (0..100).map(|number| (number, false)).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_handed_over_is_done_although_the_helper_was_dropped() {
        let (helper, (tell, told)) = (Helper::new(true), mpsc::channel());
        for _ in 0..10 {
            let tell = tell.clone();
            helper.hand(move || tell.send(()).unwrap());
        }
        drop((helper, tell));
        assert_eq!(told.into_iter().count(), 10, "and the thread ends, or this would not");
    }

    #[test]
    fn without_a_thread_it_is_done_at_once() {
        let (helper, done) = (Helper::new(false), Arc::new(AtomicUsize::new(0)));
        let counted = done.clone();
        helper.hand(move || counted.store(1, Ordering::Relaxed));
        assert_eq!(done.load(Ordering::Relaxed), 1);
        helper.settle();
    }
}
