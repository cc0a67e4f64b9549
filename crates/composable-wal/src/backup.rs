//! A copy of a log in a directory of its own.
//!
//! `wal-core` knows no files, and `wal-recovery` makes no directories. So the two are put together here, and the method of
//! the open log is a trait.

use std::path::Path;

use wal_fs::NewDirectory;
use wal_recovery::{Backup, BackupReport};

use crate::{Codec, LogStorage, Result, Wal};

/// Copies a log into a new directory, beside its writer in this process or another one.
///
/// The directory must not be there, or be empty. It appears when everything is copied, checked and durable; before, it is
/// called `DIR.unfinished`. What an interrupted backup left there is removed by the next one. For the memory that it may
/// use, and to be told how far it is, put [`Backup`] and [`NewDirectory`] together in the same way.
///
/// ```
/// # let temp = tempfile::tempdir().unwrap();
/// # let (dir, copy) = (temp.path().join("log"), temp.path().join("copy"));
/// use composable_wal::fs::FileStorage;
/// let (log, _) = composable_wal::open(&dir)?;
/// log.append(b"a record")?;
/// // In any process; the log stays open in this one.
/// let report = composable_wal::backup(FileStorage::open(&dir)?, &copy)?;
/// assert_eq!((report.records, report.last_lsn), (1, log.last_lsn()));
/// # Ok::<(), composable_wal::Error>(())
/// ```
///
/// # Errors
/// - `Exists`: the directory is there and not empty, or something else is in the way.
/// - `Locked`: another process is copying into this directory.
/// - As [`Backup::run`]. There is no directory then.
pub fn backup(source: impl LogStorage, dir: impl AsRef<Path>) -> Result<BackupReport> {
    let new = NewDirectory::begin(dir)?;
    let report = Backup::new(source, new.storage()?).run()?;
    new.finish()?;
    Ok(report)
}

/// [`backup`](WalBackup::backup) for an open log.
pub trait WalBackup {
    /// Makes durable what was appended, and copies the log into a new directory.
    ///
    /// - **On `Ok`**: every record whose append returned before this call is in the copy, unless it was truncated before. So
    ///   may later ones be. The directory has its name, and all of it is durable.
    /// - **On `Err`**: there is no directory of this name. It is that of the [sync](Wal::sync), or of [`backup`]. A sync
    ///   that failed poisons the log, as always.
    /// - **If the process dies meanwhile**: there is no directory of this name.
    /// - **Concurrency**: the log goes on: other threads append and read. Truncations and closing wait until it is copied.
    ///
    /// It blocks for as long as it takes to copy the log. In asynchronous code run it on a thread of its own; there is no
    /// way to cancel it.
    ///
    /// The copy has the identity of the log. If both are appended to, the same LSNs go to different records.
    ///
    /// ```
    /// # let temp = tempfile::tempdir().unwrap();
    /// # let (dir, copy) = (temp.path().join("log"), temp.path().join("copy"));
    /// use composable_wal::WalBackup;
    /// let (log, _) = composable_wal::open(&dir)?;
    /// log.append(b"one")?;
    /// let report = log.backup(&copy)?;
    /// println!("{report}"); // 1 records, LSN 1 to 1; ...
    /// log.append(b"two")?;
    ///
    /// let (restored, _) = composable_wal::open(&copy)?;
    /// assert_eq!(restored.last_lsn(), report.last_lsn);
    /// assert_eq!(restored.read(report.last_lsn)?.record, "one");
    /// # Ok::<(), composable_wal::Error>(())
    /// ```
    ///
    /// # Errors
    /// As said above.
    fn backup(&self, dir: impl AsRef<Path>) -> Result<BackupReport>;
}

impl<C: Codec> WalBackup for Wal<C> {
    fn backup(&self, dir: impl AsRef<Path>) -> Result<BackupReport> {
        self.sync()?;
        // A segment that went while it is copied would have to be looked for elsewhere.
        self.without_truncation(|| backup(self.storage(), dir))
    }
}
