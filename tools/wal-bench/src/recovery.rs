//! Reading all of a log back.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use wal_core::{Clock, Durability, Lsn, SystemClock, Wal};
use wal_fs::FileStorage;
use wal_load::Sample;
use wal_recovery::{Applied, Recovery, Until, Verify, View};

use super::measure::{Kind, strategy};
use super::raw;
use wal_tool::memory;

const RECORD: usize = 100;

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recover {
    /// A loop over a raw file with as many records, each with a length and a checksum.
    Raw { bytes: u64 },
    /// A view of the log; every record is checked and lent to the caller. In a process of its own, to see
    /// how much memory it takes.
    Visit { bytes: u64, batch: usize },
    /// The same, but the records are given to the caller, who may keep them.
    Replay { bytes: u64, batch: usize },
    /// A recovery that looks at every byte, with as many threads as there are processors, and hands out
    /// nothing.
    Verify { bytes: u64, batch: usize },
}

impl Recover {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Recover::Raw { .. } => Kind::Raw,
            _ => Kind::Ours,
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Recover::Raw { .. } => "raw scan".into(),
            Recover::Visit { .. } => "wal visit".into(),
            Recover::Replay { .. } => "wal replay".into(),
            Recover::Verify { .. } => "wal verify".into(),
        }
    }

    pub(super) fn load(&self) -> String {
        let mib = self.bytes() >> 20;
        match self.batch() {
            None | Some(1) => format!("{mib} MiB of {RECORD}"),
            Some(batch) => format!("{mib} MiB of {batch}x{RECORD}"),
        }
    }

    /// Writes what is to be read, unless it is there.
    pub(super) fn prepare(&self, kept: &Path) -> anyhow::Result<()> {
        let path = self.path(kept);
        if path.exists() {
            return Ok(());
        }
        match self.batch() {
            None => raw::build_scan(&path, self.records(), RECORD),
            Some(batch) => build(&path, self.records(), batch),
        }
    }

    /// Prepared data was written just before, or read in the last round: it lies in the page cache.
    pub(super) fn measure(&self, kept: &Path) -> anyhow::Result<Sample> {
        let path = self.path(kept);
        let sample = match self {
            Recover::Raw { .. } => raw::scan(&path)?,
            Recover::Visit { .. } => replay_apart(&path, false)?,
            Recover::Replay { .. } => replay_apart(&path, true)?,
            Recover::Verify { .. } => verify(&path)?,
        };
        let expected = self.records();
        ensure!(sample.records == expected, "{} of {expected} records were read", sample.records);
        Ok(sample)
    }

    fn records(&self) -> u64 {
        self.bytes() / RECORD as u64
    }

    fn bytes(&self) -> u64 {
        match *self {
            Recover::Raw { bytes }
            | Recover::Visit { bytes, .. }
            | Recover::Replay { bytes, .. }
            | Recover::Verify { bytes, .. } => bytes,
        }
    }

    /// Records of a frame; the raw file has no frames.
    fn batch(&self) -> Option<usize> {
        match *self {
            Recover::Raw { .. } => None,
            Recover::Visit { batch, .. }
            | Recover::Replay { batch, .. }
            | Recover::Verify { batch, .. } => Some(batch),
        }
    }

    fn path(&self, kept: &Path) -> PathBuf {
        match self.batch() {
            None => kept.join("raw"),
            Some(batch) => kept.join(format!("log-{batch}")),
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
fn replay_apart(dir: &Path, given: bool) -> anyhow::Result<Sample> {
    let output = Command::new(std::env::current_exe()?)
        .arg("--replay")
        .arg(dir)
        .args(given.then_some("--given"))
        .output()
        .context("cannot start this program again")?;
    ensure!(output.status.success(), "replay: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("what the replay printed")
}

/// Hands every record to a closure, lent or given, and measures time and memory of this process.
pub(super) fn replay(dir: &Path, given: bool) -> anyhow::Result<Sample> {
    let clock = SystemClock::new();
    let view = View::open(FileStorage::open(dir)?)?;
    let mut bytes = 0;
    let mut take = |record: &[u8]| {
        bytes += std::hint::black_box(record).len();
        Ok(Applied::Applied)
    };
    let report = match given {
        true => view.replay(Lsn::ZERO, Until::End, |entry| take(&entry.record)),
        false => view.visit(Lsn::ZERO, Until::End, |entry| take(entry.record)),
    }?;
    let took = clock.monotonic();
    ensure!(
        bytes as u64 == report.total * RECORD as u64,
        "{bytes} bytes in {} records",
        report.total
    );
    Ok(Sample { peak_memory: memory::peak(), ..Sample::once(report.total, took) })
}

fn verify(dir: &Path) -> anyhow::Result<Sample> {
    let clock = SystemClock::new();
    let recovery = Recovery::new(FileStorage::open(dir)?).verify(Verify::All);
    let (_recovered, report) = recovery.run()?;
    Ok(Sample::once(report.records, clock.monotonic()))
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
            for given in [false, true] {
                let replayed = replay(&verify.path(kept.path()), given).unwrap();
                assert_eq!(replayed.records, bytes / 100);
            }
        }
        let raw = Recover::Raw { bytes };
        raw.prepare(kept.path()).unwrap();
        assert_eq!(raw.measure(kept.path()).unwrap().records, bytes / 100);
    }
}
