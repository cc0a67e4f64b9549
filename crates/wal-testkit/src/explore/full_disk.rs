//! A full disk at every step: by its reserve the log is recovered, truncated and closed without a free byte.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wal_core::ErrorKind;

use super::examine::{Probe, panicked};
use super::images;
use crate::promise::{Crash, Knowledge, Violation, oracle};
use crate::{ModelFs, Moment};

/// The process dies, and from then on the disk has no room for another byte. Whether the reserve was whole at that
/// moment: then the log opens, gives up its front and closes. If it was not, the log may say that the disk is full,
/// and opens when there is room.
pub(super) fn check(
    probe: &Probe<'_>,
    known: &Knowledge,
    moment: &Moment,
) -> Result<bool, Violation> {
    let checked = catch_unwind(AssertUnwindSafe(|| fill(probe, known, moment)));
    checked.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn room(what: &str, why: impl std::fmt::Display) -> Violation {
    Violation::new("room", format!("on a full disk {what}: {why}"))
}

fn fill(probe: &Probe<'_>, known: &Knowledge, moment: &Moment) -> Result<bool, Violation> {
    let image = images::after_process_crash(moment);
    let whole = probe.has_whole_reserve(&image);
    let full = |image: &ModelFs| image.set_capacity(Some(image.used_bytes()));
    full(&image);
    let opened = match probe.open(&image) {
        Err(error) if error.kind() == ErrorKind::Full && !whole => {
            image.remount();
            probe.open(&image).map_err(|e| Violation::new("O7", format!("opening fails: {e}")))?
        }
        opened => opened.map_err(|e| room("the log does not open", e))?,
    };
    let crash = Crash::of_process(known);
    oracle::records(known, &probe.claim, crash, &opened.found, opened.log.next_lsn())?;
    if !whole {
        return Ok(false);
    }
    let last = opened.log.last_lsn();
    opened.log.truncate_before(last).map_err(|e| room("nothing can be truncated", e))?;
    opened.log.close().map_err(|e| room("the log does not close", e))?;
    drop(opened.log);
    let image = images::after_process_crash(&image.moment());
    full(&image);
    let again = probe.open(&image).map_err(|e| room("what was closed does not open", e))?;
    let expected = opened.found.split_at(opened.found.len().saturating_sub(1)).1;
    if again.found != expected {
        let lsns = |found: &[(u64, _)]| found.iter().map(|(lsn, _)| *lsn).collect::<Vec<_>>();
        let (found, expected) = (lsns(&again.found), lsns(expected));
        return Err(room("a truncation left", format!("LSN {found:?}, not {expected:?}")));
    }
    Ok(true)
}
