//! What every recovery ends with: all that it returns is durable and sealed, leftovers are gone.
//!
//! Each step can be repeated, and a crash between any two of them leaves a log whose recovery gives
//! the same records.

use std::sync::Arc;

use wal_core::format::{SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{Access, Error, ErrorKind, Event, Lsn, Result, Segment};

use crate::repair::Repair;
use crate::repair::new_segment::NewSegment;
use crate::repair::seal;
use crate::report::DamageKind;
use crate::scan::chain::Status;
use crate::scan::found::{Found, Live, Scan};
use crate::segment::outcome::{End, footer_of};

/// Seals every segment and removes leftovers. The log must have no damage that cost records, and no
/// end that is not proven durable: see [`move_tail`](crate::repair::move_tail).
pub(crate) fn settle(scan: &Scan, repair: &mut Repair<'_>) -> Result<()> {
    for live in scan.live() {
        settle_segment(live, repair).map_err(|e| e.with_segment(live.header.first_lsn))?;
    }
    // What is void at the back goes first, the newest before the others, one at a time: should the header that
    // makes it void be damaged later, what is left is still one piece behind the records that were kept.
    for found in scan.segments.iter().rev().filter(|found| found.status == Status::Void) {
        remove(&[found.name], repair)?;
    }
    // Then the front, in one call: all of it is in front of where the header of a live segment says that the log
    // starts. That header is durable, and stays, so whichever of them a crash leaves is told to be a leftover by it
    // alone.
    let front = scan.segments.iter().filter(|found| found.status == Status::Front);
    let front: Vec<Lsn> = front.map(|found| found.name).collect();
    remove(&front, repair)
}

/// Makes the replacements those of the present owner: what another owner began beside it has the number of a segment
/// of its own. Whether there were any.
pub(crate) fn own_replacements(scan: &Scan, repair: &mut Repair<'_>) -> Result<bool> {
    let mut generation = scan.next_generation;
    let replacements = scan.segments.iter().filter(|found| found.is_replacement);
    for live in replacements.filter_map(Found::live) {
        let header = SegmentHeader { generation, owner: repair.owner, ..live.header.clone() };
        generation += 1;
        repair.confirm()?;
        copy(live, header, repair).map_err(|e| e.with_segment(live.header.first_lsn))?;
    }
    Ok(generation > scan.next_generation)
}

/// Takes out what an owner began that had lost the log, or what is of another copy of it. Copies are kept.
pub(crate) fn set_strays_aside(scan: &mut Scan, repair: &mut Repair<'_>) -> Result<()> {
    for found in scan.segments.extract_if(.., |found| found.status == Status::Stray) {
        repair.save(found.name, 0, found.len, found.name)?;
        remove(&[found.name], repair)?;
        repair.done.saved.remove(&found.name);
    }
    scan.damages.retain(|damage| !matches!(damage.kind, DamageKind::Stray | DamageKind::Mixed));
    Ok(())
}

/// Removes leftovers in one call, of which a crash may leave any.
fn remove(names: &[Lsn], repair: &mut Repair<'_>) -> Result<()> {
    let Some(&first) = names.first() else { return Ok(()) };
    repair.confirm()?;
    repair.storage.remove(names).wait().map_err(|e| {
        let segment = e.segment().unwrap_or(first);
        e.with_segment(segment)
    })?;
    repair.done.events.extend(names.iter().map(|name| Event::segment_removed(*name)));
    Ok(())
}

/// Seals one segment, whose frames are durable.
fn settle_segment(live: Live<'_>, repair: &mut Repair<'_>) -> Result<()> {
    let Live { header, walk, limit, len } = live;
    debug_assert!(limit.is_some() || walk.is_proven(header));
    // Damage, or a storage that pads otherwise or not at all, leaves an end within a block.
    let pad_to = u64::from(repair.storage.capabilities().pad_to.max(1));
    let ends_in_a_block = walk.summary.records > 0 && !walk.summary.data_end.is_multiple_of(pad_to);
    match &walk.end {
        // A footer that can be read need not be durable, if the sync behind it failed or never came.
        // Older ones are: no segment is begun before the one before it is sealed.
        End::Sealed(end) if limit.is_none() || *end < len => {
            // The very bytes that are there: it may be durable after all.
            if !ends_in_a_block && let Some(footer) = &walk.footer {
                repair.confirm()?;
                return seal::write_footer(&*open_to_seal(header, repair)?, header, footer);
            }
        }
        End::Sealed(_) | End::Unsupported(_) => return Ok(()),
        // What is behind these frames was noted when it was moved.
        End::Open | End::Moved => {}
        End::Torn { extent, .. } | End::Broken { extent, .. } => note_cut(live, *extent, repair)?,
    }
    // What is cut off here, and the footer, would be so in a backup made of links as well.
    if ends_in_a_block || repair.is_linked_elsewhere(header.first_lsn)? {
        return renew(live, repair);
    }
    seal::seal(&*open_to_seal(header, repair)?, header, &footer_of(header, walk.summary.clone()))
}

/// Opens the segment that was scanned, and no other one: a later owner may have given its name to one of its own since.
fn open_to_seal(header: &SegmentHeader, repair: &Repair<'_>) -> Result<Arc<dyn Segment>> {
    let name = header.first_lsn;
    let segment = repair.storage.open(name, Access::Write).wait()?;
    let found = segment.read_at(0, SEGMENT_HEADER_LEN).wait()?;
    if SegmentHeader::decode(&found, name).is_ok_and(|found| found == *header) {
        return Ok(segment);
    }
    Err(Error::new(ErrorKind::LostOwnership, "seal segment")
        .with_segment(name)
        .with_detail("its header is not the one that was scanned: another opener has replaced it"))
}

/// Seals a segment by replacing it, in one step. Either a footer would come into a block with its last records, and
/// the storage wants no such block written again; or the file is a backup's as well.
fn renew(live: Live<'_>, repair: &mut Repair<'_>) -> Result<()> {
    copy(live, live.header.clone(), repair)
}

/// Replaces a segment by one with the same frames under this header.
fn copy(live: Live<'_>, new: SegmentHeader, repair: &mut Repair<'_>) -> Result<()> {
    let Live { header, walk, .. } = live;
    let segment = repair.storage.open(header.first_lsn, Access::Read).wait()?;
    NewSegment::copy_of(repair, &segment, header, walk, new)?.create()?;
    repair.done.rewritten += walk.summary.data_end - u64::from(header.data_offset);
    Ok(())
}

/// Notes that what is behind the last frame will be cut off, up to `extent`; copies it if that is
/// wanted.
pub(crate) fn note_cut(live: Live<'_>, extent: u64, repair: &mut Repair<'_>) -> Result<()> {
    let Live { header, walk, limit, .. } = live;
    let (name, offset) = (header.first_lsn, walk.summary.data_end);
    // An empty last segment is replaced by the next append. Where no older bytes can be in it, what
    // it holds is the first write, and is copied in any case.
    if walk.summary.frames == 0 && !header.blanks {
        repair.save(name, offset, extent, header.first_lsn)?;
    }
    repair.cut(name, offset, extent, walk.last_lsn(header).next())?;
    let bytes = extent.saturating_sub(offset);
    if limit.is_none() && bytes > 0 {
        repair.done.events.push(Event::tail_cut(name, offset, bytes));
    }
    Ok(())
}
