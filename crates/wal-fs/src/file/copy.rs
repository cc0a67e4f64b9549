//! A segment copied by sharing the blocks of its file, where the file system can.
//!
//! Only a whole file is shared. One that is being written has bytes behind its last frame, and is copied in pieces: the
//! writer would otherwise have to be given new blocks for what it overwrites next.

use wal_core::{Copied, Lsn, Publish, Result, Segment, StagedSegment};

use super::{FileStorage, as_it_is};
use crate::os::FileSystem;

/// Copies a segment of `len` bytes by sharing; `None` if it is to be copied in pieces.
pub(super) fn share<F: FileSystem>(
    storage: &FileStorage<F>,
    name: Lsn,
    source: &dyn Segment,
    len: u64,
) -> Result<Option<Copied>> {
    let Some(file) = source.backing() else { return Ok(None) };
    if source.len().wait()? != len {
        return Ok(None);
    }
    let mut staged = storage.stage_segment(name, len, as_it_is)?;
    // Whatever was wrong: copying in pieces works, or says what is.
    if !staged.share_blocks_of(file, len) {
        return Ok(None);
    }
    Box::new(staged).publish(Publish::New).wait()?;
    Ok(Some(Copied::new(len).shared(len)))
}
