//! The synchronisation primitives of the commit pipeline: `std`'s, or those of a model checker, loom's
//! under `--cfg wal_loom` and shuttle's under `--cfg wal_shuttle`. Everything in [`crate::engine`] takes
//! them from here.

#[cfg(not(any(wal_loom, wal_shuttle)))]
pub(crate) use std::{
    sync::{
        Mutex, MutexGuard, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread,
};

#[cfg(wal_shuttle)]
pub(crate) use shuttle::{
    sync::{
        Mutex, MutexGuard, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread,
};

#[cfg(wal_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard, RwLock,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

/// Locks, whether or not a thread panicked while it held the lock.
///
/// No code of the user runs under the engine's locks but `SyncStrategy::decide`, and that only at
/// points where the state is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Threads of loom, parked by a lock and a condition variable.
///
/// loom 0.7 loses the token of an `unpark` whose thread waits for a lock at that moment, which is how
/// the driver is kicked; the model would see a wake-up get lost that no real thread loses.
#[cfg(wal_loom)]
pub(crate) mod thread {
    use std::cell::RefCell;
    use std::io;
    use std::sync::Arc;

    use loom::sync::{Condvar, Mutex};

    #[derive(Clone, Default)]
    pub(crate) struct Thread(Arc<Token>);

    #[derive(Default)]
    struct Token {
        there: Mutex<bool>,
        changed: Condvar,
    }

    loom::thread_local! {
        static CURRENT: RefCell<Thread> = RefCell::new(Thread::default());
    }

    pub(crate) fn current() -> Thread {
        CURRENT.with(|current| current.borrow().clone())
    }

    pub(crate) fn park() {
        let Token { there, changed } = &*current().0;
        let mut there = there.lock().expect("not poisoned");
        while !*there {
            there = changed.wait(there).expect("not poisoned");
        }
        *there = false;
    }

    impl Thread {
        pub(crate) fn unpark(&self) {
            *self.0.there.lock().expect("not poisoned") = true;
            self.0.changed.notify_one();
        }

        /// Where the token lies: no two threads share one.
        pub(crate) fn id(&self) -> *const () {
            Arc::as_ptr(&self.0).cast()
        }
    }

    pub(crate) struct Builder(loom::thread::Builder);

    impl Builder {
        pub(crate) fn new() -> Self {
            Builder(loom::thread::Builder::new())
        }

        pub(crate) fn name(self, name: String) -> Self {
            Builder(self.0.name(name))
        }

        pub(crate) fn spawn<T: Send + 'static>(
            self,
            f: impl FnOnce() -> T + Send + 'static,
        ) -> io::Result<JoinHandle<T>> {
            let thread = Thread::default();
            let own = thread.clone();
            let handle = self.0.spawn(move || {
                CURRENT.with(|current| current.replace(own));
                f()
            })?;
            Ok(JoinHandle { handle, thread })
        }
    }

    pub(crate) struct JoinHandle<T> {
        handle: loom::thread::JoinHandle<T>,
        thread: Thread,
    }

    impl<T> JoinHandle<T> {
        pub(crate) fn thread(&self) -> &Thread {
            &self.thread
        }

        pub(crate) fn join(self) -> std::thread::Result<T> {
            self.handle.join()
        }
    }
}
