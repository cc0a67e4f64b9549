//! The runs of good frames in a damaged segment.

use wal_core::format::SegmentHeader;
use wal_core::{Access, Error, ErrorKind, LogStorage, Lsn, Result};

use crate::segment::footer;
use crate::segment::frames::{Frames, Next};
use crate::segment::search::{Place, Want, search};
use crate::watch::Watch;

/// A segment that is damaged.
#[derive(Clone, Copy)]
pub(crate) struct Damaged<'a> {
    pub(crate) header: &'a SegmentHeader,
    /// Its length when it was scanned.
    pub(crate) len: u64,
    /// Records behind it are void.
    pub(crate) limit: Option<Lsn>,
}

/// Frames that follow each other without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: Lsn,
    /// Records of the segment in front of it.
    pub(crate) records_before: u32,
    /// The last record that is not void.
    pub(crate) last: Lsn,
    /// Offset of the first frame.
    pub(crate) from: u64,
    /// Offset behind the last frame.
    pub(crate) to: u64,
}

/// What can be read of a damaged segment.
#[derive(Debug)]
pub(crate) struct Runs {
    /// Ascending.
    pub(crate) runs: Vec<Run>,
    /// Behind every record that the segment can have held.
    pub(crate) beyond: Lsn,
}

/// Finds all runs, by going on at the next valid frame behind each bad place.
pub(crate) fn find(storage: &dyn LogStorage, damaged: Damaged<'_>, watch: &Watch) -> Result<Runs> {
    let Damaged { header, len, limit } = damaged;
    let segment = storage.open(header.first_lsn, Access::Read).wait()?;
    let len = len.max(segment.len().wait()?);
    let limit = limit.unwrap_or(Lsn::MAX);
    let from = u64::from(header.data_offset);
    let mut frames = Frames::within(&segment, header, from..len, 0, watch);
    // Of each run a header is made, and perhaps a segment.
    let most = watch.memory().count_of(size_of::<SegmentHeader>() + 2 * size_of::<Run>());
    let mut runs: Vec<Run> = Vec::new();
    let mut in_run = false;
    // Numbers that the footer at the end tells of were given out, whatever is damaged before it.
    let sealed = footer::find(&*segment, header, len)?;
    let told = sealed.map_or(header.first_lsn, |footer| {
        header.first_lsn.advance(u64::from(footer.summary.records))
    });
    loop {
        // Where to look for another frame if there is none here, and whether a footer says so.
        let (behind, footer) = match frames.next()? {
            // Padding neither ends a run nor begins one.
            Next::Frame { records: 0, .. } => continue,
            Next::Frame { frame, .. } => {
                let first = frame.header.lsn(header.first_lsn);
                let last = header.first_lsn.advance(u64::from(frames.records())).prev().min(limit);
                let to = frames.offset();
                let so_far = runs.len();
                match runs.last_mut() {
                    _ if first > limit => {}
                    Some(run) if in_run => (run.last, run.to) = (last, to),
                    _ if so_far == most => return Err(too_many(most, frame.offset)),
                    _ => {
                        let (records_before, from) = (frame.header.lsn_delta, frame.offset);
                        runs.push(Run { first, records_before, last, from, to });
                    }
                }
                in_run = true;
                continue;
            }
            Next::Footer(frame)
                if footer::is_one(&frame.header, &frame.body, frame.offset, header) =>
            {
                (frame.lend().end(), true)
            }
            _ => (frames.offset() + 1, false),
        };
        in_run = false;
        let records = frames.records();
        let place = Place { segment: &segment, header, offset: behind, len, records };
        let found = search(&place, Want::Any, watch)?;
        if let Some(hit) = found.hit {
            // A footer with frames behind it is none.
            frames.seek(hit.offset, hit.header.lsn_delta);
            continue;
        }
        let expected = header.first_lsn.advance(u64::from(records));
        let left = if found.exhausted { len } else { found.extent }.saturating_sub(behind);
        let beyond = if footer || left == 0 { expected } else { at_most(expected, left) };
        return Ok(Runs { runs, beyond: beyond.max(told) });
    }
}

fn too_many(runs: usize, offset: u64) -> Error {
    Error::new(ErrorKind::OutOfMemory, "salvage log")
        .with_offset(offset)
        .with_detail(format!("the segment is in more than {runs} pieces"))
}

/// Behind all records that `bytes` can hold, if the first of them is `first`.
pub(crate) fn at_most(first: Lsn, bytes: u64) -> Lsn {
    first.advance(bytes / 4 + 1)
}
