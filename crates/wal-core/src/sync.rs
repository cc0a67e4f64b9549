//! The synchronisation primitives of the commit pipeline: `std`'s, or loom's models of them under
//! `--cfg wal_loom`. Everything in [`crate::engine`] takes them from here.

#[cfg(not(wal_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard, RwLock,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};
#[cfg(not(wal_loom))]
pub(crate) use std::thread;

#[cfg(wal_loom)]
pub(crate) use loom::{
    sync::{
        Mutex, MutexGuard, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread,
};

/// Locks, whether or not a thread panicked while it held the lock.
///
/// No code of the user runs under the engine's locks but `SyncStrategy::decide`, and that only at
/// points where the state is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
