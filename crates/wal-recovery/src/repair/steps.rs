//! Which steps a repair takes, and in which order.
//!
//! Each step is given a scan of the log as it stands then, so that none has to know what those before it
//! did.

use wal_core::{Error, ErrorKind, Result};

use crate::mode::{Mode, Until};
use crate::repair::{Repair, end_earlier, move_tail, salvage, settle};
use crate::scan::chain::Status;
use crate::scan::found::Scan;
use crate::scan::scanner::Scanned;
use crate::segment::outcome::End;

/// Repairs what was scanned; the scan of what is there in the end.
pub(crate) fn run(
    mut scan: Scan,
    mode: Mode,
    until: Until,
    repair: &mut Repair<'_>,
) -> Result<Scan> {
    // First, as what comes next may take the name of one.
    settle::set_strays_aside(&mut scan, repair)?;
    let damaged = scan.fatal().is_some() || scan.unsupported.is_some();
    if damaged && mode != Mode::Salvage {
        end_earlier::before_damage(&scan, repair)?;
        remove_unreadable(repair)?;
        scan = rescan_sound(repair)?;
    } else {
        let bad_end = matches!(scan.newest().walk.end, End::Broken { .. } | End::Unsupported(_));
        if !bad_end && move_tail::move_tail(&scan, repair)? {
            // Nothing is damaged now that was not before, unless somebody else writes to the log.
            scan = if damaged { rescan(repair)? } else { rescan_sound(repair)? };
        }
        if damaged {
            salvage::salvage(&scan, repair)?;
            remove_unreadable(repair)?;
            scan = rescan_sound(repair)?;
        }
    }
    if settle::own_replacements(&scan, repair)? {
        scan = rescan_sound(repair)?;
    }
    settle::settle(&scan, repair)?;
    if until != Until::End {
        scan = rescan_sound(repair)?;
        if end_earlier::after(&scan, repair, until)? {
            scan = rescan_sound(repair)?;
            settle::settle(&scan, repair)?;
        }
    }
    Ok(scan)
}

/// Removes what cannot be read and no header makes void: its place is filled by other segments. A copy
/// of it was made.
fn remove_unreadable(repair: &Repair<'_>) -> Result<()> {
    let scan = rescan(repair)?;
    // One at a time, though no order is relied on: each is damage, and there are few.
    let unreadable = scan.segments.iter().filter(|found| found.status == Status::Unreadable);
    for found in unreadable.filter(|found| repair.done.saved.contains(&found.name)) {
        repair.confirm()?;
        repair.storage.remove(&[found.name]).wait().map_err(|e| e.with_segment(found.name))?;
    }
    Ok(())
}

/// Scans what a step left.
pub(super) fn rescan(repair: &Repair<'_>) -> Result<Scan> {
    match repair.scanner.scan(repair.storage)? {
        Scanned::Log(scan) => Ok(scan),
        Scanned::Empty(_) => {
            Err(Error::new(ErrorKind::Io, "recover log")
                .with_detail("all segments have disappeared"))
        }
    }
}

/// Scans what a step left. Nothing fatal may be left.
fn rescan_sound(repair: &Repair<'_>) -> Result<Scan> {
    let scan = rescan(repair)?;
    match (scan.fatal(), &scan.unsupported) {
        (None, None) => Ok(scan),
        (Some(damage), _) => Err(damage.error()),
        (_, Some(error)) => Err(error.clone()),
    }
}
