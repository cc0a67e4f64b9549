//! The shared log with all of its streams.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use wal_core::format::{LogId, record_overhead};
use wal_core::{Builder, Claim, Codec, Drive, Lsn, Recovered, Result, Wal};

use crate::codec::SharedCodec;
use crate::image::{self, Image};
use crate::positions::{Positions, State};
use crate::truncate::Freed;
use crate::{IterAll, Settings, Stats, Stream, StreamId, StreamStats, scan};

/// An open log that is shared by many streams. Cheap to clone; all clones are the same log.
///
/// Threads and tasks may use it at once. Call [`close`](Self::close) to end; what happens when the last
/// handle is dropped instead is said at [`Wal`].
#[derive(Clone)]
pub struct Streams {
    pub(crate) shared: Arc<Shared>,
}

/// What all handles share.
pub(crate) struct Shared {
    pub(crate) wal: Wal<SharedCodec>,
    pub(crate) settings: Settings,
    pub(crate) states: RwLock<BTreeMap<StreamId, Arc<State>>>,
    /// The shared log's next LSN when it was opened from an image: the image is still its last record.
    pub(crate) image_end: Lsn,
    /// Bytes of frames placed, those found at opening included. Counted beside the shared log's own
    /// lock, so two frames placed at the same time may be counted in the other order.
    bytes: AtomicU64,
    /// How much of it was given back; locked while the shared log is truncated.
    pub(crate) freed: Mutex<Freed>,
}

impl Shared {
    pub(crate) fn states(&self) -> Vec<Arc<State>> {
        let states = self.states.read().unwrap_or_else(PoisonError::into_inner);
        states.values().cloned().collect()
    }

    fn state(&self, id: StreamId) -> Arc<State> {
        let found = self.states.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        found.unwrap_or_else(|| {
            let mut states = self.states.write().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(State::new(id, Positions::new()));
            states.entry(id).or_insert_with(new).clone()
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts a frame; returns how many bytes lie in front of it.
    pub(crate) fn add_bytes(&self, bytes: u64) -> u64 {
        self.bytes.fetch_add(bytes, Ordering::Relaxed)
    }

    /// Counts a frame of one record.
    pub(crate) fn add_record(&self, record: &[u8]) {
        self.add_bytes(record.len() as u64 + record_overhead(1));
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("log", &self.shared.wal)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl Streams {
    /// Opens a recovered log for streams, with the strategy, clock and sizes of `builder`, whose codec is
    /// replaced. An empty place becomes a new log, which nothing is written for yet.
    ///
    /// After a clean close this reads one record. Otherwise it reads all that the log holds, once, to learn
    /// where each stream stands.
    ///
    /// # Errors
    /// `CodecMismatch` if the log is a plain one. `Unsupported`, `Codec` or `Corrupt` for a record that is not
    /// of a stream, or that does not follow the one before it in its stream; both name the record by its
    /// LSN in the shared log. What [`Builder::open`] and reading return.
    pub fn open<C: Codec>(builder: Builder<C>, recovered: Recovered) -> Result<Self> {
        Self::open_with(builder, recovered, Settings::default())
    }

    /// The same, with settings.
    ///
    /// # Errors
    /// As [`open`](Self::open); `Invalid` for a setting out of range.
    pub fn open_with<C: Codec>(
        builder: Builder<C>,
        recovered: Recovered,
        settings: Settings,
    ) -> Result<Self> {
        settings.validate()?;
        let may_end_with_image = image::may_end(&recovered)?;
        let wal = builder.codec(SharedCodec).open(recovered)?;
        let image = if may_end_with_image { image::at_end(&wal)? } else { None };
        let image_end = image.as_ref().map_or(Lsn::ZERO, |_| wal.next_lsn());
        let Image { streams, bytes } = image.map_or_else(|| scan::scan(&wal), Ok)?;
        let states = streams.into_iter().map(|(id, at)| (id, Arc::new(State::new(id, at))));
        let shared = Shared {
            settings,
            states: RwLock::new(states.collect()),
            image_end,
            wal,
            bytes: AtomicU64::new(bytes),
            freed: Mutex::default(),
        };
        Ok(Streams { shared: Arc::new(shared) })
    }

    /// The stream of this name. It need not exist yet: its first append makes it.
    #[must_use]
    pub fn stream(&self, id: impl Into<StreamId>) -> Stream {
        Stream { shared: self.shared.clone(), state: self.shared.state(id.into()) }
    }

    /// The streams that ever had a record, ascending; also those that are empty now.
    #[must_use]
    pub fn ids(&self) -> Vec<StreamId> {
        let states = self.shared.states();
        states.iter().filter(|state| state.lock().exists()).map(|state| state.id).collect()
    }

    /// Reads the records of all streams, each stream's in order, in one pass over the shared log: the way to
    /// replay everything.
    ///
    /// # Errors
    /// A failed write. The items carry reading errors.
    pub fn iter(&self) -> Result<IterAll> {
        IterAll::open(&self.shared)
    }

    /// Makes everything durable that was appended to any stream before this call.
    ///
    /// # Errors
    /// The sync's error, or `Poisoned`, or `Closed`.
    pub fn sync(&self) -> Result<()> {
        self.shared.wal.sync().map(|_| ())
    }

    /// The same, for tasks: everything appended before the first poll. Cancel-safe.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub async fn sync_async(&self) -> Result<()> {
        self.shared.wal.clone().into_async().sync().await.map(|_| ())
    }

    /// Gives back to the storage what no stream needs any more, however little that is. Costs a
    /// checkpoint, a sync and usually a new segment. Returns the LSN at which the shared log starts.
    ///
    /// Truncating a stream does this by itself from [`Settings::reclaim_bytes`] on.
    ///
    /// # Errors
    /// The error of the write or sync, `Poisoned`, `Closed`; `TooLarge` if there are so many streams that the
    /// checkpoint, of up to 30 bytes for each, exceeds the largest record of the shared log. Nothing is
    /// lost then but space.
    pub fn reclaim(&self) -> Result<Lsn> {
        self.shared.reclaim(0)
    }

    /// Makes everything durable, marks the shared log as cleanly closed, and releases it for other
    /// openers. Appends fail with `Closed` from now on; reading goes on. Leaves a record of what is known of
    /// the streams, so that the next opening is quick.
    ///
    /// # Errors
    /// The write's or sync's error, or `Poisoned`. Closing a closed log is `Ok`.
    pub fn close(&self) -> Result<()> {
        self.shared.leave_image();
        self.shared.wal.close()
    }

    /// The same, for tasks. Once polled it happens, also if the future is dropped.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub async fn close_async(&self) -> Result<()> {
        self.shared.leave_image();
        self.shared.wal.clone().into_async().close().await
    }

    /// What is held, and by which stream. Looks at each stream in turn.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let states = shared.states();
        let of = |state: &Arc<State>| StreamStats::of(shared, state);
        let freed = shared.freed.lock().unwrap_or_else(PoisonError::into_inner).bytes;
        Stats {
            log: shared.wal.stats(),
            first_lsn: shared.wal.first_lsn(),
            next_lsn: shared.wal.next_lsn(),
            bytes: shared.bytes().saturating_sub(freed),
            streams: states.iter().map(of).filter(|s| s.next_lsn > Lsn::FIRST).collect(),
        }
    }

    /// What the strategy promises, for the records of all streams together.
    #[must_use]
    pub fn claim(&self) -> Claim {
        self.shared.wal.claim()
    }

    /// The shared log's random identity.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.shared.wal.log_id()
    }

    /// Does one thing that is due; for logs opened with [`Builder::manual_driver`].
    pub fn drive(&self) -> Drive {
        self.shared.wal.drive()
    }
}
