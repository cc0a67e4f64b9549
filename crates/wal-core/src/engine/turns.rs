//! Standing back: threads that append faster than a lock can change hands.
//!
//! An append that needs no commit takes less time than a cache line takes from one processor to
//! another. So two threads that have the lock by turns are slower together than one of them alone, and those
//! who are put to sleep and woken in between cost more than what they append. When the lock went from one
//! thread to another lately, and most often the other had to wait for it, whoever finds it taken leaves it to
//! the others for a moment.
//!
//! Only for appends that need no commit: whoever waits for one has to be in time for it.

use std::time::Duration;

use crate::sync::{AtomicU32, AtomicUsize, Mutex, MutexGuard, Ordering, lock, try_lock};

/// The moment; the system's timers make twice as much of it. It passes by the system's clock and not by the
/// log's: nothing that the log decides depends on it.
const MOMENT: Duration = Duration::from_micros(50);

/// Who had the lock last, and whether others had to wait for it.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Turns {
    /// Of the times that the lock went from one thread to another lately: how many more had the other wait
    /// than had not.
    crowd: AtomicU32,
    last: AtomicUsize,
}

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
        let (guard, waited) = match try_lock(mutex) {
            Some(guard) => (guard, false),
            None => (self.wait(mutex, stand_back), true),
        };
        self.had_it(waited);
        guard
    }

    fn wait<'a, T>(&self, mutex: &'a Mutex<T>, stand_back: impl FnOnce()) -> MutexGuard<'a, T> {
        // If this thread had it last, nobody who takes turns has it, but a commit or somebody who needs one.
        let another = self.last.load(Ordering::Relaxed) != this_thread();
        if another && self.crowd.load(Ordering::Relaxed) >= Self::CROWDED {
            stand_back();
        }
        lock(mutex)
    }

    /// Notes how it went. Called with the lock.
    fn had_it(&self, waited: bool) {
        // A thread that has it again and again says nothing about others.
        if self.last.load(Ordering::Relaxed) == this_thread() {
            return;
        }
        self.last.store(this_thread(), Ordering::Relaxed);
        let crowd = self.crowd.load(Ordering::Relaxed);
        let now = if waited { (crowd + 1).min(Self::MOST) } else { crowd.saturating_sub(1) };
        self.crowd.store(now, Ordering::Relaxed);
    }
}

/// A number that no other thread has at the same time.
fn this_thread() -> usize {
    std::thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

#[cfg(all(test, not(any(wal_loom, wal_shuttle))))]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn turns(crowd: u32, last: usize) -> Turns {
        Turns { crowd: AtomicU32::new(crowd), last: AtomicUsize::new(last) }
    }

    fn crowd(turns: &Turns) -> u32 {
        turns.crowd.load(Ordering::Relaxed)
    }

    /// Another thread than any that has had it.
    fn as_another(turns: &Turns) -> &Turns {
        turns.last.store(0, Ordering::Relaxed);
        turns
    }

    /// Finds it taken by somebody who lets go when this thread stands back.
    fn take_standing_back(turns: &Turns, mutex: &Mutex<()>) {
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            let held = lock(mutex);
            scope.spawn(move || drop(turns.take_or(mutex, || tell.send(()).unwrap())));
            let stood_back = told.recv_timeout(Duration::from_secs(5));
            drop(held);
            stood_back.expect("stood back");
        });
    }

    /// Finds it taken by somebody who lets go after a while, and must not stand back.
    fn take_waiting(turns: &Turns, mutex: &Mutex<()>, as_last: bool) {
        std::thread::scope(|scope| {
            let held = lock(mutex);
            let waiter = scope.spawn(move || {
                if as_last {
                    turns.last.store(this_thread(), Ordering::Relaxed);
                }
                drop(turns.take_or(mutex, || panic!("{} is no crowd", crowd(turns))));
            });
            // Until it has found it taken: there is nothing to be seen of that.
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
            waiter.join().unwrap();
        });
    }

    #[test]
    fn in_a_crowd_whoever_finds_it_taken_stands_back() {
        let (turns, mutex) = (turns(Turns::CROWDED, 0), Mutex::new(()));
        for taken in Turns::CROWDED + 1..=Turns::MOST + 3 {
            take_standing_back(as_another(&turns), &mutex);
            assert_eq!(crowd(&turns), taken.min(Turns::MOST));
        }
    }

    #[test]
    fn those_who_take_turns_without_waiting_are_no_crowd() {
        let (turns, mutex) = (turns(Turns::MOST, 0), Mutex::new(()));
        for left in (0..Turns::MOST).rev() {
            drop(as_another(&turns).take_or(&mutex, || panic!("it is free")));
            assert_eq!(crowd(&turns), left);
        }
        drop(as_another(&turns).take(&mutex));
        assert_eq!(crowd(&turns), 0);
    }

    #[test]
    fn one_that_has_it_again_and_again_says_nothing_of_the_others() {
        let (turns, mutex) = (turns(Turns::MOST, this_thread()), Mutex::new(()));
        (0..100).for_each(|_| drop(turns.take(&mutex)));
        assert_eq!(crowd(&turns), Turns::MOST);
    }

    #[test]
    fn one_that_waits_for_a_commit_does_not_stand_back() {
        let (turns, mutex) = (turns(Turns::MOST - 1, 0), Mutex::new(()));
        take_waiting(&turns, &mutex, true);
        assert_eq!(crowd(&turns), Turns::MOST - 1);
    }

    #[test]
    fn a_few_who_wait_make_a_crowd_and_do_not_stand_back_before() {
        let (turns, mutex) = (Turns::default(), Mutex::new(()));
        for _ in 0..Turns::CROWDED {
            take_waiting(as_another(&turns), &mutex, false);
        }
        // One may not have come before it was free again.
        assert!((1..=Turns::CROWDED).contains(&crowd(&turns)), "{}", crowd(&turns));
    }
}
