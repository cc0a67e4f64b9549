//! What the machine itself can do: the loops that the log is held against.
//!
//! - `file`: a write and a sync, or none, on a growing and on a written file
//! - `direct`: one call that writes past the page cache, and through the device's
//! - `copy`: records with their checksum into memory, without a disk
//! - `commit_groups`: threads that share syncs and are woken as cheaply as can be
//! - `sketch`: tasks that share syncs, in sixty lines
//! - `scan`: reading and checking what was written

mod commit_groups;
mod copy;
mod direct;
mod file;
mod scan;
mod sketch;

use std::io;
use std::path::Path;

use wal_load::{Sample, Timing, Workload, threads};

use super::measure::{Measured, measured};

pub(super) use scan::{build as build_scan, scan};

/// Raw files are this long, and are written round and round: whatever is written lies on blocks that
/// were written before.
const ROUND: u64 = 64 << 20;

/// A baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// `pwrite` and `fdatasync` on a file that grows.
    Growing,
    /// The same on a file that was filled with zeros.
    Written,
    /// `O_DIRECT | O_DSYNC` on such a file, in blocks of so many bytes; the last one is written again.
    Direct(usize),
    /// A 64 KiB buffer of checked records, written to such a file when it is full, and never synced.
    Unsynced,
    /// The same buffer, never written.
    Copy,
    /// Threads in commit groups over [`Raw::Written`].
    CommitGroups,
    /// Threads in commit groups over [`Raw::Direct`].
    DirectCommitGroups,
    /// Tasks that leave wakers, and one committer, over [`Raw::Written`].
    Sketch,
}

/// Appends bytes and returns when they are durable.
trait Disk: Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Raw {
    pub(super) fn name(self) -> String {
        match self {
            Raw::Growing => "raw growing".into(),
            Raw::Written => "raw written".into(),
            Raw::Direct(block) => format!("raw direct {block}"),
            Raw::Unsynced => "raw unsynced".into(),
            Raw::Copy => "raw copy+crc".into(),
            Raw::CommitGroups => "raw commit groups".into(),
            Raw::DirectCommitGroups => "raw commit groups direct".into(),
            Raw::Sketch => "raw sketch".into(),
        }
    }

    /// Runs the workload in an empty directory; says why not where it cannot.
    pub(super) fn measure(
        self,
        dir: &Path,
        load: &Workload,
        timing: &Timing,
    ) -> anyhow::Result<Measured> {
        match self {
            Raw::Growing => alone(file::Growing::create(dir)?, load, timing),
            Raw::Written => alone(file::Written::create(dir)?, load, timing),
            Raw::Direct(block) => match direct::create(dir, block)? {
                Ok(disk) => alone(disk, load, timing),
                Err(why) => Ok(Measured::Skipped(why)),
            },
            Raw::Unsynced => measured(copy::unsynced(file::Written::create(dir)?, load, timing)),
            Raw::Copy => measured(copy::copy(load, timing)),
            Raw::CommitGroups => commit_groups::measure(file::Written::create(dir)?, load, timing),
            Raw::DirectCommitGroups => match direct::create(dir, 4096)? {
                Ok(disk) => commit_groups::measure(disk, load, timing),
                Err(why) => Ok(Measured::Skipped(why)),
            },
            Raw::Sketch => measured(sketch::measure(file::Written::create(dir)?, load, timing)),
        }
    }
}

/// One thread that has the disk to itself.
fn alone(mut disk: impl Disk, load: &Workload, timing: &Timing) -> anyhow::Result<Measured> {
    let bytes = vec![b'r'; load.bytes_per_call()];
    let sample: anyhow::Result<Sample> =
        threads(load, timing, vec![move || Ok(disk.append(&bytes)?)]);
    measured(sample)
}
