//! What may be missing in front of a log and behind it.
//!
//! Between two segments a missing one shows, as each header names the record that it follows. At the ends nothing else
//! names what was there. But a segment says of itself more than it holds:
//!
//! - Its header says where the log started when it was created (`log_start`), and which record it follows. If the oldest
//!   segment follows a record behind every such start, then that record was in the log, and no truncation took it: a
//!   truncation writes a new header before it removes anything.
//! - Its footer says why it is there. If another segment was to be begun, that one may be missing. Or a crash came before
//!   it was there: then nothing is. The two cannot be told apart.
//!
//! Neither is damage: what is there is sound, and no record that is missing can be named for certain. What a closed log
//! holds is not told by anything in it once its last segments are gone, if the ones before were closed as well.

use wal_core::Lsn;
use wal_core::format::Ending;

use crate::report::{Finding, FindingKind};
use crate::scan::found::Scan;
use crate::segment::outcome::End;

/// What may be missing.
pub(super) fn findings(scan: &Scan) -> Vec<Finding> {
    front(scan).into_iter().chain(end(scan)).collect()
}

fn front(scan: &Scan) -> Option<Finding> {
    // One that cannot be read is damage, and so is a gap behind what is void.
    let oldest = scan.segments.iter().find(|found| !found.is_leftover())?.live()?;
    let start = scan.live().map(|live| live.header.log_start).max().unwrap_or(Lsn::FIRST);
    let (name, follows) = (oldest.header.first_lsn, oldest.header.follows);
    (scan.missing.is_none() && follows >= start).then(|| Finding {
        kind: FindingKind::Front,
        segment: name,
        lsn: start,
        reason: format!(
            "the oldest segment, {name}, follows LSN {follows}, and no header says that the records from LSN {start} to \
             {follows} were truncated"
        ),
    })
}

fn end(scan: &Scan) -> Option<Finding> {
    let newest = scan.newest();
    let was_last = scan.segments.iter().rev().find(|found| !found.is_leftover());
    let is_last = was_last.is_some_and(|found| found.name == newest.header.first_lsn);
    let footer = newest.walk.footer.as_ref()?;
    let is_whole = matches!(newest.walk.end, End::Sealed(_));
    (is_last && is_whole && footer.ending == Ending::Rotated).then(|| Finding {
        kind: FindingKind::End,
        segment: newest.header.first_lsn,
        lsn: newest.last_lsn().next(),
        reason: format!(
            "the newest segment, {}, was sealed because another one was to be begun, and none is there; a crash right \
             before it was begun explains that as well, and then nothing is missing",
            newest.header.first_lsn
        ),
    })
}
