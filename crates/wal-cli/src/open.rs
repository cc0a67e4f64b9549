//! Getting at a log: its storage, and its recovery before anything is written.

use std::path::Path;

use wal_core::{LogStorage, Recovered};
use wal_fs::FileStorage;
use wal_recovery::{Mode, Recovery, Report};

use crate::failure::{Failure, say};
use crate::progress;

/// The directory of a log that must be there; nothing is created.
pub(crate) fn existing(dir: &Path) -> Result<FileStorage, Failure> {
    Ok(FileStorage::open(dir)?)
}

/// Recovers a log for writing, as every opening does: cuts a torn tail, refuses damage. Says what it cut.
pub(crate) fn recover(storage: impl LogStorage) -> Result<Recovered, Failure> {
    let mut recovery = Recovery::new(storage).mode(Mode::TornTail);
    if let Some(bar) = progress::bar("recover") {
        recovery = recovery.progress(bar);
    }
    let (recovered, report) = recovery.run()?;
    tell(&report);
    Ok(recovered)
}

/// One line for everything that recovery did not leave as it was.
fn tell(report: &Report) {
    for damage in &report.damages {
        say(format_args!("found and repaired: {damage}"));
    }
    for cut in &report.cut {
        say(format_args!(
            "cut {} bytes of segment {} at offset {}, from LSN {} on{}",
            cut.bytes,
            cut.segment,
            cut.offset,
            cut.first_lsn,
            cut.saved_as
                .as_deref()
                .map(|name| format!("; a copy is in {name}"))
                .unwrap_or_default()
        ));
    }
}
