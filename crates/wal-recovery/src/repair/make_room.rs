//! Making room on a full disk, where there is no reserve.
//!
//! The caller is about to truncate the front of the log, which is what will make room. But the log has to be recovered
//! first, and that needs some. So a segment goes before the truncation that would remove it. After a crash in between
//! nothing tells why the front is missing, and the next recovery reports that.

use wal_core::{Event, Lsn, Result};

use crate::repair::{Repair, steps};
use crate::scan::found::Scan;

/// Removes the oldest segment that holds no record from `before` on; the scan of what is left. `None` if there is no
/// such segment. The newest one is never removed.
pub(crate) fn remove_oldest(repair: &mut Repair<'_>, before: Option<Lsn>) -> Result<Option<Scan>> {
    let Some(before) = before else { return Ok(None) };
    let scan = steps::rescan(repair)?;
    // All records of a segment come before the one that the next segment is named by.
    let [oldest, next, ..] = &scan.segments[..] else { return Ok(None) };
    if next.name > before {
        return Ok(None);
    }
    repair.confirm()?;
    let name = oldest.name;
    repair.storage.remove(&[name]).wait().map_err(|e| e.with_segment(name))?;
    repair.done.events.push(Event::segment_removed(name));
    steps::rescan(repair).map(Some)
}
