//! Making room on a full disk, where there is no reserve.
//!
//! The caller is about to truncate the front of the log, which is what will make room. But the log has to be recovered
//! first, and that needs some. So a segment goes before the truncation that would remove it. After a crash in between
//! nothing tells why the front is missing, and the next recovery reports that.

use wal_core::{Event, Lsn, Result};

use crate::repair::{Repair, steps};
use crate::scan::chain::Status;
use crate::scan::found::Scan;

/// Removes a segment that the repair, or the truncation in front of `before`, would remove as well; the scan of what is
/// left. `None` if there is no such segment.
pub(crate) fn remove_one(repair: &mut Repair<'_>, before: Option<Lsn>) -> Result<Option<Scan>> {
    let Some(before) = before else { return Ok(None) };
    let scan = steps::rescan(repair)?;
    let Some(name) = dispensable(&scan, before) else { return Ok(None) };
    repair.confirm()?;
    repair.storage.remove(&[name]).wait().map_err(|e| e.with_segment(name))?;
    repair.done.events.push(Event::segment_removed(name));
    steps::rescan(repair).map(Some)
}

/// What is void goes first, in the order in which every recovery removes it. Then the oldest segment, if all of its
/// records are in front of `before`. Never the newest one, and none where anything is out of order: the next segment has
/// to go on right behind it.
fn dispensable(scan: &Scan, before: Lsn) -> Option<Lsn> {
    let odd = |status| matches!(status, Status::Stray | Status::Unreadable);
    if scan.fatal().is_some() || scan.segments.iter().any(|found| odd(found.status)) {
        return None;
    }
    let mut leftovers = scan.segments.iter().filter(|found| found.status == Status::Void);
    if let Some(last) = leftovers.next_back() {
        return Some(last.name);
    }
    if let Some(front) = scan.segments.iter().find(|found| found.status == Status::Front) {
        return Some(front.name);
    }
    let [oldest, next, ..] = &scan.segments[..] else { return None };
    let (_, next) = (oldest.live()?, next.live()?);
    let goes_on = next.header.follows.next() == next.header.first_lsn;
    (goes_on && next.header.first_lsn <= before).then_some(oldest.name)
}
