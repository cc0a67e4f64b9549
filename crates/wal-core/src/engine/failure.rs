//! How a log ends before its time: a failure poisons it, and everybody who waits is told.
//!
//! The order matters: **the flag before the wake-ups**. A failure is announced before the waiters are taken out
//! under the short lock. A caller that finds the log alive under that lock is thus among those who are told.

use std::sync::OnceLock;

use super::Engine;
use super::wait::{Outcome, wake_all};
use crate::sync::{AtomicBool, Ordering};
use crate::{Error, ErrorKind, Event, Result};

/// The first failure of a log, if there was one.
#[derive(Default)]
pub(super) struct Failure {
    first: OnceLock<Error>,
    announced: AtomicBool,
}

impl Failure {
    /// Keeps the error if it is the first, and returns whether it is. It is yet to be announced.
    fn keep(&self, error: &Error) -> bool {
        self.first.set(error.clone()).is_ok()
    }

    /// From now on the log is called failed.
    fn announce(&self) {
        self.announced.store(true, Ordering::Release);
    }

    pub(super) fn is_announced(&self) -> bool {
        self.announced.load(Ordering::Acquire)
    }

    fn first(&self) -> Option<&Error> {
        self.first.get()
    }
}

impl Engine {
    /// The error for a caller of a log that failed or was closed; `None` while it is fine.
    pub(crate) fn refusal(&self, op: &'static str) -> Option<Error> {
        if let Some(error) = self.failure.first() {
            return Some(error.poisoned(op));
        }
        self.state().agenda.is_closed().then(|| closed(op))
    }

    /// Runs a part of an append: a panic in it fails the log. The locks that it takes are let go of before that.
    #[inline]
    pub(super) fn guarded<T>(&self, run: impl FnOnce() -> T) -> T {
        let guard = PanicGuard { engine: self, is_ours: true };
        let outcome = run();
        // Nothing has panicked. To drop the guard would be to look whether something has; an append spares itself that.
        std::mem::forget(guard);
        outcome
    }

    /// The error for a caller whose wait was ended because the log failed or was closed.
    pub(super) fn wait_ended(&self, op: &'static str) -> Error {
        self.refusal(op).unwrap_or_else(|| closed(op))
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_announced()
    }

    pub(super) fn check(&self, op: &'static str) -> Result<()> {
        match self.failure.first() {
            Some(error) if self.has_failed() => Err(error.poisoned(op)),
            _ => Ok(()),
        }
    }

    /// Poisons the log: after this nothing is acknowledged on this handle any more.
    pub(super) fn fail(&self, error: Error) -> Error {
        let is_first = self.failure.keep(&error);
        self.failure.announce();
        let mut wakes = Vec::new();
        {
            let mut st = self.state();
            st.wait.take_all(&mut wakes);
            self.groups.end(true);
        }
        if is_first {
            #[cfg(feature = "tracing")]
            tracing::error!(error = %error.chain(), "write-ahead log poisoned");
            self.emit(&Event::Poisoned { error: error.clone() });
        }
        wake_all(&mut wakes, Outcome::Failed);
        error
    }
}

/// Poisons the log if a storage, a strategy or an assertion panics: nobody knows what was done, and nobody may wait
/// forever. Declare it before taking any lock, so that it is dropped after the locks.
pub(super) struct PanicGuard<'a> {
    engine: &'a Engine,
    /// Whether a panic that is seen at the end began after the guard was made. An append in the `Drop` of something
    /// that a panic of the caller takes down is none of the log's.
    is_ours: bool,
}

impl<'a> PanicGuard<'a> {
    pub(super) fn of(engine: &'a Engine) -> Self {
        Self { engine, is_ours: !std::thread::panicking() }
    }
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if self.is_ours && std::thread::panicking() {
            self.engine.fail(
                Error::new(ErrorKind::Poisoned, "run")
                    .with_detail("a panic in the storage, in the strategy or in the log itself"),
            );
        }
    }
}

/// What callers of a closed log are told.
pub(super) fn closed(op: &'static str) -> Error {
    Error::new(ErrorKind::Closed, op).with_detail("the log was closed")
}
