//! What is known of all streams when a log is opened: learned from the whole log, or left by a clean close.

use crate::id::StreamId;
use crate::positions::{Positions, Standing};

/// Each stream, and how many bytes of frames the shared log holds.
#[derive(Debug)]
pub(crate) struct Inventory {
    pub(crate) streams: Vec<(StreamId, Positions)>,
    pub(crate) bytes: u64,
}

impl Inventory {
    pub(crate) fn standings(&self) -> Vec<Standing> {
        self.streams.iter().map(|(id, positions)| positions.standing(*id)).collect()
    }
}
