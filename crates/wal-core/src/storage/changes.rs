//! How a reader that waits is told that it is worth to look.

use std::time::Duration;

/// Tells a reader, which waits, that something in a storage may have changed. Made by
/// [`LogStorage::changes`](super::LogStorage::changes).
///
/// # Contract
/// It only saves time. A reader looks now and then in any case, so a change of which nothing is told delays a reader, and
/// does no more. What is told of must not cost a reader anything while nothing changes.
///
/// ```
/// use std::time::Duration;
/// use wal_core::{Changes, LogStorage, MemoryStorage};
/// // Memory tells of nothing: who waits for it looks now and then.
/// assert!(MemoryStorage::new().changes().is_none());
/// ```
pub trait Changes: Send + Sync {
    /// Waits until something may have changed since this was made, or since the last call returned, but no longer than
    /// `limit`. May return early.
    ///
    /// What changed between two calls is not lost: the second one returns at once. So who looks after each call, and
    /// once before the first one, misses nothing that is told of.
    fn wait(&mut self, limit: Duration);
}
