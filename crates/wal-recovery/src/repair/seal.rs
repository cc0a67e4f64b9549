//! The end of a segment: what is behind the frames is cut off, and a footer is written there.
//!
//! Nothing else is ever written to a segment that exists. So no power loss in a recovery can take a
//! frame with it.

use wal_core::format::{self, Footer, SegmentHeader};
use wal_core::{Result, Segment};

/// Cuts off whatever is behind the last frame, and seals the segment.
///
/// The frames must be durable. So must the cut be before the footer is: a reader that finds the footer does
/// not look at what is in front of it.
pub(crate) fn seal(segment: &dyn Segment, header: &SegmentHeader, footer: &Footer) -> Result<()> {
    format::shorten(segment, footer.summary.data_end)?;
    write_footer(segment, header, footer)
}

/// Writes the footer behind durable frames, and makes it durable.
pub(crate) fn write_footer(
    segment: &dyn Segment,
    header: &SegmentHeader,
    footer: &Footer,
) -> Result<()> {
    format::write_footer(segment, header.salt(), footer).map(drop)
}
