//! The usual composition: files, recovery, group commit.

use std::fmt;
use std::path::Path;

use wal_core::format::Layers;
use wal_fs::FileStorage;
use wal_recovery::{Mode, Recovery, Report};
use wal_sync::GroupCommit;

use crate::{AsyncWal, Codec, LogStorage, RawCodec, Result, Settings, SyncStrategy, Wal};

/// Opens the log in a directory, or begins one there: on ordinary files, recovered, with group commit.
///
/// Every append is durable when it returns, and threads that append at the same time share a sync. A torn tail of an
/// earlier crash is cut; the report says so. The directory is created if need be.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// let (log, report) = composable_wal::open(&dir)?;
/// println!("{report}");
/// let lsn = log.append(b"a record")?;
/// assert_eq!(log.read(lsn)?.record, "a record");
/// # Ok::<(), composable_wal::Error>(())
/// ```
///
/// # Errors
/// - `Locked`: another process has the log open.
/// - `Corrupt`: bytes that had been durable are damaged. `Options` with another [`Mode`], or the command `wal repair`.
/// - `CodecMismatch`, `LayerMismatch`: the log was written with another codec, or through layers such as streams. Nothing
///   was changed, not even a torn tail was cut.
/// - `NotALog`, `Denied`, `Full`, `Unsupported`, `Io`.
pub fn open(dir: impl AsRef<Path>) -> Result<(Wal, Report)> {
    Options::new().open(dir)
}

/// The same for asynchronous tasks, on any runtime.
///
/// Recovering the log is done on the calling thread, before any task runs.
///
/// # Errors
/// As [`open`].
pub fn open_async(dir: impl AsRef<Path>) -> Result<(AsyncWal, Report)> {
    Options::new().open_async(dir)
}

/// The usual composition with some parts chosen.
///
/// ```
/// use composable_wal::{Options, Settings, sync::Batch};
/// # let dir = tempfile::tempdir().unwrap();
/// let (log, _) = Options::new()
///     .strategy(Batch::of_records(100)?) // a power loss may take 99 records
///     .settings(Settings::default().segment_size(16 << 20))
///     .open(&dir)?;
/// assert_eq!(log.claim().power_loss.records, Some(99));
/// # Ok::<(), composable_wal::Error>(())
/// ```
///
/// A typed log (feature `codec`):
///
#[cfg_attr(feature = "codec", doc = "```")]
#[cfg_attr(not(feature = "codec"), doc = "```ignore")]
/// use composable_wal::{Options, codec::Json};
/// # #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)] enum Event { Opened { account: u64 } }
/// # let dir = tempfile::tempdir().unwrap();
/// let (log, _) = Options::new().codec(Json::<Event>::new()).open(&dir)?;
/// let lsn = log.append(&Event::Opened { account: 7 })?;
/// assert_eq!(log.read(lsn)?.record, Event::Opened { account: 7 });
/// # Ok::<(), composable_wal::Error>(())
/// ```
#[must_use = "nothing is opened yet"]
pub struct Options<C = RawCodec> {
    strategy: Box<dyn SyncStrategy>,
    codec: C,
    settings: Settings,
    mode: Mode,
}

impl Options {
    /// Group commit, bytes as records, default settings, and a recovery that cuts a torn tail.
    pub fn new() -> Self {
        Options {
            strategy: Box::new(GroupCommit::new()),
            codec: RawCodec,
            settings: Settings::default(),
            mode: Mode::default(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Codec> Options<C> {
    /// When appends are acknowledged, and what a crash may cost.
    pub fn strategy(mut self, strategy: impl SyncStrategy) -> Self {
        self.strategy = Box::new(strategy);
        self
    }

    /// How records become bytes.
    pub fn codec<D: Codec>(self, codec: D) -> Options<D> {
        let Options { strategy, settings, mode, .. } = self;
        Options { strategy, codec, settings, mode }
    }

    /// Sizes and limits.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What a recovery does about torn tails and damage.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Opens the log in a directory, on ordinary files.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(self, dir: impl AsRef<Path>) -> Result<(Wal<C>, Report)> {
        self.open_on(FileStorage::create(dir)?)
    }

    /// Opens the log in a directory, on ordinary files, for asynchronous tasks.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open_async(self, dir: impl AsRef<Path>) -> Result<(AsyncWal<C>, Report)> {
        self.open(dir).map(|(log, report)| (log.asynchronous(), report))
    }

    /// Opens the log on any storage.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open_on(self, storage: impl LogStorage) -> Result<(Wal<C>, Report)> {
        // A recovery repairs, and the log's own codec comes first: nothing is repaired for an opening that is refused.
        let recovery =
            Recovery::new(storage).mode(self.mode).codec(self.codec.id()).layers(Layers::NONE);
        // What can be written with these settings can be read.
        let frames = self.settings.buffer_bytes.saturating_mul(4);
        let recovery = recovery.memory_limit(frames.max(Recovery::MEMORY_LIMIT));
        let (recovered, report) = recovery.run()?;
        let builder = Wal::builder(self.strategy).codec(self.codec).settings(self.settings);
        Ok((builder.open(recovered)?, report))
    }

    /// Opens the log on any storage, for asynchronous tasks.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open_async_on(self, storage: impl LogStorage) -> Result<(AsyncWal<C>, Report)> {
        self.open_on(storage).map(|(log, report)| (log.asynchronous(), report))
    }
}

impl<C> fmt::Debug for Options<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("strategy", &self.strategy.name())
            .field("settings", &self.settings)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
