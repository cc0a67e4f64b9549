//! `Fence`: whether a log is still its opener's.
//!
//! A lock keeps a second writer away. It may fail: somebody removes the lock's file, a file system grants every lock,
//! a program opens a log and forks. So each opening of a log is an *owner*, and the storage knows who came last. Two
//! rules together keep what was acknowledged:
//!
//! - Who opens a log becomes its owner **before** it reads the log.
//! - Who writes a log syncs, **then** looks whether it is still the owner, and only then acknowledges.
//!
//! If the look says yes, the next owner had not begun to read when the records were durable. So it reads them. The
//! rules are those of fencing tokens in distributed logs (Delos calls the first one *seal*: once a log is sealed, no
//! append of an older owner is acknowledged).

use crate::format::Owner;
use crate::{Io, Lsn, Result};

/// What a look says of a log that is still its owner's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// Whether the segment has another name as well, such as in a backup made of hard links. What is appended to it
    /// from now on appears under that name, too. The engine begins a new segment.
    pub linked_elsewhere: bool,
}

impl Standing {
    /// The log is its owner's, and its segment has one name.
    pub const SOLE: Standing = Standing { linked_elsewhere: false };

    /// Sets [`linked_elsewhere`](Self::linked_elsewhere).
    #[must_use]
    pub const fn linked_elsewhere(mut self, elsewhere: bool) -> Self {
        self.linked_elsewhere = elsewhere;
        self
    }
}

/// Tells the owner of a log whether the log is still its own.
///
/// A storage hands it over with its [lock](crate::LogStorage::lock).
pub trait Fence: Send + Sync + 'static {
    /// Looks whether the log is still this owner's, and whether `segment`, the one that it writes, is still there.
    ///
    /// - **On `Ok`**: when the call began, no later owner had begun to read the log.
    /// - **On `Err`**: [`LostOwnership`](crate::ErrorKind::LostOwnership) if a later owner has the log, if the lock or the
    ///   segment is gone or is another one, or if the process is another one. Any other error says that nobody knows:
    ///   the engine treats it in the same way.
    /// - **If cancelled**: nothing changed.
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none. It is called after the sync whose records are to be acknowledged.
    fn check(&self, segment: Option<Lsn>) -> Io<'_, Standing>;

    /// Looks only whether this is the process that took the lock; before each write. It should cost next to nothing.
    ///
    /// # Errors
    /// `LostOwnership` in a process that was forked from the one that took the lock.
    fn check_process(&self) -> Result<()>;

    /// Becomes the owner once more, with an epoch above `epoch`: a segment tells of one that the storage had forgotten.
    ///
    /// - **On `Ok`**: the new owner. The log has to be read again.
    /// - **On `Err`**: as for [`check`](Self::check).
    /// - **If cancelled**: the epoch may have risen.
    /// - **Concurrency**: one call at a time, before the log is written to.
    /// - **Durability**: none needed: after a crash no earlier owner lives.
    fn raise(&self, epoch: u64) -> Io<'_, Owner>;
}

/// The fence of a storage that has none: its lock cannot fail.
pub(super) struct Unfenced(pub(super) Owner);

impl Fence for Unfenced {
    fn check(&self, _: Option<Lsn>) -> Io<'_, Standing> {
        Io::ready(Ok(Standing::SOLE))
    }

    fn check_process(&self) -> Result<()> {
        Ok(())
    }

    fn raise(&self, epoch: u64) -> Io<'_, Owner> {
        Io::ready(Ok(Owner { epoch: epoch.saturating_add(1), ..self.0 }))
    }
}
