//! The synchronisation primitives of the commit pipeline: `std`'s, or those of a model checker, loom's
//! under `--cfg wal_loom` and shuttle's under `--cfg wal_shuttle`. Everything in [`crate::engine`] takes
//! them from here.

#[cfg(not(any(wal_loom, wal_shuttle)))]
pub(crate) use std::{
    sync::{
        Mutex, MutexGuard, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

#[cfg(wal_shuttle)]
pub(crate) use shuttle::{
    sync::{
        Condvar, Mutex, MutexGuard, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

#[cfg(wal_loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard, RwLock,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

/// A word on which many threads sleep, and are woken by one call.
#[cfg(not(any(wal_loom, wal_shuttle)))]
pub(crate) struct Signal(AtomicU32);

#[cfg(not(any(wal_loom, wal_shuttle)))]
impl Signal {
    pub(crate) const fn new(word: u32) -> Self {
        Signal(AtomicU32::new(word))
    }

    pub(crate) fn load(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn store(&self, word: u32) {
        self.0.store(word, Ordering::Release);
    }

    /// Puts `new` in the place of `old`; false if something else is there.
    pub(crate) fn exchange(&self, old: u32, new: u32) -> bool {
        self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Sleeps while the word is this one; may return early.
    pub(crate) fn wait(&self, word: u32) {
        atomic_wait::wait(&self.0, word);
    }

    pub(crate) fn wake_one(&self) {
        atomic_wait::wake_one(&self.0);
    }

    pub(crate) fn wake_all(&self) {
        atomic_wait::wake_all(&self.0);
    }
}

/// The same for a model checker: a lock and a condition variable.
#[cfg(any(wal_loom, wal_shuttle))]
pub(crate) struct Signal {
    word: Mutex<u32>,
    changed: Condvar,
}

#[cfg(any(wal_loom, wal_shuttle))]
impl Signal {
    pub(crate) fn new(word: u32) -> Self {
        Signal { word: Mutex::new(word), changed: Condvar::new() }
    }

    pub(crate) fn load(&self) -> u32 {
        *lock(&self.word)
    }

    pub(crate) fn store(&self, word: u32) {
        *lock(&self.word) = word;
    }

    pub(crate) fn exchange(&self, old: u32, new: u32) -> bool {
        let mut word = lock(&self.word);
        let there = *word == old;
        if there {
            *word = new;
        }
        there
    }

    pub(crate) fn wait(&self, word: u32) {
        let now = lock(&self.word);
        if *now == word {
            drop(self.changed.wait(now));
        }
    }

    pub(crate) fn wake_one(&self) {
        self.changed.notify_one();
    }

    pub(crate) fn wake_all(&self) {
        self.changed.notify_all();
    }
}

/// Locks, whether or not a thread panicked while it held the lock.
///
/// No code of the user runs under the engine's locks but `SyncStrategy::decide` and the `Clock`, and that only
/// at points where the state is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Locks, in the same way, unless somebody else holds the lock.
#[cfg(not(wal_loom))]
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(std::sync::TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
        Err(std::sync::TryLockError::WouldBlock) => None,
    }
}

/// Whether nobody has it locked, at this moment. Under loom always, as an attempt would wait (see `try_lock`): the caller
/// then waits for the lock.
pub(crate) fn is_free<T>(mutex: &Mutex<T>) -> bool {
    cfg!(wal_loom) || try_lock(mutex).is_some()
}

/// loom lets an attempt to lock wait like any other, and finds deadlocks that are none. So its models take
/// the way of those who find the lock taken; it has all schedules of the other way, and more.
#[cfg(wal_loom)]
pub(crate) fn try_lock<T>(_: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    None
}

/// Threads of loom, parked by a lock and a condition variable.
///
/// loom 0.7 loses the token of an `unpark` whose thread waits for a lock at that moment, which is how
/// the driver is woken; the model would see a wake-up get lost that no real thread loses.
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
