//! The storage's reserve: for truncating and for closing on a full disk, and for nothing else.

use super::super::Engine;
use crate::{Event, LogStorage};

/// The reserve is open as long as this lives.
pub(super) struct OpenReserve<'a>(&'a dyn LogStorage);

impl Drop for OpenReserve<'_> {
    fn drop(&mut self) {
        self.0.open_reserve(false);
    }
}

impl Engine {
    /// Opens the reserve. Called with the writer locked: nobody appends meanwhile.
    pub(super) fn open_reserve(&self) -> OpenReserve<'_> {
        self.storage.open_reserve(true);
        OpenReserve(&*self.storage)
    }

    /// Fills the reserve for segments of this size (0: as large as it was), which costs nothing while it is full. The log
    /// goes on without.
    pub(super) fn keep_reserve(&self, segment_size: u64) {
        if let Err(error) = self.storage.fill_reserve(segment_size).wait() {
            self.emit(&Event::ReserveNotFilled { error });
        }
    }
}
