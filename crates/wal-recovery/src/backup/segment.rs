//! One segment copied, and held against what it was copied from.

use std::sync::Arc;

use wal_core::format::{self, Ending, SegmentHeader, SegmentSummary};
use wal_core::{Access, Copied, Error, ErrorKind, LogStorage, Lsn, Result, Segment};

use crate::scan::found::Live;
use crate::scan::judge::judge_one;
use crate::segment::footer;
use crate::segment::header;
use crate::segment::outcome::{End, Walk, footer_of};
use crate::segment::walk::{Manner, walk};
use crate::watch::Watch;

/// What is to be copied, from where to where.
pub(super) struct Part<'a> {
    pub(super) source: &'a dyn LogStorage,
    pub(super) target: &'a dyn LogStorage,
    /// As the survey found it.
    pub(super) header: &'a SegmentHeader,
    /// Records behind it are void; `None` for the newest segment.
    pub(super) limit: Option<Lsn>,
    /// The last record in front of those that the next segment may hold instead.
    pub(super) moved_behind: Option<Lsn>,
    pub(super) watch: &'a Watch,
    /// Tells nobody, and has as much memory.
    pub(super) quiet: &'a Watch,
}

/// How much of a segment is copied.
struct Extent {
    len: u64,
    /// What these bytes hold, if they are no whole segment.
    frames: Option<SegmentSummary>,
}

/// Copies a segment and checks all of its frames.
///
/// # Errors
/// `NotFound` and `Corrupt` if the source has changed meanwhile, or is damaged; those of both storages.
pub(super) fn copy(part: &Part<'_>) -> Result<Copied> {
    let name = part.header.first_lsn;
    let at =
        |error: Error| if error.segment().is_some() { error } else { error.with_segment(name) };
    let (segment, len) = open(part)?;
    let extent = match part.limit {
        Some(_) => Extent { len, frames: None },
        None => extent_of_newest(part, &segment, len).map_err(at)?,
    };
    let copied = part.target.copy_segment(name, segment, extent.len).wait().map_err(at)?;
    // Its file may have become another segment's while it was read. Then the name leads to it no more.
    open(part)?;
    if let Some(frames) = &extent.frames {
        seal(part, frames).map_err(at)?;
    }
    check(part, &extent).map_err(at)?;
    Ok(copied)
}

/// Opens the segment that the survey found, if it is still there.
fn open(part: &Part<'_>) -> Result<(Arc<dyn Segment>, u64)> {
    let name = part.header.first_lsn;
    let opened = header::read(part.source, name)?;
    if opened.header.as_ref().ok() != Some(part.header) {
        return Err(Error::new(ErrorKind::NotFound, "back up log")
            .with_segment(name)
            .with_detail("it is another segment now"));
    }
    Ok((opened.segment, opened.len))
}

/// How far the newest segment is intact. If its footer says that another one is to come, that is left out, as the copy
/// ends here.
fn extent_of_newest(part: &Part<'_>, segment: &Arc<dyn Segment>, len: u64) -> Result<Extent> {
    let header = part.header;
    let found = walk(segment, header, len, manner(part, true), part.quiet)?;
    let frames = match &found.end {
        End::Sealed(end) => {
            let ending = found.footer.as_ref().map(|footer| footer.ending);
            if ending != Some(Ending::Rotated) {
                return Ok(Extent { len: *end, frames: None });
            }
            found.summary
        }
        // What a writer is just writing, or what a crash left. It was not promised to anybody.
        End::Open | End::Torn { .. } | End::Moved => found.summary,
        End::Broken { .. } => return Err(damage(part, &found, len)),
        End::Unsupported(error) => return Err(error.clone()),
    };
    Ok(Extent { len: frames.data_end, frames: Some(frames) })
}

fn manner(part: &Part<'_>, beside_writer: bool) -> Manner {
    Manner {
        newest: part.limit.is_none(),
        moved_behind: part.moved_behind,
        in_full: true,
        beside_writer,
    }
}

fn damage(part: &Part<'_>, walk: &Walk, len: u64) -> Error {
    let live = Live { header: part.header, walk, limit: part.limit, len };
    let reason = judge_one(live).map(|damage| damage.error());
    reason.unwrap_or_else(|| {
        Error::new(ErrorKind::Corrupt, "back up log").with_segment(part.header.first_lsn)
    })
}

/// Ends the copy with a footer, as a recovery does. Its frames are durable, and the footer proves that: no recovery has to
/// write them again.
fn seal(part: &Part<'_>, frames: &SegmentSummary) -> Result<()> {
    let copy = part.target.open(part.header.first_lsn, Access::Write).wait()?;
    let footer = footer_of(part.header, frames.clone());
    format::write_footer(&*copy, part.header.salt(), &footer).map(drop)
}

/// Reads the copy, every frame of it.
fn check(part: &Part<'_>, extent: &Extent) -> Result<()> {
    let header = part.header;
    let copy = header::read(part.target, header.first_lsn)?;
    if copy.header.as_ref().ok() != Some(header) {
        return Err(Error::new(ErrorKind::Corrupt, "back up log")
            .with_segment(header.first_lsn)
            .with_detail("the header of the copy is not that of the segment"));
    }
    let found = walk(&copy.segment, header, copy.len, manner(part, false), part.watch)?;
    if let End::Unsupported(error) = &found.end {
        return Err(error.clone());
    }
    let live = Live { header, walk: &found, limit: part.limit, len: copy.len };
    if let Some(damage) = judge_one(live) {
        return Err(damage.error());
    }
    let frames = extent.frames.as_ref();
    match frames.and_then(|frames| footer::difference(frames, &found.summary)) {
        None => Ok(()),
        Some(_) => Err(Error::new(ErrorKind::Corrupt, "back up log")
            .with_segment(header.first_lsn)
            .with_detail("the frames of the copy are not those of the segment")),
    }
}
