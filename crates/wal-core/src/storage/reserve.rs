//! The reserve, open for a while.

use std::fmt;

use super::LogStorage;

/// The [reserve](LogStorage::open_reserve) of a storage is open as long as this lives.
///
/// ```
/// use wal_core::{LogStorage, MemoryStorage, OpenReserve};
/// let storage = MemoryStorage::new();
/// let open = OpenReserve::of(&storage);
/// // Recover, truncate or close: what the disk has no room for comes out of the reserve.
/// drop(open);
/// ```
#[must_use = "it is closed when this is dropped"]
pub struct OpenReserve<'a>(&'a dyn LogStorage);

impl<'a> OpenReserve<'a> {
    /// Opens it. The caller is the writer: nobody appends meanwhile.
    pub fn of(storage: &'a dyn LogStorage) -> Self {
        storage.open_reserve(true);
        OpenReserve(storage)
    }
}

impl Drop for OpenReserve<'_> {
    fn drop(&mut self) {
        self.0.open_reserve(false);
    }
}

impl fmt::Debug for OpenReserve<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenReserve({})", self.0.describe())
    }
}
