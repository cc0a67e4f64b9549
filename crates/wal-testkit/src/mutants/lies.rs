//! What a file system can lie about.

/// The one point in which a [`Lying`](super::file_system::Lying) file system is not honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// A directory is not synced after another was created in it.
    DirSyncAfterCreate,
    /// A directory is not synced after a rename in it.
    DirSyncAfterRename,
    /// A file is not synced before it gets its name.
    SyncBeforeRename,
    /// No data is synced.
    DataSync,
    /// Of two syncs of data, one is made.
    EverySecondSync,
    /// Errors of syncs are not reported.
    SyncError,
    /// A failed sync is made again, and believed.
    SyncRetry,
    /// What is written through stays in the cache.
    WriteThrough,
    /// Errors of writes are not reported.
    WriteError,
    /// A short write is taken for a whole one.
    ShortWrite,
    /// An interrupted write is taken for one that was made.
    Interrupt,
    /// Writes begin at multiples of eight bytes.
    Offset,
    /// A write waits in the process's memory for the next call.
    LateWrite,
    /// A failed read is taken for the end of the file.
    ReadError,
    /// Behind the first thousand bytes, reads give zeros.
    ReadZeros,
    /// Everybody gets the lock.
    Lock,
    /// A directory's listing ends after this many names.
    Listing(usize),
}
