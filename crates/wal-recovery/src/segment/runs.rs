//! The runs of good frames in a damaged segment.

use wal_core::format::{Footer, FrameKind};
use wal_core::{Access, Frame, FrameReader, FrameStep, LogStorage, Lsn, Result, block_on};

use crate::scan::scanner::Live;
use crate::segment::footer;
use crate::segment::search::{Place, Want, search};
use crate::watch::Watch;

/// Frames that follow each other without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: Lsn,
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
pub(crate) fn find(storage: &dyn LogStorage, live: Live<'_>, watch: &Watch) -> Result<Runs> {
    let Live { header, limit, .. } = live;
    let segment = storage.open(header.first_lsn, Access::Read).wait()?;
    let len = live.len.max(segment.len().wait()?);
    let limit = limit.unwrap_or(Lsn::MAX);
    let mut reader = FrameReader::new(segment.clone(), header, u64::from(header.data_offset), len);
    let mut runs: Vec<Run> = Vec::new();
    // Records up to here, and the time of the last frame.
    let (mut records, mut time_delta) = (0_u32, 0);
    let mut in_run = false;
    // Numbers that the footer at the end tells of were given out, whatever is damaged before it.
    let sealed = footer::read(&*segment, header, len)?;
    let told = sealed.map_or(header.first_lsn, |footer| {
        header.first_lsn.advance(u64::from(footer.summary.records))
    });
    loop {
        let step = block_on(reader.next())?;
        if let FrameStep::Frame(Frame { offset, header: frame, body }) = step {
            let first = frame.lsn(header.first_lsn);
            let expected = frame.lsn_delta == records;
            let is_footer = frame.kind == FrameKind::Footer as u8;
            if is_footer && expected && Footer::decode(&frame, &body, offset, header).is_ok() {
                let offset = reader.offset();
                let place = Place { segment: &segment, header, offset, len, records, time_delta };
                let Some(hit) = search(&place, Want::Any, watch)?.hit else {
                    return Ok(Runs { runs, beyond: first.max(told) });
                };
                // A footer with frames behind it is none.
                reader.seek(hit.offset);
                records = hit.header.lsn_delta;
                in_run = false;
                continue;
            }
            // It neither ends a run nor begins one.
            if expected && frame.kind == FrameKind::Padding as u8 && frame.records_in(&body).is_ok()
            {
                time_delta = frame.time_delta;
                continue;
            }
            let count = frame.records(body).map_or(0, |records| records.len() as u32);
            if expected && count > 0 {
                records += count;
                time_delta = frame.time_delta;
                let last = header.first_lsn.advance(u64::from(records)).prev().min(limit);
                let to = reader.offset();
                match runs.last_mut() {
                    _ if first > limit => {}
                    Some(run) if in_run => (run.last, run.to) = (last, to),
                    _ => runs.push(Run { first, last, from: offset, to }),
                }
                in_run = true;
                continue;
            }
            reader.seek(offset);
        }
        in_run = false;
        let offset = reader.offset() + 1;
        let place = Place { segment: &segment, header, offset, len, records, time_delta };
        let found = search(&place, Want::Any, watch)?;
        if let Some(hit) = found.hit {
            reader.seek(hit.offset);
            records = hit.header.lsn_delta;
            continue;
        }
        let left = if found.exhausted { len } else { found.extent }.saturating_sub(offset);
        let expected = header.first_lsn.advance(u64::from(records));
        let beyond = if left == 0 { expected } else { at_most(expected, left) };
        return Ok(Runs { runs, beyond: beyond.max(told) });
    }
}

/// Behind all records that `bytes` can hold, if the first of them is `first`.
pub(crate) fn at_most(first: Lsn, bytes: u64) -> Lsn {
    first.advance(bytes / 4 + 1)
}
