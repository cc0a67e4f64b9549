//! What a footer may be, and how it differs from what was found.

use wal_core::format::{
    FRAME_HEADER_LEN, Footer, FrameHeader, SegmentHeader, SegmentSummary, read_footer,
};
use wal_core::{ErrorKind, Result, Segment};

/// The footer at the end of a segment, if there is a valid one that this build understands. One that it does not is
/// found by whoever reads up to it.
pub(crate) fn find(
    segment: &dyn Segment,
    header: &SegmentHeader,
    len: u64,
) -> Result<Option<Footer>> {
    match read_footer(segment, header, len) {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        footer => footer,
    }
}

/// Whether a frame of this kind, whose checksum is right, is the end of a segment; also if only a newer build knows
/// what else it says.
pub(crate) fn is_one(
    frame: &FrameHeader,
    body: &[u8],
    offset: u64,
    segment: &SegmentHeader,
) -> bool {
    Footer::decode(frame, body, offset, segment)
        .map_or_else(|error| error.kind() == ErrorKind::Unsupported, |_| true)
}

/// Whether a body can be that of a footer in a segment of `segment_len` bytes.
pub(crate) fn plausible_body(body_len: u32, segment_len: u64) -> bool {
    Footer::may_have_len(FRAME_HEADER_LEN as u64 + u64::from(body_len), segment_len)
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
        .or_else(|| {
            let times =
                |summary: &SegmentSummary| (summary.last_time, summary.min_time, summary.max_time);
            let (says, found) = (times(says), times(found));
            (says != found).then(|| format!("the footer says times {says:?}, found were {found:?}"))
        })
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
