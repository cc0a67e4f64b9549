//! The end of a segment, written: its footer, with nothing behind it.
//!
//! The one place in this folder that does something to a segment, so that the order of the steps is
//! known once.

use super::{Footer, Salt, SegmentSummary};
use crate::{Result, Segment, WriteMode};

/// Writes the footer behind frames that are durable, cuts off what is behind it, and makes both
/// durable. The length that the segment has then.
///
/// The frames must be durable *before* this is called: a reader that finds the footer believes it
/// without looking at them.
///
/// # Errors
/// The storage's.
pub fn write_footer(segment: &dyn Segment, salt: Salt, summary: &SegmentSummary) -> Result<u64> {
    let footer = Footer { summary: summary.clone() }.encode(salt);
    let end = summary.data_end + footer.len() as u64;
    segment.write_at(summary.data_end, footer, WriteMode::Cached).wait()?;
    shorten(segment, end)?;
    Ok(end)
}

/// Cuts a segment to `len` bytes, durably.
///
/// # Errors
/// The storage's.
pub fn shorten(segment: &dyn Segment, len: u64) -> Result<()> {
    segment.truncate(len).wait()?;
    segment.sync().wait()
}
