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
//! one, in front of a segment that names it as the one from which its frames were moved. The
//! [`chain`](crate::scan::chain) tells it by that.
//!
//! Padding is not moved: where the storage asks for it, the new segment gets its own in front of its footer.
//! In the old one it stays behind the last frame that is kept, so that the footer there begins in a block
//! without records.
//!
//! Memory: the frames are read one after the other and written in pieces, so it does not matter how many they are. The
//! new segment has no name until all of them are durable. A crash before that leaves the old one alone.

use std::sync::Arc;

use wal_core::format::{Maker, SegmentHeader};
use wal_core::{Access, Error, ErrorKind, Frame, Result, Segment};

use crate::repair::Repair;
use crate::repair::new_segment::NewSegment;
use crate::repair::settle;
use crate::scan::found::{Live, Scan};
use crate::segment::frames::{Frames, Next};
use crate::segment::outcome::End;

/// Moves all frames of the newest segment that hold records behind what is proven durable; whether
/// there were any. The scan is out of date then. The new segment takes the next generation.
///
/// # Errors
/// The storage's; `Io` if the frames are not what they were when they were scanned.
pub(crate) fn move_tail(scan: &Scan, repair: &mut Repair<'_>) -> Result<bool> {
    let newest = scan.newest();
    let Live { header, walk, .. } = newest;
    if walk.is_proven(header) {
        return Ok(false);
    }
    let name = header.first_lsn;
    let at = |e: Error| e.with_segment(name);
    // What is behind the frames goes with the old segment.
    if let End::Torn { extent, .. } = &walk.end {
        settle::note_cut(newest, *extent, repair).map_err(at)?;
    }
    let segment = repair.storage.open(name, Access::Read).wait().map_err(at)?;
    let alignment = repair.storage.capabilities().alignment;
    let (mut moved, mut rewritten): (Option<NewSegment<'_>>, u64) = (None, 0);
    each_unproven(repair, &segment, newest, |frame| {
        let moved = moved.get_or_insert_with(|| {
            let first_lsn = frame.header.lsn(name);
            let header = SegmentHeader {
                generation: scan.next_generation,
                first_lsn,
                // A segment that is replaced as a whole may follow something else.
                follows: if first_lsn == name { header.follows } else { first_lsn.prev() },
                data_offset: SegmentHeader::data_offset_for(alignment),
                maker: Maker::MOVED_END,
                moved_from: Some(header.generation),
                owner: repair.owner,
                // It is sealed: nothing is written behind its frames.
                pad_to: 1,
                blanks: false,
                // The same creation, which the times of the frames are relative to.
                ..header.known()
            };
            NewSegment::new(repair, header, walk.summary.data_end - frame.offset)
        });
        rewritten += frame.header.frame_len();
        moved.push(&frame)
    })
    .map_err(at)?;
    moved.expect("a record is not proven").create()?;
    repair.done.rewritten += rewritten;
    Ok(true)
}

/// Reads the frames that hold records behind what is proven. Each is checked once more, as bytes that
/// are in the cache only may vanish at any moment.
fn each_unproven(
    repair: &Repair<'_>,
    segment: &Arc<dyn Segment>,
    newest: Live<'_>,
    mut each: impl FnMut(Frame) -> Result<()>,
) -> Result<()> {
    let Live { header, walk, .. } = newest;
    let (first, proven, summary) = (header.first_lsn, walk.proven, &walk.summary);
    let delta = u32::try_from(proven.next().since(first)).unwrap_or(u32::MAX);
    let start = summary.seek(delta);
    let records = start.map_or(0, |entry| entry.lsn_delta);
    let offset = start.map_or(u64::from(header.data_offset), |entry| u64::from(entry.offset));
    let range = offset..summary.data_end;
    let mut frames = Frames::within(segment, header, range, records, &repair.scanner.watch);
    while frames.offset() < summary.data_end {
        let Next::Frame { frame, records } = frames.next()? else {
            return Err(changed(frames.offset()));
        };
        if records > 0 && first.advance(u64::from(frames.records())) > proven.next() {
            each(frame)?;
        }
    }
    if frames.records() == summary.records { Ok(()) } else { Err(changed(summary.data_end)) }
}

fn changed(offset: u64) -> Error {
    Error::new(ErrorKind::Io, "recover log")
        .with_offset(offset)
        .with_detail("bytes changed between the scan and their being made durable; recover again")
}
