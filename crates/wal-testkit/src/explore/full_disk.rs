//! A full disk at every step: by its reserve the log is recovered, truncated and closed without a free byte.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wal_core::ErrorKind;

use super::examine::{Probe, panicked};
use super::images;
use crate::promise::{Crash, Knowledge, Violation, oracle};
use crate::{ModelFs, Moment};

/// The process dies, and from then on the disk has no room for another byte. Whether the reserve was whole at that
/// moment: then the log opens, gives up its front and closes. If it was not, the log may say that the disk is full,
/// and opens when there is room. At every second moment a new name needs room as well. At two of four the disk is
/// full only when the log is open again, with its reserve whole.
pub(super) fn check(
    probe: &Probe<'_>,
    known: &Knowledge,
    (point, moment): (usize, &Moment),
) -> Result<bool, Violation> {
    let disk = Disk { names_take_room: point % 2 == 1, full_when_open: point % 4 > 1 };
    let checked = catch_unwind(AssertUnwindSafe(|| fill(probe, known, moment, disk)));
    checked.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

#[derive(Clone, Copy)]
struct Disk {
    names_take_room: bool,
    full_when_open: bool,
}

impl Disk {
    fn fill(self, image: &ModelFs) {
        image.set_capacity(Some(image.used_bytes()));
        image.let_names_take_room(self.names_take_room);
    }
}

fn room(what: &str, why: impl std::fmt::Display) -> Violation {
    Violation::new("room", format!("on a full disk {what}: {why}"))
}

fn fill(
    probe: &Probe<'_>,
    known: &Knowledge,
    moment: &Moment,
    disk: Disk,
) -> Result<bool, Violation> {
    let image = images::after_process_crash(moment);
    let mut whole = probe.has_whole_reserve(&image);
    if !disk.full_when_open {
        disk.fill(&image);
    }
    let opened = match probe.open(&image) {
        Err(error) if error.kind() == ErrorKind::Full && !whole => {
            image.remount();
            probe.open(&image).map_err(|e| Violation::new("O7", format!("opening fails: {e}")))?
        }
        opened => opened.map_err(|e| room("the log does not open", e))?,
    };
    let crash = Crash::of_process(known);
    oracle::records(known, &probe.claim, crash, &opened.found, opened.log.next_lsn())?;
    if disk.full_when_open {
        whole = probe.has_whole_reserve(&image);
        disk.fill(&image);
    }
    if !whole {
        return Ok(false);
    }
    let last = opened.log.last_lsn();
    opened.log.truncate_before(last).map_err(|e| room("nothing can be truncated", e))?;
    opened.log.close().map_err(|e| room("the log does not close", e))?;
    drop(opened.log);
    let image = images::after_process_crash(&image.moment());
    disk.fill(&image);
    let again = probe.open(&image).map_err(|e| room("what was closed does not open", e))?;
    let expected = opened.found.split_at(opened.found.len().saturating_sub(1)).1;
    if again.found != expected {
        let lsns = |found: &[(u64, _)]| found.iter().map(|(lsn, _)| *lsn).collect::<Vec<_>>();
        let (found, expected) = (lsns(&again.found), lsns(expected));
        return Err(room("a truncation left", format!("LSN {found:?}, not {expected:?}")));
    }
    Ok(true)
}
