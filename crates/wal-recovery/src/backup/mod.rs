//! A copy of a log, made beside its writer.
//!
//! | file | idea |
//! | --- | --- |
//! | here | `Backup`: what may be chosen, and what is promised |
//! | `attempt` | one round: the segments of a survey are brought into the target |
//! | `segment` | one segment copied, and held against what it was copied from |
//! | `report` | what was copied |
//!
//! The source is only read. Everything that is written here is written to the target.
//!
//! A writer goes on meanwhile: it appends, begins segments, removes them, and makes other segments of their files. So
//! what was copied counts only if the name of the segment still leads to it afterwards, by its whole header: no two
//! segments of a log have the same. Otherwise the segments are listed anew, what is still one of them is kept, and the
//! rest is copied.

mod attempt;
mod report;
mod segment;

use std::fmt;
use std::sync::Arc;

use wal_core::{Error, ErrorKind, LogStorage, Result};

use crate::backup::attempt::Attempts;
use crate::memory::Memory;
use crate::mode::{Mode, Verify};
use crate::recovery::Recovery;
use crate::watch::{Callback, Progress, TimeLimit, Watch};

pub use report::BackupReport;

/// Copies a log while it is written, by this process or another one.
///
/// It takes no lock of the source and changes nothing there. The copy is a log that ends at one record: every record
/// that was durable when the backup began is in it, unless a truncation took the record meanwhile. Nothing is in it that
/// was not appended. It may hold later records, and of these such that are not durable in the source yet. There are no
/// gaps in it but those of the source.
///
/// All frames of the copy are checked. Damage of the source is an error, so no backup is damaged without a word. The
/// copy is sealed: it is like a log that was closed.
///
/// ```
/// use wal_core::{Always, MemoryStorage, Wal};
/// use wal_recovery::{Backup, Verdict, inspect};
/// let storage = MemoryStorage::new();
/// let log = Wal::builder(Always).open(storage.clone().into_empty_log()?)?;
/// log.append(b"one")?;
/// let copy = MemoryStorage::new();
/// let report = Backup::new(storage, copy.clone()).run()?;
/// log.append(b"two")?; // the log goes on, and the copy does not change
/// assert_eq!((report.records, report.last_lsn.get()), (1, 1));
/// let found = inspect(copy)?;
/// assert_eq!((found.records, found.verdict()), (1, Verdict::Clean));
/// # Ok::<(), wal_core::Error>(())
/// ```
///
/// # Identity
/// The copy has the identity of the log. If both are written to, they give the same LSNs to different records, and
/// nothing tells the two apart. So write to one of them only.
///
/// # Files
/// To copy into a directory that appears as a whole, use `NewDirectory` of `wal-fs`, or `backup` of `composable-wal`, which
/// does. File systems that share blocks (btrfs, XFS and others) share those of sealed segments: the copy then takes no
/// time and no space, until one of the two files goes.
#[must_use = "nothing is copied yet"]
pub struct Backup {
    source: Arc<dyn LogStorage>,
    target: Arc<dyn LogStorage>,
    memory: u64,
    progress: Option<Callback>,
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup")
            .field("source", &self.source.describe())
            .field("target", &self.target.describe())
            .finish_non_exhaustive()
    }
}

impl Backup {
    /// A backup of the log in `source`, in a storage that is empty.
    pub fn new(source: impl LogStorage, target: impl LogStorage) -> Self {
        let (source, target) = (Arc::new(source), Arc::new(target));
        Backup { source, target, memory: Memory::DEFAULT, progress: None }
    }

    /// How much memory may be used for what is read, in bytes: 1 MiB (1048576) or more; 256 MiB (268435456) if not
    /// called. Segments are copied and checked in pieces; a frame is held as a whole, and may take half of it.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Called about every 256 KiB that are copied and checked, and after each segment. If segments go while they are
    /// copied, what remains is counted anew.
    pub fn progress(mut self, tell: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.progress = Some(Box::new(tell));
        self
    }

    /// Copies the log. It blocks: asynchronous tasks run it on a thread of its own.
    ///
    /// On `Ok`, the copy is durable in the target. After an error, or if the process dies, the target holds some part of
    /// the log, and is to be thrown away: nothing in it says that it is not whole. There is no way to cancel it but that.
    ///
    /// A source of which the front or the end may be missing is copied, and the report says so
    /// ([`findings`](BackupReport::findings)). An empty place is an empty log.
    ///
    /// # Errors
    /// - `Exists`: something is in the target.
    /// - `Corrupt`: a segment of the source is damaged; the error names it. [`Inspect`](crate::Inspect) lists all damage,
    ///   and a recovery with [`Mode::Salvage`] keeps what is readable.
    /// - `NotALog`: the source holds something else. `Unsupported`: a newer build wrote it.
    /// - `NotFound`: segments were removed faster than they could be copied.
    /// - `Full`: the target has no room.
    /// - `OutOfMemory`: a frame is larger than the [limit](Self::memory_limit) allows.
    /// - `Invalid`: the limit is too small.
    /// - The errors of both storages.
    pub fn run(self) -> Result<BackupReport> {
        let Backup { source, target, memory, progress } = self;
        Memory::validate(memory, "back up log")?;
        let there = target.list().wait()?;
        if let Some(what) =
            there.segments.first().map(ToString::to_string).or(there.foreign.into_iter().next())
        {
            return Err(Error::new(ErrorKind::Exists, "back up log")
                .with_detail(format!("{} is not empty: {what} is there", target.describe())));
        }
        let watch = Watch::new(TimeLimit::default(), Memory::new(memory), progress);
        let quiet = Watch::new(TimeLimit::default(), Memory::new(memory), None);
        let copied = {
            let _lock = target.lock().wait()?;
            let copied = Attempts::new(&*source, &*target, &watch, &quiet).run();
            copied.map_err(|error| watch.memory().explain(error))?
        };
        // All frames were checked. What is left is to end the log as every recovery does.
        let recovery = Recovery::new(target).mode(Mode::Strict).verify(Verify::Footers);
        let (recovered, found) = recovery.memory_limit(memory).run()?;
        drop(recovered);
        Ok(BackupReport::new(&found, copied, watch.elapsed()))
    }
}
