//! Opening a log that was closed cleanly.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use wal_core::{Clock, SystemClock, Wal};
use wal_fs::FileStorage;
use wal_load::Sample;
use wal_recovery::Recovery;

use super::measure::strategy;
use super::recovery::{build, replay};

/// Bytes that a record of the bench, in a batch of [`BATCH`], takes in its segment, about.
const RECORD_IN_BATCH: u64 = 104;
const BATCH: usize = 1000;
const SEGMENT: u64 = 64 << 20;

/// A log of full segments, and what is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Recovered and opened.
    Open { segments: u64 },
    /// Read from the first record to the last.
    Scan { segments: u64 },
}

impl Open {
    pub(super) fn name(&self) -> String {
        match self {
            Open::Open { .. } => "wal open".into(),
            Open::Scan { .. } => "wal scan".into(),
        }
    }

    pub(super) fn load(&self) -> String {
        format!("{} segments of {} MiB", self.segments(), SEGMENT >> 20)
    }

    pub(super) fn prepare(&self, kept: &Path) -> anyhow::Result<()> {
        if path(kept).exists() {
            return Ok(());
        }
        build(&path(kept), self.segments() * SEGMENT / RECORD_IN_BATCH, BATCH)
    }

    pub(super) fn measure(&self, kept: &Path) -> anyhow::Result<Sample> {
        match self {
            Open::Open { .. } => open(&path(kept)),
            Open::Scan { .. } => replay(&path(kept), false),
        }
    }

    fn segments(&self) -> u64 {
        match self {
            Open::Open { segments } | Open::Scan { segments } => *segments,
        }
    }
}

fn path(kept: &Path) -> PathBuf {
    kept.join("closed")
}

/// Reads no records, so that it has no rate.
fn open(dir: &Path) -> anyhow::Result<Sample> {
    let clock = SystemClock::new();
    let (recovered, report) = Recovery::new(FileStorage::open(dir)?).run()?;
    let log = Wal::builder(strategy("group")).open(recovered)?;
    let took = clock.monotonic();
    ensure!(log.last_lsn() == report.last_lsn && report.records > 0, "no records: {report}");
    log.close()?;
    Ok(Sample::once(0, took))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_can_be_opened_and_scanned_again_and_again() {
        let kept = tempfile::tempdir().unwrap();
        let cells = [Open::Open { segments: 1 }, Open::Scan { segments: 1 }];
        let mut found = Vec::new();
        for _ in 0..2 {
            for cell in cells {
                cell.prepare(kept.path()).unwrap();
                found.push(cell.measure(kept.path()).unwrap().records);
            }
        }
        let all = SEGMENT / RECORD_IN_BATCH;
        assert_eq!(found, [0, all, 0, all]);
    }
}
