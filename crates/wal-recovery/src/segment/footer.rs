//! Reading the footer at the end of a sealed segment.

use wal_core::format::{
    FOOTER_TRAILER_LEN, FRAME_HEADER_LEN, Flags, Footer, FrameHeader, FrameKind, Salt,
    SegmentHeader, SegmentSummary,
};
use wal_core::{Result, Segment};

/// A footer frame's bytes apart from its index: header, fixed fields, trailer.
const BARE_LEN: u64 = FRAME_HEADER_LEN as u64 + 28 + FOOTER_TRAILER_LEN as u64;

/// The longest footer that a segment of `len` bytes can have; bounds what is allocated.
pub(crate) const fn longest(len: u64) -> u64 {
    BARE_LEN + 8 * (len / SegmentSummary::INDEX_STEP + 1)
}

/// Whether a body can be that of a footer in a segment of `segment_len` bytes.
pub(crate) fn plausible_body(body_len: u32, segment_len: u64) -> bool {
    let frame_len = FRAME_HEADER_LEN as u64 + body_len as u64;
    frame_len >= BARE_LEN
        && frame_len <= longest(segment_len)
        && (frame_len - BARE_LEN).is_multiple_of(8)
}

/// The footer that ends exactly at `len`, the segment's length; `None` if there is no valid one.
///
/// Costs two reads, however long the segment is.
///
/// # Errors
/// Only if the storage cannot deliver the bytes.
pub(crate) fn read(
    segment: &dyn Segment,
    header: &SegmentHeader,
    len: u64,
) -> Result<Option<Footer>> {
    let data_offset = u64::from(header.data_offset);
    let Some(trailer_at) =
        len.checked_sub(FOOTER_TRAILER_LEN as u64).filter(|&at| at >= data_offset)
    else {
        return Ok(None);
    };
    let trailer = segment.read_at(trailer_at, FOOTER_TRAILER_LEN).wait()?;
    let Some(frame_len) = Footer::frame_len(&trailer).map(u64::from) else { return Ok(None) };
    let Some(at) = len.checked_sub(frame_len).filter(|&at| at >= data_offset) else {
        return Ok(None);
    };
    if frame_len < BARE_LEN || frame_len > longest(len) {
        return Ok(None);
    }
    let bytes = segment.read_at(at, frame_len as usize).wait()?;
    if bytes.len() as u64 != frame_len {
        return Ok(None);
    }
    let frame = FrameHeader::decode(&bytes);
    let body = &bytes[FRAME_HEADER_LEN..];
    let salt = Salt::new(header.log_id, header.generation);
    let holds = frame.kind == FrameKind::Footer as u8
        && frame.flags == Flags::default()
        && frame.frame_len() == frame_len
        && frame.crc == FrameHeader::expected_crc(&bytes, crc32c::crc32c(body), salt);
    Ok(if holds { Footer::decode(&frame, body, at, header).ok() } else { None })
}

/// Why a footer does not fit the frames that were counted.
pub(crate) fn difference(says: &SegmentSummary, found: &SegmentSummary) -> Option<String> {
    let differs = |what, says: u64, found: u64| {
        (says != found).then(|| format!("the footer says {what} {says}, found was {found}"))
    };
    differs("records", says.records.into(), found.records.into())
        .or_else(|| differs("frames", says.frames.into(), found.frames.into()))
        .or_else(|| differs("data end", says.data_end, found.data_end))
        .or_else(|| differs("chain checksum", says.chain_crc.into(), found.chain_crc.into()))
        .or_else(|| differs("last time", says.last_time_delta, found.last_time_delta))
        .or_else(|| differs("index entries", says.index.len() as u64, found.index.len() as u64))
        .or_else(|| {
            let at = says.index.iter().zip(&found.index).position(|(a, b)| a != b)?;
            let (a, b) = (says.index[at], found.index[at]);
            Some(format!(
                "index entry {at} of the footer says LSN delta {} at offset {}, found was {} at {}",
                a.lsn_delta, a.offset, b.lsn_delta, b.offset
            ))
        })
}
