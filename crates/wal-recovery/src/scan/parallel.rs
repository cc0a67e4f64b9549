//! The same work on many segments, by several threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use wal_core::Result;

/// Calls `work` for every number below `count`, and gives the outcomes in order, or the error of the
/// lowest number that failed. The calling thread takes part; after an error nothing new is begun.
pub(crate) fn map<T: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let outcomes = Mutex::new(Vec::with_capacity(count));
    let worker = || {
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                break;
            }
            let outcome = work(at);
            failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((at, outcome));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            // With fewer threads than asked for it only takes longer.
            let _ = thread::Builder::new().name("wal-verify".into()).spawn_scoped(scope, worker);
        }
        worker();
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Everything below a number that failed had been begun, and so is here.
    outcomes.sort_unstable_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// As many threads as the machine runs at once, up to eight.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, |n| n.get().min(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wal_core::{Error, ErrorKind};

    #[test]
    fn keeps_the_order_and_gives_the_first_error() {
        for threads in [1, 2, 7] {
            assert_eq!(map(5, threads, |i| Ok(i * i)).unwrap(), [0, 1, 4, 9, 16]);
            assert!(map(0, threads, Ok).unwrap().is_empty());
            let error = map(100, threads, |i| {
                if i >= 30 { Err(Error::new(ErrorKind::Io, i.to_string())) } else { Ok(i) }
            });
            assert_eq!(error.unwrap_err().op(), "30");
        }
    }
}
