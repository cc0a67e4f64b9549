//! Moving the end of a log that nothing proves durable to where it is durable.
//!
//! Bytes that can be read need not be on the disk: after a sync that failed, the operating system may
//! show what no later sync would write. So every frame behind the last proof is written again. Not
//! where it stands: it may be durable after all, and acknowledged, and a power loss may turn the sector
//! under the write into garbage. Instead these frames become a segment of their own, which appears in
//! one step with all that it holds, footer included, and which follows the last record in front of
//! them. By that they are void where they were, and [`settle`](crate::repair::settle) cuts them off there.
//!
//! A crash leaves the old segment alone, or both: then the old one has no footer, or the beginnings of
//! one, in front of a segment that was created at the same time. [`moved_behind`] tells it by that.
//!
//! Padding is not moved: where the storage asks for it, the new segment gets its own in front of its footer.
//! In the old one it stays behind the last frame that is kept, so that the footer there begins in a block
//! without records.
//!
//! Memory: what is moved is held at once, at most the records of one segment.

use std::sync::Arc;

use wal_core::format::{SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{
    Access, Error, ErrorKind, Frame, FrameReader, FrameStep, Lsn, Result, Segment, block_on,
};

use crate::repair::Repair;
use crate::repair::new_segment::Image;
use crate::repair::settle;
use crate::scan::scanner::{Live, Scan};
use crate::segment::walk::{End, Walk};

/// Moves all frames of the newest segment that hold records behind what is proven durable; whether
/// there were any. The scan is out of date then. The new segment takes the next generation.
///
/// # Errors
/// The storage's; `Io` if the frames are not what they were when they were scanned.
pub(crate) fn move_unproven(scan: &Scan, repair: &mut Repair<'_>) -> Result<bool> {
    let newest = scan.newest();
    let Live { header, walk, .. } = newest;
    if walk.is_proven(header) {
        return Ok(false);
    }
    let name = header.first_lsn;
    let at = |e: Error| e.segment(name);
    // What is behind the frames goes with the old segment.
    if let End::Torn { extent, .. } = &walk.end {
        settle::note_cut(newest, *extent, repair).map_err(at)?;
    }
    let segment = repair.storage.open(name, Access::Read).wait().map_err(at)?;
    let alignment = repair.storage.capabilities().alignment.max(1);
    let mut image: Option<Image> = None;
    each_unproven(&segment, header, walk, |frame| {
        let image = image.get_or_insert_with(|| {
            let first_lsn = frame.header.lsn(name);
            Image::new(SegmentHeader {
                generation: scan.next_generation,
                first_lsn,
                // A segment that is replaced as a whole may follow something else.
                follows: if first_lsn == name { header.follows } else { first_lsn.prev() },
                data_offset: (SEGMENT_HEADER_LEN as u32).next_multiple_of(alignment),
                ..header.clone()
            })
        });
        repair.done.rewritten += frame.header.frame_len();
        image.push(&frame);
    })
    .map_err(at)?;
    image.expect("a record is not proven").create(repair.storage)?;
    Ok(true)
}

/// Reads the frames that hold records behind what is proven. Each is checked once more, as bytes that
/// are in the cache only may vanish at any moment.
fn each_unproven(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    walk: &Walk,
    mut each: impl FnMut(Frame),
) -> Result<()> {
    let (first, proven, summary) = (header.first_lsn, walk.proven, &walk.summary);
    let delta = u32::try_from(proven.next().since(first)).unwrap_or(u32::MAX);
    let start = summary.seek(delta);
    let mut records = start.map_or(0, |entry| entry.lsn_delta);
    let offset = start.map_or(u64::from(header.data_offset), |entry| u64::from(entry.offset));
    let mut reader = FrameReader::new(segment.clone(), header, offset, summary.data_end);
    while reader.offset() < summary.data_end {
        let frame = match block_on(reader.next())? {
            FrameStep::Frame(frame) if frame.header.lsn_delta == records => frame,
            _ => return Err(changed(reader.offset())),
        };
        let count = frame.header.record_count(&frame.body);
        records += count;
        if count > 0 && first.advance(u64::from(records)) > proven.next() {
            each(frame);
        }
    }
    if records == summary.records { Ok(()) } else { Err(changed(summary.data_end)) }
}

fn changed(offset: u64) -> Error {
    Error::new(ErrorKind::Io, "recover log")
        .offset(offset)
        .detail("bytes changed between the scan and their being made durable; recover again")
}

/// Whether `next` holds what was moved from the segment before it, and behind which record.
///
/// Both were created at the same time then. A segment that a writer begins is not older than the last
/// record in front of it; if its clock stands still this is taken for a move, which only means that a
/// footer that is missing is written again without being called damage.
pub(crate) fn moved_behind(header: &SegmentHeader, next: &SegmentHeader) -> Option<Lsn> {
    let goes_on = next.created == header.created && next.follows.next() == next.first_lsn;
    goes_on.then_some(next.follows)
}
