//! The storage's reserve: for truncating and for closing on a full disk, and for nothing else.

use super::super::Engine;
use super::segment_writer::SegmentWriter;
use crate::{Event, OpenReserve};

impl Engine {
    /// Opens the reserve. Called with the writer locked: nobody appends meanwhile.
    pub(super) fn open_reserve(&self) -> OpenReserve<'_> {
        OpenReserve::of(&*self.storage)
    }

    /// Fills the reserve for segments of this size (0: as large as it was), which costs nothing while it is full. The log
    /// goes on without. For who has the writer's lock: one call at a time.
    pub(super) fn keep_reserve(&self, _: &SegmentWriter, segment_size: u64) {
        if let Err(error) = self.storage.fill_reserve(segment_size).wait() {
            self.emit(&Event::ReserveNotFilled { error });
        }
    }
}
