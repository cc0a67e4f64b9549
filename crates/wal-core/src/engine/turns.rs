//! Standing back: threads that append faster than a lock can change hands.
//!
//! An append that is acknowledged from memory takes less time than a cache line takes from one processor to
//! another. So two threads that have the lock by turns are slower together than one of them alone, and those
//! who are put to sleep and woken in between cost more than what they append. When most who came lately
//! found the lock taken, the next one who does leaves it to the others for a moment.
//!
//! Only for appends that wait for nothing: whoever waits for a commit has to be in time for it.

use std::time::Duration;

use crate::sync::{AtomicU32, Mutex, MutexGuard, Ordering, lock, try_lock};

/// The moment; the system's timers make twice as much of it. It passes by the system's clock and not by the
/// log's: nothing that the log decides depends on it.
const MOMENT: Duration = Duration::from_micros(50);

/// How many more had to wait than not, lately.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Turns(AtomicU32);

impl Turns {
    const CROWDED: u32 = 8;
    const MOST: u32 = 16;

    /// Locks, perhaps after a moment.
    pub(super) fn take<'a, T>(&self, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
        // A model checker knows no moments.
        if cfg!(any(wal_loom, wal_shuttle)) {
            return lock(mutex);
        }
        self.take_or(mutex, || std::thread::sleep(MOMENT))
    }

    fn take_or<'a, T>(&self, mutex: &'a Mutex<T>, stand_back: impl FnOnce()) -> MutexGuard<'a, T> {
        // Changed by whoever has the lock only.
        let crowd = || self.0.load(Ordering::Relaxed);
        if let Some(guard) = try_lock(mutex) {
            if crowd() > 0 {
                self.0.store(crowd() - 1, Ordering::Relaxed);
            }
            return guard;
        }
        if crowd() >= Self::CROWDED {
            stand_back();
        }
        let guard = lock(mutex);
        self.0.store((crowd() + 1).min(Self::MOST), Ordering::Relaxed);
        guard
    }
}

#[cfg(all(test, not(any(wal_loom, wal_shuttle))))]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn crowd(turns: &Turns) -> u32 {
        turns.0.load(Ordering::Relaxed)
    }

    /// Finds it taken by somebody who lets go when this thread stands back, or after a while.
    fn take_while_taken(turns: &Turns, mutex: &Mutex<()>) {
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            let held = lock(mutex);
            scope.spawn(move || drop(turns.take_or(mutex, || tell.send(()).unwrap())));
            let stood_back = told.recv_timeout(Duration::from_secs(5));
            drop(held);
            stood_back.expect("stood back");
        });
    }

    #[test]
    fn in_a_crowd_whoever_finds_it_taken_stands_back() {
        let (turns, mutex) = (Turns(AtomicU32::new(Turns::CROWDED)), Mutex::new(()));
        for taken in Turns::CROWDED + 1..=Turns::MOST + 3 {
            take_while_taken(&turns, &mutex);
            assert_eq!(crowd(&turns), taken.min(Turns::MOST));
        }
        for left in (0..Turns::MOST).rev() {
            drop(turns.take_or(&mutex, || panic!("it is free")));
            assert_eq!(crowd(&turns), left);
        }
        drop(turns.take(&mutex));
        assert_eq!(crowd(&turns), 0);
    }

    #[test]
    fn a_few_who_wait_make_a_crowd_and_do_not_stand_back_before() {
        let (turns, mutex) = (Turns::default(), Mutex::new(()));
        for waited in 1..=Turns::CROWDED {
            std::thread::scope(|scope| {
                let held = lock(&mutex);
                let wait = || drop(turns.take_or(&mutex, || panic!("{waited} is no crowd")));
                let waiter = scope.spawn(wait);
                // Until it has found it taken: there is nothing to be seen of that.
                std::thread::sleep(Duration::from_millis(20));
                drop(held);
                waiter.join().unwrap();
            });
        }
        assert!((1..=Turns::CROWDED).contains(&crowd(&turns)));
    }
}
