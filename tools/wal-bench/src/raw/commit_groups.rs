//! Group commit with the cheapest wake-up there is.
//!
//! A thread that appends while a commit runs joins the next commit group. The first thread of a group is its leader,
//! and sleeps on a word of its own. The others sleep on the word of the group. A leader that is done wakes the next
//! leader first, and then its whole group by one system call. None of them takes the lock again.

use wal_load::{Timing, Workload};

use super::super::measure::Measured;
use super::Disk;

#[cfg(not(target_os = "linux"))]
pub(super) fn measure(_: impl Disk, _: &Workload, _: &Timing) -> anyhow::Result<Measured> {
    Ok(Measured::Skipped("commit groups sleep on futexes, which are of Linux".into()))
}

#[cfg(target_os = "linux")]
pub(super) fn measure(
    disk: impl Disk,
    load: &Workload,
    timing: &Timing,
) -> anyhow::Result<Measured> {
    let log = linux::GroupedLog::new(disk);
    let bytes = vec![b'r'; load.bytes_per_call()];
    let writer = || || Ok(log.append(&bytes)?);
    let writers = (0..load.writers.count()).map(|_| writer()).collect();
    super::measured(wal_load::threads(load, timing, writers))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};

    use rustix::thread::futex;

    use super::Disk;

    const WAITING: u32 = 0;
    const DONE: u32 = 1;
    const FAILED: u32 = 2;

    /// The threads whose bytes are written together.
    #[derive(Default)]
    struct CommitGroup {
        outcome: AtomicU32,
        leader: AtomicU32,
    }

    #[derive(Default)]
    struct Next {
        bytes: Vec<u8>,
        group: Arc<CommitGroup>,
        members: usize,
        /// A commit runs. When it ends, its leader wakes the leader of this group.
        busy: bool,
    }

    pub(super) struct GroupedLog<D> {
        next: Mutex<Next>,
        disk: Mutex<(D, Vec<u8>)>,
    }

    impl<D: Disk> GroupedLog<D> {
        pub(super) fn new(disk: D) -> Self {
            GroupedLog { next: Mutex::default(), disk: Mutex::new((disk, Vec::new())) }
        }

        /// Returns when the bytes are durable.
        pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
            let (group, first, at_once) = {
                let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                next.bytes.extend_from_slice(bytes);
                next.members += 1;
                let at_once = !std::mem::replace(&mut next.busy, true);
                (next.group.clone(), next.members == 1, at_once)
            };
            if !first {
                return told(sleep(&group.outcome));
            }
            if !at_once {
                sleep(&group.leader);
            }
            self.lead()
        }

        fn lead(&self) -> io::Result<()> {
            let (group, outcome) = {
                let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
                let (disk, spare) = &mut *disk;
                let group = {
                    let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                    std::mem::swap(&mut next.bytes, spare);
                    next.members = 0;
                    std::mem::take(&mut next.group)
                };
                let outcome = disk.append(spare);
                spare.clear();
                (group, outcome)
            };
            let named = {
                let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                next.busy = next.members > 0;
                next.busy.then(|| next.group.clone())
            };
            if let Some(next) = named {
                wake(&next.leader, DONE, 1);
            }
            wake(&group.outcome, if outcome.is_ok() { DONE } else { FAILED }, i32::MAX as u32);
            outcome
        }
    }

    fn sleep(word: &AtomicU32) -> u32 {
        loop {
            match word.load(Ordering::Acquire) {
                // Returns at once if the word has changed; may also return for no reason.
                WAITING => drop(futex::wait(word, futex::Flags::PRIVATE, WAITING, None)),
                outcome => return outcome,
            }
        }
    }

    fn wake(word: &AtomicU32, outcome: u32, sleepers: u32) {
        word.store(outcome, Ordering::Release);
        // It fails only for addresses that are none.
        let _ = futex::wake(word, futex::Flags::PRIVATE, sleepers);
    }

    fn told(outcome: u32) -> io::Result<()> {
        match outcome {
            DONE => Ok(()),
            _ => Err(io::Error::other("the leader of the group failed to write")),
        }
    }

    #[cfg(test)]
    mod tests {
        use std::sync::atomic::AtomicUsize;
        use std::thread;

        use super::*;

        /// Counts bytes; fails when told to.
        struct Counter<'a>(&'a AtomicUsize, bool);

        impl Disk for Counter<'_> {
            fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
                thread::yield_now();
                self.0.fetch_add(bytes.len(), Ordering::SeqCst);
                if self.1 { Err(io::Error::other("broken")) } else { Ok(()) }
            }
        }

        fn run(fails: bool) -> (usize, usize) {
            let (bytes, errors) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let log = GroupedLog::new(Counter(&bytes, fails));
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        for _ in 0..1000 {
                            errors.fetch_add(
                                usize::from(log.append(b"abc").is_err()),
                                Ordering::SeqCst,
                            );
                        }
                    });
                }
            });
            (bytes.into_inner(), errors.into_inner())
        }

        #[test]
        fn nobody_is_forgotten_and_nothing_is_written_twice() {
            assert_eq!(run(false), (24_000, 0));
        }

        #[test]
        fn a_failure_is_told_to_the_whole_group() {
            assert_eq!(run(true), (24_000, 8000));
        }
    }
}
