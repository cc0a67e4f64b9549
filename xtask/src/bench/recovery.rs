//! Reading all of a log back.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use wal_core::{Clock, Durability, Lsn, SystemClock, Wal};
use wal_fs::FileStorage;
use wal_load::Sample;
use wal_recovery::{Applied, Recovery, Until, Verify, View};

use super::cell::{Kind, strategy};
use super::raw;

const RECORD: usize = 100;

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recover {
    /// A loop over a raw file with as many records, each with a length and a checksum.
    Raw { bytes: u64 },
    /// A view of the log; every record is checked and handed to the caller. In a process of its own,
    /// to see how much memory it takes.
    Replay { bytes: u64, batch: usize },
    /// A recovery that looks at every byte, with as many threads as there are processors, and hands out
    /// nothing.
    Verify { bytes: u64, batch: usize },
}

impl Recover {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Recover::Raw { .. } => Kind::Raw,
            Recover::Replay { .. } | Recover::Verify { .. } => Kind::Ours,
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Recover::Raw { .. } => "raw scan".into(),
            Recover::Replay { .. } => "wal replay".into(),
            Recover::Verify { .. } => "wal verify".into(),
        }
    }

    pub(super) fn load(&self) -> String {
        match *self {
            Recover::Raw { bytes }
            | Recover::Replay { bytes, batch: 1 }
            | Recover::Verify { bytes, batch: 1 } => {
                format!("{} MiB of {RECORD}", bytes >> 20)
            }
            Recover::Replay { bytes, batch } | Recover::Verify { bytes, batch } => {
                format!("{} MiB of {batch}x{RECORD}", bytes >> 20)
            }
        }
    }

    /// Writes what is to be read, unless it is there.
    pub(super) fn prepare(&self, kept: &Path) -> anyhow::Result<()> {
        let path = self.path(kept);
        if path.exists() {
            return Ok(());
        }
        match *self {
            Recover::Raw { .. } => raw::build_scan(&path, self.records(), RECORD),
            Recover::Replay { batch, .. } | Recover::Verify { batch, .. } => {
                build(&path, self.records(), batch)
            }
        }
    }

    /// Prepared data was written just before, or read in the last round: it lies in the page cache.
    pub(super) fn measure(&self, kept: &Path) -> anyhow::Result<Sample> {
        let path = self.path(kept);
        let sample = match self {
            Recover::Raw { .. } => raw::scan(&path)?,
            Recover::Replay { .. } => replay_apart(&path)?,
            Recover::Verify { .. } => verify(&path)?,
        };
        let expected = self.records();
        ensure!(sample.records == expected, "{} of {expected} records were read", sample.records);
        Ok(sample)
    }

    fn records(&self) -> u64 {
        match *self {
            Recover::Raw { bytes }
            | Recover::Replay { bytes, .. }
            | Recover::Verify { bytes, .. } => bytes / RECORD as u64,
        }
    }

    fn path(&self, kept: &Path) -> PathBuf {
        match self {
            Recover::Raw { .. } => kept.join("raw"),
            Recover::Replay { batch, .. } | Recover::Verify { batch, .. } => {
                kept.join(format!("log-{batch}"))
            }
        }
    }
}

/// A cleanly closed log of so many records, in frames of so many.
pub(super) fn build(dir: &Path, records: u64, batch: usize) -> anyhow::Result<()> {
    let (recovered, _) = Recovery::new(FileStorage::create(dir)?).run()?;
    let log = Wal::builder(strategy("os")).open(recovered)?;
    let many = vec![vec![b'r'; RECORD]; batch];
    let mut left = records as usize;
    while left > 0 {
        match batch.min(left) {
            1 => drop(log.append_with(&[b'r'; RECORD], Durability::Buffered)?),
            some => drop(log.append_batch_with(&many[..some], Durability::Buffered)?),
        }
        left -= batch.min(left);
    }
    Ok(log.close()?)
}

/// Runs [`replay`] in another process.
fn replay_apart(dir: &Path) -> anyhow::Result<Sample> {
    let output = Command::new(std::env::current_exe()?)
        .args(["bench", "--replay"])
        .arg(dir)
        .output()
        .context("cannot start this program again")?;
    ensure!(output.status.success(), "replay: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("what the replay printed")
}

/// Hands every record to a closure, and measures time and memory of this process.
pub(super) fn replay(dir: &Path) -> anyhow::Result<Sample> {
    let clock = SystemClock::new();
    let mut bytes = 0;
    let view = View::open(FileStorage::open(dir)?)?;
    let report = view.replay(Lsn::ZERO, Until::End, |entry| {
        bytes += std::hint::black_box(&entry.record).len();
        Ok(Applied::Applied)
    })?;
    let took = clock.monotonic();
    ensure!(
        bytes as u64 == report.total * RECORD as u64,
        "{bytes} bytes in {} records",
        report.total
    );
    Ok(Sample { peak_memory: peak_memory(), ..Sample::once(report.total, took) })
}

fn verify(dir: &Path) -> anyhow::Result<Sample> {
    let clock = SystemClock::new();
    let recovery = Recovery::new(FileStorage::open(dir)?).verify(Verify::All);
    let (_recovered, report) = recovery.run()?;
    Ok(Sample::once(report.records, clock.monotonic()))
}

/// The most memory that this process ever had resident, in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    high_water(&status)
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_finds_every_record() {
        let kept = tempfile::tempdir().unwrap();
        let bytes = 1 << 20;
        for batch in [1, 100] {
            let verify = Recover::Verify { bytes, batch };
            verify.prepare(kept.path()).unwrap();
            assert_eq!(verify.measure(kept.path()).unwrap().records, bytes / 100);
            let replayed = replay(&verify.path(kept.path())).unwrap();
            assert_eq!(replayed.records, bytes / 100);
        }
        let raw = Recover::Raw { bytes };
        raw.prepare(kept.path()).unwrap();
        assert_eq!(raw.measure(kept.path()).unwrap().records, bytes / 100);
    }

    #[test]
    fn the_high_water_mark_is_in_bytes() {
        assert_eq!(
            high_water("VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(high_water("VmRSS: 1 kB"), None);
    }
}
