//! Back-off: threads that append faster than a lock can change hands.
//!
//! An append that needs no commit takes less time than a cache line takes from one processor to another. So two
//! threads that have the lock in turns are slower together than one of them alone, and putting a thread to sleep
//! and waking it costs more than what it appends. When the lock went from one thread to another lately, and most
//! often the other had to wait for it, a thread that finds it taken sleeps for a moment.
//!
//! Only for appends that need no commit: a caller that waits for a commit has to be in time for it.

use std::time::Duration;

use super::Pace;
use crate::sync::{AtomicU32, AtomicUsize, Mutex, MutexGuard, Ordering, lock, try_lock};

/// The thread that had the lock last, and whether others had to wait for it.
#[repr(align(64))]
pub(crate) struct BackOff {
    /// Saturating score: +1 when a hand-over of the lock was contended, -1 when not.
    score: AtomicU32,
    last: AtomicUsize,
    // In the same cache line, which is fetched anyway.
    moment: Duration,
    from: u32,
    most: u32,
}

impl BackOff {
    pub(crate) fn new(pace: &Pace) -> Self {
        BackOff {
            score: AtomicU32::new(0),
            last: AtomicUsize::new(0),
            moment: pace.back_off,
            from: pace.back_off_from,
            most: pace.back_off_max,
        }
    }

    /// Locks, perhaps after a moment.
    ///
    /// The moment passes by the system's clock and not by the log's: nothing that the log decides depends on it.
    pub(crate) fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
        if self.moment.is_zero() {
            return lock(mutex);
        }
        self.lock_or(mutex, || std::thread::sleep(self.moment))
    }

    fn lock_or<'a, T>(&self, mutex: &'a Mutex<T>, back_off: impl FnOnce()) -> MutexGuard<'a, T> {
        let (guard, waited) = match try_lock(mutex) {
            Some(guard) => (guard, false),
            None => (self.wait(mutex, back_off), true),
        };
        self.note(waited);
        guard
    }

    fn wait<'a, T>(&self, mutex: &'a Mutex<T>, back_off: impl FnOnce()) -> MutexGuard<'a, T> {
        // If this thread had it last, it is now with a commit, or with somebody who needs one.
        let another = self.last.load(Ordering::Relaxed) != this_thread();
        if another && self.score.load(Ordering::Relaxed) >= self.from {
            back_off();
        }
        lock(mutex)
    }

    /// Counts this hand-over. Called with the lock.
    fn note(&self, waited: bool) {
        // A thread that has it again and again says nothing about others.
        if self.last.load(Ordering::Relaxed) == this_thread() {
            return;
        }
        self.last.store(this_thread(), Ordering::Relaxed);
        let score = self.score.load(Ordering::Relaxed);
        let now = if waited { (score + 1).min(self.most) } else { score.saturating_sub(1) };
        self.score.store(now, Ordering::Relaxed);
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

    const FROM: u32 = Pace::USUAL.back_off_from;
    const MOST: u32 = Pace::USUAL.back_off_max;

    fn with_score(score: u32, last: usize) -> BackOff {
        let back_off = BackOff::new(&Pace::default());
        back_off.score.store(score, Ordering::Relaxed);
        back_off.last.store(last, Ordering::Relaxed);
        back_off
    }

    fn score(back_off: &BackOff) -> u32 {
        back_off.score.load(Ordering::Relaxed)
    }

    /// Another thread than any that has had it.
    fn as_another(back_off: &BackOff) -> &BackOff {
        back_off.last.store(0, Ordering::Relaxed);
        back_off
    }

    /// Finds it taken by somebody who lets go when this thread backs off.
    fn lock_backing_off(back_off: &BackOff, mutex: &Mutex<()>) {
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            let held = lock(mutex);
            scope.spawn(move || drop(back_off.lock_or(mutex, || tell.send(()).unwrap())));
            let backed_off = told.recv_timeout(Duration::from_secs(5));
            drop(held);
            backed_off.expect("backed off");
        });
    }

    /// Finds it taken by somebody who lets go after a while, and must not back off.
    fn lock_waiting(back_off: &BackOff, mutex: &Mutex<()>, as_last: bool) {
        std::thread::scope(|scope| {
            let held = lock(mutex);
            let waiter = scope.spawn(move || {
                if as_last {
                    back_off.last.store(this_thread(), Ordering::Relaxed);
                }
                drop(
                    back_off
                        .lock_or(mutex, || panic!("backed off at a score of {}", score(back_off))),
                );
            });
            // Until it has found it taken: there is nothing to be seen of that.
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
            waiter.join().unwrap();
        });
    }

    #[test]
    fn a_thread_that_finds_a_contended_lock_taken_backs_off() {
        let (back_off, mutex) = (with_score(FROM, 0), Mutex::new(()));
        for taken in FROM + 1..=MOST + 3 {
            lock_backing_off(as_another(&back_off), &mutex);
            assert_eq!(score(&back_off), taken.min(MOST));
        }
    }

    #[test]
    fn hand_overs_without_waiting_are_no_contention() {
        let (back_off, mutex) = (with_score(MOST, 0), Mutex::new(()));
        for left in (0..MOST).rev() {
            drop(as_another(&back_off).lock_or(&mutex, || panic!("it is free")));
            assert_eq!(score(&back_off), left);
        }
        drop(as_another(&back_off).lock(&mutex));
        assert_eq!(score(&back_off), 0);
    }

    #[test]
    fn a_thread_that_has_it_again_and_again_says_nothing_of_others() {
        let (back_off, mutex) = (with_score(MOST, this_thread()), Mutex::new(()));
        (0..100).for_each(|_| drop(back_off.lock(&mutex)));
        assert_eq!(score(&back_off), MOST);
    }

    #[test]
    fn the_thread_that_had_it_last_does_not_back_off() {
        let (back_off, mutex) = (with_score(MOST - 1, 0), Mutex::new(()));
        lock_waiting(&back_off, &mutex, true);
        assert_eq!(score(&back_off), MOST - 1);
    }

    #[test]
    fn nobody_backs_off_before_the_lock_is_contended() {
        let (back_off, mutex) = (BackOff::new(&Pace::default()), Mutex::new(()));
        for _ in 0..FROM {
            lock_waiting(as_another(&back_off), &mutex, false);
        }
        // One may not have come before it was free again.
        assert!((1..=FROM).contains(&score(&back_off)), "{}", score(&back_off));
    }

    #[test]
    fn switched_off_it_counts_nothing() {
        let (back_off, mutex) = (BackOff::new(&Pace::OFF), Mutex::new(()));
        drop(as_another(&back_off).lock(&mutex));
        assert_eq!(back_off.last.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn threads_are_told_apart() {
        let here = this_thread();
        assert_eq!(here, this_thread());
        let there = std::thread::spawn(this_thread).join().unwrap();
        assert!(here != there && here > 0 && there > 0, "0 stands for none");
    }
}
