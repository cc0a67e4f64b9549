//! `AllocationWatch`: an allocator that counts, for the promise that decoding allocates little.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which also counts the bytes that each thread asked for.
///
/// A program has one global allocator, so the kit cannot bring its own: a test binary that wants
/// [`a_short_input_allocates_little`](super::codec::a_short_input_allocates_little) to run installs
/// this one.
///
/// ```
/// use wal_testkit::conformance::AllocationWatch;
///
/// #[global_allocator]
/// static ALLOCATOR: AllocationWatch = AllocationWatch;
///
/// let (bytes, buffer) = AllocationWatch::count(|| vec![0_u8; 1000]);
/// assert_eq!((bytes, buffer.len()), (Some(1000), 1000));
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
pub struct AllocationWatch;

thread_local! {
    static ALLOCATED: Cell<u64> = const { Cell::new(0) };
}

impl AllocationWatch {
    /// Runs `work`, and says how many bytes it asked for on this thread; `None` if this is not the
    /// program's allocator.
    pub fn count<T>(work: impl FnOnce() -> T) -> (Option<u64>, T) {
        let probe = ALLOCATED.get();
        drop(std::hint::black_box(Box::new(0_u64)));
        let start = ALLOCATED.get();
        let outcome = work();
        let allocated = ALLOCATED.get() - start;
        ((start != probe).then_some(allocated), outcome)
    }
}

/// Counts; not while a thread ends, whose counter may be gone by then.
fn note(bytes: usize) {
    let _ = ALLOCATED.try_with(|sum| sum.set(sum.get() + bytes as u64));
}

// SAFETY: every call is passed on to `System` unchanged, which keeps the contract of `GlobalAlloc`.
// The counter neither allocates nor unwinds.
#[expect(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for AllocationWatch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size.saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
