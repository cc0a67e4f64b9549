//! Ending a log earlier than it does: before its first damage, or where the caller wants it.
//!
//! What decides is one new, empty segment whose header says with which record the log goes on. It
//! appears in one step; everything behind that record is void from then on, and [`settle`] clears it
//! away. Until then nothing but copies were made.
//!
//! [`settle`]: crate::repair::settle

use wal_core::format::{Maker, SegmentHeader, log_clock};
use wal_core::{Access, Error, ErrorKind, Frame, Lsn, Result, Timestamp};

use crate::mode::Until;
use crate::repair::Repair;
use crate::repair::move_tail::move_tail;
use crate::repair::new_segment::NewSegment;
use crate::report::DamageKind;
use crate::scan::chain::Status;
use crate::scan::found::{Live, Scan};
use crate::segment::frames::{Frames, Next};
use crate::segment::outcome::{End, PLAUSIBLE, time};
use crate::segment::runs;

/// Ends the log before its first damage.
pub(crate) fn before_damage(scan: &Scan, repair: &mut Repair<'_>) -> Result<()> {
    let beyond = beyond(scan, repair)?;
    let mut keep = scan.log_start.prev();
    let mut ended = scan.missing.is_some();
    for found in &scan.segments {
        if found.is_leftover() {
            continue;
        }
        match found.live() {
            Some(live) if !ended => {
                keep = keep.max(live.last_lsn());
                let damage = scan.fatal_in(found.name);
                ended = damage.is_some();
                if damage.is_some_and(|damage| damage.kind == DamageKind::Corrupt) {
                    repair.save(found.name, live.walk.summary.data_end, found.len, keep.next())?;
                }
            }
            _ => {
                ended = true;
                repair.save(found.name, 0, found.len, found.name.max(keep.next()))?;
            }
        }
    }
    // What is kept must be durable before the new segment says that it is.
    if scan.newest().header.first_lsn <= keep {
        move_tail(scan, repair)?;
    }
    new_end(scan, repair, keep, beyond)
}

/// Ends the log where the caller wants it; `false` if it ends there or before. The log must be
/// settled.
pub(crate) fn after(scan: &Scan, repair: &mut Repair<'_>, until: Until) -> Result<bool> {
    let keep = match until {
        Until::End => return Ok(false),
        Until::Lsn(lsn) => lsn,
        Until::Time(time) => last_before(scan, repair, time)?,
    };
    if keep >= scan.last_lsn() || scan.span().records == 0 {
        return Ok(false);
    }
    let start = scan.log_start.prev();
    if keep < start {
        return Err(before_start(scan, keep));
    }
    // What was truncated before must not come back: the end is a record that is valid.
    let valid = scan.live().filter(|live| live.header.first_lsn <= keep);
    let keep = valid.map(|live| live.last_lsn().min(keep)).fold(start, Lsn::max);
    for live in scan.live().filter(|live| live.last_lsn() > keep) {
        let from = if live.header.first_lsn > keep {
            0
        } else {
            frame_of(repair, live, keep.next())
                .map_err(|e| e.with_segment(live.header.first_lsn))?
        };
        let first_lsn = keep.next().max(live.header.first_lsn);
        repair.save(live.header.first_lsn, from, live.len, first_lsn)?;
    }
    new_end(scan, repair, keep, scan.next_lsn())?;
    Ok(true)
}

/// The error for an end before the start.
pub(crate) fn before_start(scan: &Scan, lsn: Lsn) -> Error {
    Error::new(ErrorKind::NotInLog, "recover log")
        .with_lsn(lsn)
        .with_detail(format!("the log starts at LSN {}", scan.log_start))
}

/// Creates the segment with which the log goes on behind `keep`.
pub(crate) fn new_end(
    scan: &Scan,
    repair: &mut Repair<'_>,
    keep: Lsn,
    first_lsn: Lsn,
) -> Result<()> {
    let alignment = repair.storage.capabilities().alignment;
    let (newest, now) = (scan.newest(), repair.scanner.watch.wall());
    let header = SegmentHeader {
        follows: keep,
        log_start: scan.log_start.min(first_lsn),
        created: now,
        log_time: log_clock(newest.walk.log_time(newest.header), now, PLAUSIBLE),
        codec: scan.codec,
        layers: scan.layers,
        data_offset: SegmentHeader::data_offset_for(alignment),
        owner: repair.owner,
        maker: Maker::NEW_END,
        origin: newest.header.origin,
        // The next generation may have been taken by an end that was moved.
        ..SegmentHeader::new(scan.log_id, scan.next_generation + 1, first_lsn)
    };
    #[cfg(feature = "tracing")]
    tracing::info!(%keep, next = %first_lsn, "the log is ended");
    NewSegment::new(repair, header, 0).create()
}

/// Behind every record that was ever written, also of damaged segments.
pub(crate) fn beyond(scan: &Scan, repair: &mut Repair<'_>) -> Result<Lsn> {
    let mut beyond = scan.next_lsn();
    // Each segment's name is behind all records of those before it.
    let Some(found) = scan.segments.iter().rev().find(|found| !found.is_leftover()) else {
        return Ok(beyond);
    };
    beyond = beyond.max(found.name);
    match (found.status, found.live()) {
        (Status::Unreadable, _) => beyond = beyond.max(runs::at_most(found.name, found.len)),
        (_, Some(live)) if matches!(live.walk.end, End::Broken { .. } | End::Unsupported(_)) => {
            let runs = runs::find(repair.storage, live.into(), &repair.scanner.watch)?;
            beyond = beyond.max(runs.beyond);
        }
        _ => {}
    }
    Ok(beyond)
}

/// Where the frame begins that holds a record of a sealed segment.
fn frame_of(repair: &Repair<'_>, live: Live<'_>, lsn: Lsn) -> Result<u64> {
    let mut found = u64::from(live.header.data_offset);
    each_frame(repair, live, |frame, first, _| {
        if first <= lsn {
            found = frame.offset;
        }
        first < lsn
    })?;
    Ok(found)
}

/// The last record in front of the first one whose time is later than `until`.
///
/// Times may go back, if the clock was set. So it is not enough to look at the segment that was created then.
fn last_before(scan: &Scan, repair: &Repair<'_>, until: Timestamp) -> Result<Lsn> {
    let start = scan.log_start.prev();
    for live in scan.live() {
        // Some of its records may be void; the frames tell.
        if time(live.header, live.walk.summary.max_time) <= until {
            continue;
        }
        let mut later = None;
        each_frame(repair, live, |frame, first, time| {
            let last = first.advance(u64::from(frame.header.record_count(&frame.body))).prev();
            let is_valid = last >= scan.log_start && first <= live.last_lsn();
            later = (is_valid && time > until).then_some(first);
            later.is_none()
        })
        .map_err(|e| e.with_segment(live.header.first_lsn))?;
        if let Some(later) = later {
            return Ok(later.prev().max(start));
        }
    }
    Ok(scan.last_lsn())
}

/// Reads the frames of a settled segment that hold records, until told to stop.
fn each_frame(
    repair: &Repair<'_>,
    live: Live<'_>,
    mut each: impl FnMut(&Frame, Lsn, Timestamp) -> bool,
) -> Result<()> {
    let Live { header, walk, .. } = live;
    let segment = repair.storage.open(header.first_lsn, Access::Read).wait()?;
    let (offset, end) = (u64::from(header.data_offset), walk.summary.data_end);
    let mut frames = Frames::within(&segment, header, offset..end, 0, &repair.scanner.watch);
    while frames.offset() < end {
        let Next::Frame { frame, records } = frames.next()? else {
            return Err(Error::new(ErrorKind::Corrupt, "recover log")
                .with_offset(frames.offset())
                .with_detail(
                    "what a sealed segment holds here is not the frame that was written",
                ));
        };
        // Padding.
        if records == 0 {
            continue;
        }
        let lsn = frame.header.lsn(header.first_lsn);
        if !each(&frame, lsn, time(header, frame.header.time_delta)) {
            break;
        }
    }
    Ok(())
}
