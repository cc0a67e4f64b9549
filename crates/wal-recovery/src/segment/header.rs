//! The header of a segment, held against what follows it.
//!
//! A header whose `data_offset` is wrong makes a segment that holds records look empty, and an empty
//! last segment is replaced. So the field is compared with the segment: a segment appears with
//! everything in front of its first frame, hence it is at least `data_offset` long, and no frame is in
//! front of that place. Other bytes there belong to nobody: a bit of them that flips costs nothing.

use std::sync::Arc;

use wal_core::format::{SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{Access, Error, ErrorKind, LogStorage, Lsn, Result, Segment};

use crate::segment::search::{Place, Want, search};
use crate::watch::Watch;

/// The smallest alignment that a storage asks for on account of its device.
const BLOCK: u64 = 512;

/// A segment that was opened for its header.
pub(crate) struct Opened {
    pub(crate) segment: Arc<dyn Segment>,
    pub(crate) len: u64,
    /// The error says why it cannot be believed.
    pub(crate) header: Result<SegmentHeader>,
    /// Whether it is of this build's version but for the version itself.
    damaged_version: bool,
}

impl Opened {
    pub(crate) fn has_damaged_version(&self) -> bool {
        self.damaged_version
    }

    /// The header; who `repairs` takes a damaged version for damage, which it is, and not for another version, with
    /// which nothing could be done.
    pub(crate) fn header(self, repairs: bool) -> Result<SegmentHeader> {
        self.header.map_err(|error| {
            if !(repairs && self.damaged_version) {
                return error;
            }
            let detail = error.detail().to_owned();
            Error::new(ErrorKind::Corrupt, "read segment header")
                .with_segment(error.segment().unwrap_or_default())
                .with_offset(error.offset().unwrap_or(0))
                .with_detail(detail)
        })
    }
}

/// Where the first frame is.
pub(crate) enum FirstFrame {
    /// Nowhere in front of the place that the header names.
    WhereItSays,
    /// Somewhere else: the header is damaged.
    Elsewhere(Error),
}

/// Reads the header of a segment.
///
/// # Errors
/// Only if the storage cannot deliver the bytes.
pub(crate) fn read(storage: &dyn LogStorage, name: Lsn) -> Result<Opened> {
    let at = |e: Error| e.with_segment(name);
    let segment = storage.open(name, Access::Read).wait().map_err(at)?;
    let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait().map_err(at)?;
    let len = segment.len().wait().map_err(at)?;
    let header = match SegmentHeader::decode(&bytes, name) {
        Ok(header) => match first_frame(&segment, &header, len).map_err(at)? {
            FirstFrame::WhereItSays => Ok(header),
            FirstFrame::Elsewhere(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let damaged_version = SegmentHeader::has_damaged_version(&bytes);
    Ok(Opened { segment, len, header, damaged_version })
}

/// Compares a header's `data_offset` with the segment.
///
/// # Errors
/// Only if the storage cannot deliver the bytes.
pub(crate) fn first_frame(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    len: u64,
) -> Result<FirstFrame> {
    let data_offset = u64::from(header.data_offset);
    let wrong = |detail| {
        let error = Error::new(ErrorKind::Corrupt, "read segment header");
        Ok(FirstFrame::Elsewhere(
            error.with_segment(header.first_lsn).with_offset(12).with_detail(detail),
        ))
    };
    if data_offset > len {
        return wrong(format!("data offset {data_offset}, but the segment has {len} bytes"));
    }
    let offset = SEGMENT_HEADER_LEN as u64;
    if data_offset == offset {
        return Ok(FirstFrame::WhereItSays);
    }
    let between = segment.read_at(offset, (data_offset - offset) as usize).wait()?;
    // Zeros alone are not enough: a frame that begins in the last of these bytes may begin with zeros.
    // It would have to begin right before a block, which is where alignments put frames.
    if data_offset.is_multiple_of(BLOCK) && between.iter().all(|&byte| byte == 0) {
        return Ok(FirstFrame::WhereItSays);
    }
    let place = Place { segment, header, offset, len, records: 0 };
    match search(&place, Want::Any, &Watch::idle())?.hit {
        Some(hit) if hit.offset < data_offset => {
            wrong(format!("data offset {data_offset}, but a frame is at {}", hit.offset))
        }
        _ => Ok(FirstFrame::WhereItSays),
    }
}
