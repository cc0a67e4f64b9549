//! The one-writer lock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use wal_core::{ErrorKind, LogStorage, StorageLock};

use super::shape::{create, names};
use crate::conformance::bench::Bench;
use crate::conformance::checked::{Stop, ensure};
use crate::conformance::medium::{Medium, Need};

fn refused(storage: &impl LogStorage, who: &str) -> Result<(), Stop> {
    match storage.lock().wait() {
        Ok(_) => Err(Stop::broken(format!("{who} got the lock, which was held"))),
        Err(error) if error.kind() == ErrorKind::Locked => Ok(()),
        Err(error) => Err(Stop::broken(format!(
            "{who} was refused with the kind \"{}\" instead of \"locked\": {error}",
            error.kind()
        ))),
    }
}

/// While the lock is held nobody else gets it, be it through the same storage or another one.
pub fn a_second_lock_is_refused<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "lock, on Ok: no other call returns Ok, in this process or another, until the lock is \
         dropped; on Err: Locked if somebody else holds it",
        &[],
    )?;
    let (medium, storage) = bench.start();
    let other = bench.watch(medium.open());
    let lock = storage.lock().wait()?;
    refused(&storage, "a second call on the same storage")?;
    refused(&other, "a second storage on the same medium")?;
    drop(lock);
    Ok(())
}

/// Who is refused takes nothing away from who holds the lock.
pub fn a_refused_lock_changes_nothing<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise("lock, on Err: nothing changed", &[])?;
    let (medium, storage) = bench.start();
    let lock = storage.lock().wait()?;
    create(&storage, 1, 1)?;
    create(&storage, 9, 9)?;
    storage.remove(&[super::shape::lsn(1)]).wait()?;
    let other = bench.watch(medium.open());
    refused(&other, "a second storage on the same medium")?;
    drop(other);
    refused(
        &bench.watch(medium.open()),
        "a third storage, after the second was refused and dropped,",
    )?;
    ensure(names(&storage)? == [9], || "the refused call changed the listing".into())?;
    // The writer goes on, also with whatever it kept of the removed segment.
    create(&storage, 17, 17)?;
    super::shape::expect_header(&storage, 17, 17)?;
    drop(lock);
    Ok(())
}

/// The next one gets the lock once it was dropped.
pub fn a_dropped_lock_is_free<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise("lock: it is released when its value is dropped", &[])?;
    let (medium, storage) = bench.start();
    let other = bench.watch(medium.open());
    for round in 0..3 {
        for (who, storage) in [("this storage", &storage), ("another", &other)] {
            let lock = storage.lock().wait().map_err(|error| {
                Stop::broken(format!("round {round}: {who} did not get a free lock: {error}"))
            })?;
            drop(lock);
        }
    }
    Ok(())
}

/// A lock that nobody waited for is not held.
pub fn a_cancelled_lock_is_not_held<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise("lock, if cancelled: the lock is not held", &[])?;
    let (_medium, storage) = bench.start();
    bench.note("the future of lock() is dropped before it was polled");
    drop(storage.inner().lock());
    let lock = storage.lock().wait();
    lock.map_err(|error| Stop::broken(format!("the lock is held by nobody, but: {error}")))?;
    Ok(())
}

/// Of many who ask at once, one wins.
pub fn of_many_lockers_one_wins<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise("lock, concurrency: any number of callers; at most one wins", &[])?;
    const LOCKERS: usize = 8;
    let (medium, _storage) = bench.start();
    let storages: Vec<_> = (0..LOCKERS / 2).map(|_| bench.watch(medium.open())).collect();
    let (together, winners) = (Barrier::new(LOCKERS), AtomicUsize::new(0));
    let held: Mutex<Vec<StorageLock>> = Mutex::default();
    thread::scope(|scope| {
        for i in 0..LOCKERS {
            let (storages, together, winners, held) = (&storages, &together, &winners, &held);
            scope.spawn(move || {
                together.wait();
                if let Ok(lock) = storages[i / 2].lock().wait() {
                    winners.fetch_add(1, Ordering::Relaxed);
                    held.lock().expect("no panics").push(lock);
                }
            });
        }
    });
    let winners = winners.into_inner();
    drop(held);
    ensure(winners == 1, || format!("{winners} of {LOCKERS} callers got the lock at once"))
}

/// A lock dies with its holder.
pub fn a_killed_holder_loses_the_lock<P: Medium>(bench: &Bench<'_, P>) -> Result<(), Stop> {
    bench.promise(
        "lock, durability: none needed; the lock dies with its holder, also by kill -9",
        &[Need::Kill],
    )?;
    let (medium, storage) = bench.start();
    let lock = storage.lock().wait()?;
    let next = bench.after_kill(&medium)?;
    let taken = next.lock().wait();
    let taken = taken.map_err(|error| Stop::broken(format!("the dead still hold it: {error}")))?;
    // What is left of the dead does not take it away either.
    drop((lock, storage));
    refused(&next, "a second call, after the values of the dead were dropped,")?;
    drop(taken);
    Ok(())
}
