//! The end of a segment, written and read: its footer, with nothing behind it.
//!
//! The one place in this folder that does something to a segment, so that the order of the steps is
//! known once.

use super::{
    FOOTER_TRAILER_LEN, FRAME_HEADER_LEN, Flags, Footer, FrameHeader, FrameKind, Salt,
    SegmentHeader,
};
use crate::{ErrorKind, Result, Segment, WriteMode};

/// Writes the footer behind frames that are durable, cuts off what is behind it, and makes both
/// durable. The length that the segment has then.
///
/// The frames must be durable *before* this is called: a reader that finds the footer believes it
/// without looking at them.
///
/// # Errors
/// The storage's.
pub fn write_footer(segment: &dyn Segment, salt: Salt, footer: &Footer) -> Result<u64> {
    let at = footer.summary.data_end;
    let bytes = footer.encode(salt);
    let end = at + bytes.len() as u64;
    segment.write_at(at, bytes, WriteMode::Cached).wait()?;
    shorten(segment, end)?;
    Ok(end)
}

/// The footer that ends exactly at `len`, the segment's length; `None` if there is no valid one.
///
/// Costs two reads, however long the segment is.
///
/// # Errors
/// `Unsupported` if it says what only a newer build knows; otherwise only if the storage cannot deliver the bytes.
pub fn read_footer(
    segment: &dyn Segment,
    header: &SegmentHeader,
    len: u64,
) -> Result<Option<Footer>> {
    let data_offset = u64::from(header.data_offset);
    let behind_header = |behind: u64| len.checked_sub(behind).filter(|&at| at >= data_offset);
    let Some(trailer_at) = behind_header(FOOTER_TRAILER_LEN as u64) else { return Ok(None) };
    let trailer = segment.read_at(trailer_at, FOOTER_TRAILER_LEN).wait()?;
    let Some(frame_len) = Footer::frame_len(&trailer).map(u64::from) else { return Ok(None) };
    let Some(at) = behind_header(frame_len) else { return Ok(None) };
    if !Footer::may_have_len(frame_len, len) {
        return Ok(None);
    }
    let bytes = segment.read_at(at, frame_len as usize).wait()?;
    if bytes.len() as u64 != frame_len {
        return Ok(None);
    }
    let frame = FrameHeader::decode(&bytes);
    let body = &bytes[FRAME_HEADER_LEN..];
    let salt = header.salt();
    let holds = frame.kind == FrameKind::Footer as u8
        && frame.flags == Flags::default()
        && frame.frame_len() == frame_len
        && frame.crc == FrameHeader::expected_crc(&bytes, crc32c::crc32c(body), salt);
    if !holds {
        return Ok(None);
    }
    match Footer::decode(&frame, body, at, header) {
        Ok(footer) => Ok(Some(footer)),
        Err(error) if error.kind() == ErrorKind::Unsupported => Err(error),
        Err(_) => Ok(None),
    }
}

/// Cuts a segment to `len` bytes, durably.
///
/// # Errors
/// The storage's.
pub fn shorten(segment: &dyn Segment, len: u64) -> Result<()> {
    segment.truncate(len).wait()?;
    segment.sync().wait()
}
