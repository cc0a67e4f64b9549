//! Which process this is, asked before every write, so that it costs next to nothing.
//!
//! A system call would cost as much as the write. So the number is kept, and a handler that the C library runs in every
//! forked process forgets it. A process that was made without the C library is found out by [`ask`], which the fence
//! calls behind a sync.

use std::sync::atomic::{AtomicU32, Ordering};

/// The process, by the system's number for it; 0 if it is to be asked for.
static KNOWN: AtomicU32 = AtomicU32::new(0);

/// This process.
#[inline]
pub(super) fn current() -> u32 {
    match KNOWN.load(Ordering::Relaxed) {
        0 => learn(),
        known => known,
    }
}

/// This process, as the system says it.
pub(super) fn ask() -> u32 {
    std::process::id()
}

#[cold]
fn learn() -> u32 {
    fork::watch();
    let this = ask();
    KNOWN.store(this, Ordering::Relaxed);
    this
}

#[cfg(unix)]
mod fork {
    use std::sync::Once;
    use std::sync::atomic::Ordering;

    #[expect(unsafe_code, reason = "the C library has the only way to notice a fork")]
    // SAFETY: POSIX declares the function so.
    unsafe extern "C" {
        fn pthread_atfork(
            prepare: Option<extern "C" fn()>,
            parent: Option<extern "C" fn()>,
            child: Option<extern "C" fn()>,
        ) -> std::ffi::c_int;
    }

    extern "C" fn in_child() {
        super::KNOWN.store(0, Ordering::Relaxed);
    }

    /// Has the number forgotten in every process that is forked from this one.
    pub(super) fn watch() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: the function has this signature in POSIX. What it is given lives as long as the program,
            // and what it runs in the child stores to an atomic, which is allowed there. If it fails, for want of
            // memory, `ask` finds a fork out.
            #[expect(unsafe_code, reason = "there is no safe call for it")]
            unsafe {
                pthread_atfork(None, None, Some(in_child));
            }
        });
    }
}

/// Where processes cannot be forked.
#[cfg(not(unix))]
mod fork {
    pub(super) fn watch() {}
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_known_is_what_the_system_says() {
        assert_eq!((super::current(), super::current()), (super::ask(), std::process::id()));
    }
}
