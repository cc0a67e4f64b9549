//! The end of a segment: what is behind the frames is cut off, and a footer is written there.
//!
//! Nothing else is ever written to a segment that exists. So no power loss in a recovery can take a
//! frame with it.

use std::sync::Arc;

use wal_core::format::{Footer, Salt, SegmentHeader, SegmentSummary};
use wal_core::{Result, Segment, WriteMode};

/// Cuts off whatever is behind the last frame, and seals the segment.
///
/// The frames must be durable. So must the cut be before the footer is: whoever finds the footer does
/// not look at what is in front of it.
pub(crate) fn seal(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    summary: &SegmentSummary,
) -> Result<()> {
    shorten(segment, summary.data_end)?;
    write_footer(segment, header, summary)
}

/// Writes the footer behind durable frames, and makes it durable.
pub(crate) fn write_footer(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    summary: &SegmentSummary,
) -> Result<()> {
    let salt = Salt::new(header.log_id, header.generation);
    let footer = Footer { summary: summary.clone() }.encode(salt);
    let end = summary.data_end + footer.len() as u64;
    segment.write_at(summary.data_end, footer, WriteMode::Cached).wait()?;
    shorten(segment, end)
}

/// Cuts a segment to `len` bytes, durably.
pub(crate) fn shorten(segment: &Arc<dyn Segment>, len: u64) -> Result<()> {
    segment.truncate(len).wait()?;
    segment.sync().wait()
}
