//! How much memory a recovery may use, and how that is shared out.
//!
//! What grows with a log is read and written in pieces whose sizes follow from the limit. What cannot be divided is
//! one frame: it was in the memory of its writer as a whole, and is in that of its reader. So half of the limit is
//! for the frames that are held at once, one for each thread; the rest is for pieces.

use std::sync::atomic::{AtomicUsize, Ordering};

use wal_core::{Error, ErrorKind, Result};

/// A limit, and by how many threads it is used.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: u64,
    readers: AtomicUsize,
}

impl Memory {
    /// The limit if none is chosen, in bytes.
    pub(crate) const DEFAULT: u64 = 256 << 20;
    /// The least that can be chosen.
    pub(crate) const LEAST: u64 = 1 << 20;
    /// For each thread at least so much.
    const SHARE: u64 = 4 << 20;

    pub(crate) fn new(limit: u64) -> Self {
        Memory { limit, readers: AtomicUsize::new(1) }
    }

    /// # Errors
    /// `Invalid`, of the operation `op`.
    pub(crate) fn validate(limit: u64, op: &'static str) -> Result<()> {
        if limit >= Self::LEAST {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, op).with_detail(format!(
            "the memory limit is {limit} bytes, at least {} are allowed",
            Self::LEAST
        )))
    }

    /// As many threads as may read at once, of those that are wanted.
    pub(crate) fn threads(&self, wanted: usize) -> usize {
        let most = usize::try_from(self.limit / Self::SHARE).unwrap_or(usize::MAX);
        wanted.min(most).max(1)
    }

    /// From now on so many threads read at once.
    pub(crate) fn share_among(&self, readers: usize) {
        self.readers.store(readers.max(1), Ordering::Relaxed);
    }

    /// The largest frame that a thread may hold, in bytes.
    pub(crate) fn frame(&self) -> u64 {
        self.limit / 2 / self.readers.load(Ordering::Relaxed) as u64
    }

    /// How many bytes a thread reads at once, of those that it would like to.
    pub(crate) fn window(&self, wanted: usize) -> usize {
        let share = self.limit / self.readers.load(Ordering::Relaxed) as u64;
        wanted.min(usize::try_from(share / 8).unwrap_or(usize::MAX)).max(4 << 10)
    }

    /// A new segment is written in pieces of so many bytes.
    pub(crate) fn piece(&self) -> usize {
        (self.limit / 2048).clamp(1 << 10, 1 << 20) as usize
    }

    /// A copy of what is taken out is made in pieces of so many bytes, each with a name of its own.
    pub(crate) fn copy(&self) -> u64 {
        (self.limit / 4).min(16 << 20)
    }

    /// So many things of a size may be remembered: a quarter of the limit.
    pub(crate) fn count_of(&self, bytes: usize) -> usize {
        usize::try_from(self.limit / 4).unwrap_or(usize::MAX) / bytes.max(1)
    }

    /// Says of an error that it comes of this limit, and what to raise.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::OutOfMemory {
            return error;
        }
        let detail = format!(
            "{}; the memory limit is {} bytes: raise it (`Recovery::memory_limit`, \
             `Inspect::memory_limit`, `wal --memory-limit`)",
            error.detail(),
            self.limit
        );
        error.with_detail(detail)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new(Self::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_at_once_stays_below_the_limit() {
        for limit in [Memory::LEAST, 3 << 20, 64 << 20, Memory::DEFAULT, 1 << 40] {
            let memory = Memory::new(limit);
            let threads = memory.threads(8);
            memory.share_among(threads);
            // A frame, and a window of the walk and two of the search.
            let each = memory.frame() + 3 * memory.window(1 << 20) as u64;
            assert!(each * threads as u64 <= limit, "{limit}");
            memory.share_among(1);
            // A frame, a window, a piece that is read, and one that is written.
            let repair = memory.frame() + 2 * memory.window(1 << 20) as u64 + memory.piece() as u64;
            assert!(repair <= limit && memory.copy() + memory.frame() <= limit, "{limit}");
        }
        assert_eq!(Memory::new(Memory::LEAST).threads(8), 1);
    }
}
