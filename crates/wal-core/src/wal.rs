//! The handle for threads that may block.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::engine::{Drive, Driver, Engine, Many, One};
use crate::format::LogId;
use crate::inner::Inner;
use crate::iter::{self, Follow, Iter};
use crate::{
    AsyncWal, Builder, Claim, Codec, Durability, Entry, LogStorage, Lsn, LsnRange, RawCodec,
    Result, Stats, Submitted, SyncStrategy,
};

/// An open write-ahead log, for threads.
///
/// Cheap to clone; all clones, and the [`AsyncWal`]s made from them, are the same log. A thread that
/// needs a sync performs it itself, or is woken by the thread that did: no other thread takes part.
///
/// Call [`close`](Self::close) to end. When the last handle is dropped instead, what was acknowledged
/// is handed to the storage, and a sync that the strategy had planned is made, so that a claim bounded
/// in time holds beyond the handle. But errors are lost then, and the next opening has to scan the last
/// segment.
///
/// ```
/// use wal_core::{Always, MemoryStorage, Wal};
/// // Real programs use `wal_recovery::Recovery::new(storage).run()?`, and a strategy of `wal-sync`.
/// let recovered = MemoryStorage::new().into_empty_log()?;
/// let log = Wal::builder(Always).open(recovered)?;
/// let lsn = log.append(b"first")?;
/// assert_eq!(log.durable_lsn(), lsn);
/// assert_eq!(log.read(lsn)?.record, &b"first"[..]);
/// log.close()?;
/// # Ok::<(), wal_core::Error>(())
/// ```
pub struct Wal<C = RawCodec> {
    pub(crate) inner: Arc<Inner<C>>,
}

impl<C> Clone for Wal<C> {
    fn clone(&self) -> Self {
        Wal { inner: self.inner.clone() }
    }
}

impl<C> fmt::Debug for Wal<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = &self.inner.engine;
        f.debug_struct("Wal")
            .field("storage", &engine.storage.describe())
            .field("strategy", &engine.strategy.name())
            .field("last_lsn", &engine.last_lsn())
            .field("durable_lsn", &engine.durable_lsn())
            .finish()
    }
}

impl Wal {
    /// Starts putting a log together.
    #[must_use]
    pub fn builder(strategy: impl SyncStrategy) -> Builder {
        Builder::new(Box::new(strategy))
    }
}

impl<C: Codec> Wal<C> {
    pub(crate) fn new(engine: Arc<Engine>, driver: Driver, codec: C) -> Self {
        Wal { inner: Arc::new(Inner::new(engine, driver, codec)) }
    }

    fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Appends a record and returns when the log's strategy says so.
    ///
    /// # Errors
    /// `TooLarge` and `Codec` before anything was written; `Poisoned` or the error itself if a write
    /// or sync failed: the record may or may not be there after the next recovery; `Closed`.
    pub fn append(&self, record: &C::Record) -> Result<Lsn> {
        self.append_with(record, None)
    }

    /// Appends a record and returns when it is as safe as asked, whatever the strategy; `None` leaves that to the
    /// strategy.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_with(
        &self,
        record: &C::Record,
        durability: impl Into<Option<Durability>>,
    ) -> Result<Lsn> {
        let one = One { codec: &*self.inner.codec, record };
        self.engine().append(&one, durability.into()).map(|range| range.last)
    }

    /// Appends records as one frame: after a crash all of them are there, or none.
    ///
    /// # Errors
    /// As [`append`](Self::append); `Invalid` for an empty batch.
    pub fn append_batch<R: Borrow<C::Record>>(&self, records: &[R]) -> Result<LsnRange> {
        self.append_batch_with(records, None)
    }

    /// Appends an atomic batch and returns when it is as safe as asked.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch).
    pub fn append_batch_with<R: Borrow<C::Record>>(
        &self,
        records: &[R],
        durability: impl Into<Option<Durability>>,
    ) -> Result<LsnRange> {
        self.engine().append(&Many { codec: &*self.inner.codec, records }, durability.into())
    }

    /// Appends a record and returns before it is acknowledged: its place in the log is settled, and
    /// [`Submitted::wait`] waits for the rest. Blocks only if the log's buffer is full.
    ///
    /// ```
    /// # use wal_core::{Always, MemoryStorage, Wal};
    /// # let log = Wal::builder(Always).open(MemoryStorage::new().into_empty_log()?)?;
    /// let debit = log.submit(b"debit")?;
    /// let credit = log.submit(b"credit")?;
    /// // One sync covers both.
    /// debit.wait()?;
    /// credit.wait()?;
    /// # Ok::<(), wal_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn submit(&self, record: &C::Record) -> Result<Submitted<'_>> {
        self.submit_with(record, None)
    }

    /// The same, acknowledged when it is as safe as asked; `None` leaves that to the strategy.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn submit_with(
        &self,
        record: &C::Record,
        durability: impl Into<Option<Durability>>,
    ) -> Result<Submitted<'_>> {
        self.engine().submit(&One { codec: &*self.inner.codec, record }, durability.into())
    }

    /// Appends an atomic batch and returns before it is acknowledged.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch).
    pub fn submit_batch<R: Borrow<C::Record>>(&self, records: &[R]) -> Result<Submitted<'_>> {
        self.submit_batch_with(records, None)
    }

    /// The same, acknowledged when it is as safe as asked; `None` leaves that to the strategy.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch).
    pub fn submit_batch_with<R: Borrow<C::Record>>(
        &self,
        records: &[R],
        durability: impl Into<Option<Durability>>,
    ) -> Result<Submitted<'_>> {
        self.engine().submit(&Many { codec: &*self.inner.codec, records }, durability.into())
    }

    /// Makes everything durable that was appended before this call; returns the last such LSN.
    ///
    /// # Errors
    /// The sync's error, or `Poisoned`, or `Closed`.
    pub fn sync(&self) -> Result<Lsn> {
        self.engine().sync()
    }

    /// Waits until `lsn` is durable, and starts a sync if it was appended. If it was not, waits for the
    /// append as well; then a sync is started unless the strategy has planned one.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn wait_durable(&self, lsn: Lsn) -> Result<()> {
        self.engine().wait_durable(lsn)
    }

    /// Reads one record. Finds everything that was appended, durable or not.
    ///
    /// # Errors
    /// `NotInLog` if there is no such record, `Corrupt` if it is damaged, `Codec`, `Io`.
    pub fn read(&self, lsn: Lsn) -> Result<Entry<C::Decoded>> {
        iter::read(&self.inner, lsn)
    }

    /// Reads the records from `from` on up to the last one appended before this call. [`Lsn::ZERO`] stands for
    /// the first record that there is; any other `from` in front of that was truncated, which is an error.
    ///
    /// The iterator ends after its first error. Each record it yields is a view into a buffer of up to
    /// 1 MiB, which stays in memory as long as the record does. The iterator keeps the log open.
    ///
    /// # Errors
    /// `NotInLog` if `from` was truncated; a failed write. The items carry reading errors.
    pub fn iter(&self, from: Lsn) -> Result<Iter<C>> {
        Iter::new(self.inner.clone(), from)
    }

    /// Reads the records from `from` on, each as soon as it is durable; blocks when there is none.
    /// [`Lsn::ZERO`] stands for the first record that there is.
    ///
    /// Ends when the log is closed, when it fails, and when its last handle is dropped: a follower does not keep
    /// the log open. [`Follow::try_next`] and [`Follow::next_within`] do not block for ever.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wal_core::{Always, Followed, Lsn, MemoryStorage, Wal};
    ///
    /// let log = Wal::builder(Always).open(MemoryStorage::new().into_empty_log()?)?;
    /// let mut follower = log.follow(Lsn::ZERO)?;
    /// let consumer = std::thread::spawn(move || {
    ///     let mut seen = Vec::new();
    ///     loop {
    ///         match follower.next_within(Duration::from_secs(1))? {
    ///             Followed::Record(entry) => seen.push(entry.record),
    ///             Followed::Ended => return Ok(seen),
    ///             _ => {} // nothing for a second: time to look after something else
    ///         }
    ///     }
    /// });
    /// log.append(b"one")?;
    /// log.append(b"two")?;
    /// log.close()?; // ends the follower, once it has seen everything
    /// let seen: wal_core::Result<_> = consumer.join().unwrap();
    /// assert_eq!(seen?, ["one", "two"]);
    /// # Ok::<(), wal_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NotInLog` if `from` was truncated.
    pub fn follow(&self, from: Lsn) -> Result<Follow<C>> {
        Follow::new(&self.inner, from)
    }

    /// Runs something while no truncation runs, so that no segment is removed meanwhile. A truncation and
    /// [`close`](Self::close) wait for it; appends do not.
    ///
    /// In `run`, do not truncate or close this log: the call would wait for itself.
    ///
    /// ```
    /// use wal_core::{Always, MemoryStorage, Wal};
    /// let log = Wal::builder(Always).open(MemoryStorage::new().into_empty_log()?)?;
    /// log.append(b"one")?;
    /// let segments = log.without_truncation(|| log.storage().list().wait())?.segments;
    /// assert_eq!(segments.len(), 1);
    /// # Ok::<(), wal_core::Error>(())
    /// ```
    pub fn without_truncation<T>(&self, run: impl FnOnce() -> T) -> T {
        self.inner.engine.without_truncation(run)
    }

    /// Removes all records before `lsn` and returns the LSN at which the log starts now.
    ///
    /// Exact: a record before `lsn` never comes back. If no record has this number, the log starts with the next one that
    /// there is, which is what is returned. Whole segments are given back to the storage.
    /// Costs a new segment, whose header says where the log starts. An `lsn` behind the end empties the log, which goes on
    /// counting.
    ///
    /// A crash leaves all of it or nothing. It may use the storage's [reserve](crate::LogStorage::fill_reserve), so it works
    /// on a full disk. If there is none, the oldest segment is removed first, to make room: then a crash may leave a log
    /// without that one, and the next recovery reports it. Others append while segments are removed; another truncation and
    /// [`close`](Self::close) wait for it.
    ///
    /// After a checkpoint the records in it are not needed any more. The checkpoint must be durable first:
    ///
    /// ```
    /// use wal_core::{Always, Lsn, MemoryStorage, Wal};
    /// # let dir = std::env::temp_dir().join(format!("wal-checkpoint-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir)?;
    /// # let path = dir.join("checkpoint");
    /// let log = Wal::builder(Always).open(MemoryStorage::new().into_empty_log()?)?;
    /// let mut sum = 0;
    /// for n in 1..=10_u8 {
    ///     log.append(&[n])?;
    ///     sum += u64::from(n);
    /// }
    /// // 1. What the state is, and up to which record; in a file that replaces the last checkpoint when it is whole.
    /// let upto = log.last_lsn();
    /// let written = std::fs::File::create(path.with_extension("new"))?;
    /// std::io::Write::write_all(&mut &written, format!("{upto} {sum}").as_bytes())?;
    /// written.sync_all()?;
    /// std::fs::rename(path.with_extension("new"), &path)?;
    /// # #[cfg(unix)]
    /// std::fs::File::open(path.parent().unwrap())?.sync_all()?; // the name, too
    ///
    /// // 2. Only then what it makes superfluous.
    /// log.truncate_before(upto.next())?;
    /// assert_eq!(log.append(&[11])?, Lsn::new(11));
    ///
    /// // After a restart: the checkpoint, then the records behind it. A crash between 1 and 2 leaves earlier ones.
    /// let saved = std::fs::read_to_string(&path)?;
    /// let (upto, sum) = saved.split_once(' ').unwrap();
    /// let upto = Lsn::new(upto.parse()?);
    /// let mut sum: u64 = sum.parse()?;
    /// for entry in log.iter(Lsn::ZERO)? {
    ///     let entry = entry?;
    ///     if entry.lsn > upto {
    ///         sum += u64::from(entry.record[0]);
    ///     }
    /// }
    /// assert_eq!(sum, 66);
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub fn truncate_before(&self, lsn: Lsn) -> Result<Lsn> {
        self.engine().truncate_before(lsn)
    }

    /// Removes all records after `lsn` and returns the last one that is left.
    ///
    /// Their LSNs are not given out again: the next append continues behind them, and readers step over
    /// the gap. Durable on return.
    ///
    /// # Errors
    /// As [`sync`](Self::sync); `NotInLog` if `lsn` lies before the start of the log.
    pub fn truncate_after(&self, lsn: Lsn) -> Result<Lsn> {
        self.engine().truncate_after(lsn)
    }

    /// Makes everything durable, marks the log as cleanly closed, and releases it for other openers.
    /// Appends on other clones fail with `Closed` from now on; reading goes on.
    ///
    /// # Errors
    /// The write's or sync's error, or `Poisoned`. The log is then not marked, and the next opening
    /// recovers it. Closing a closed log is `Ok`.
    pub fn close(&self) -> Result<()> {
        self.engine().close()
    }

    /// The first record's LSN; that of the next append if the log is empty.
    #[must_use]
    pub fn first_lsn(&self) -> Lsn {
        self.engine().first_lsn()
    }

    /// The last record's LSN; before [`first_lsn`](Self::first_lsn) if the log is empty.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        self.engine().last_lsn()
    }

    /// The LSN that the next append will get.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.engine().next_lsn()
    }

    /// Every record up to here survives a power loss. Never goes back.
    #[must_use]
    pub fn durable_lsn(&self) -> Lsn {
        self.engine().durable_lsn()
    }

    /// Every record up to here survives a process crash. Never goes back.
    #[must_use]
    pub fn written_lsn(&self) -> Lsn {
        self.engine().written_lsn()
    }

    /// The log's random identity.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.engine().log_id()
    }

    /// Where the log lives; for who reads it beside this value, such as a view of it or a backup.
    ///
    /// Only the log may change what is there.
    #[must_use]
    pub fn storage(&self) -> Arc<dyn LogStorage> {
        self.engine().storage.clone()
    }

    /// What the strategy promises. For a power loss that is nothing (*unbounded*) if the storage says that it survives
    /// a process crash and no power loss ([`Capabilities`](crate::Capabilities)): one of files, for example, where
    /// directories cannot be synced. Of a storage that survives neither, such as memory, no claim speaks.
    #[must_use]
    pub fn claim(&self) -> Claim {
        self.engine().claim()
    }

    /// Counters since the log was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine().stats()
    }

    /// Does one thing that is due; for logs opened with
    /// [`manual_driver`](Builder::manual_driver).
    pub fn drive(&self) -> Drive {
        self.engine().step()
    }

    /// Whether a thread is in the middle of a write, of a rotation or of a truncation, so that the next write waits
    /// for it. For a simulation that plays several threads on one, and may not wait for itself.
    #[doc(hidden)]
    #[must_use]
    pub fn is_writing(&self) -> bool {
        self.engine().is_writing()
    }

    /// The same log, for asynchronous tasks.
    #[must_use]
    pub fn asynchronous(&self) -> AsyncWal<C> {
        AsyncWal { inner: self.inner.clone() }
    }
}
