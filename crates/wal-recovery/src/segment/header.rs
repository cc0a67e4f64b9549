//! What is between a segment's header and its first frame: nothing that matters, and all of it.
//!
//! A header whose `data_offset` is wrong makes a segment that holds records look empty, and an empty
//! last segment is replaced. So the place is compared with the field: a segment appears with all its
//! padding, hence it is at least `data_offset` long, and no frame is in front of it. Other bytes there
//! are nobody's: a flipped bit of the padding costs nothing.

use std::sync::Arc;

use wal_core::format::{SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{Error, ErrorKind, Result, Segment};

use crate::segment::search::{Place, Want, search};
use crate::watch::Watch;

/// The smallest alignment that a storage asks for on account of its device.
const BLOCK: u64 = 512;

/// Compares a header's `data_offset` with the segment; the inner error is damage.
///
/// # Errors
/// Only if the storage cannot deliver the bytes.
pub(crate) fn check(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    len: u64,
) -> Result<Result<()>> {
    let data_offset = u64::from(header.data_offset);
    let wrong = |at, detail| {
        let error = Error::new(ErrorKind::Corrupt, "read segment header");
        Ok(Err(error.segment(header.first_lsn).offset(at).detail(detail)))
    };
    if data_offset > len {
        return wrong(12, format!("data offset {data_offset}, but the segment has {len} bytes"));
    }
    let offset = SEGMENT_HEADER_LEN as u64;
    if data_offset == offset {
        return Ok(Ok(()));
    }
    let padding = segment.read_at(offset, (data_offset - offset) as usize).wait()?;
    // Zeros alone are not enough: a frame that begins in the last bytes of the padding may begin with
    // zeros. It would have to begin right before a block, which is where alignments put frames.
    if data_offset.is_multiple_of(BLOCK) && padding.iter().all(|&byte| byte == 0) {
        return Ok(Ok(()));
    }
    let place = Place { segment, header, offset, len, records: 0, time_delta: 0 };
    match search(&place, Want::Any, &Watch::idle())?.hit {
        Some(hit) if hit.offset < data_offset => {
            wrong(12, format!("data offset {data_offset}, but a frame is at {}", hit.offset))
        }
        _ => Ok(Ok(())),
    }
}
