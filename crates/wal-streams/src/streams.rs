//! The shared log with all of its streams.

use std::fmt;
use std::sync::{Arc, PoisonError};

use wal_core::format::{LayerId, Layers, LogId};
use wal_core::{Builder, Claim, Codec, Drive, Lsn, RawCodec, Recovered, Result};

use crate::id::StreamId;
use crate::positions::StreamState;
use crate::read::IterAll;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::stats::{Stats, StreamStats};
use crate::stream::Stream;
use crate::{closing, scan, truncate};

/// The layers of a shared log. They are in each segment's header, so a shared log cannot be opened as a plain one by
/// mistake, nor a plain one as a shared one.
pub(crate) const LAYERS: Layers = Layers::one(LayerId::STREAMS);

/// An open log that is shared by many streams. Cheap to clone; all clones are the same log.
///
/// Threads and tasks may use it at once. Call [`close`](Self::close) to end; what happens when the last
/// handle is dropped instead is said at [`Wal`](wal_core::Wal).
#[derive(Clone)]
pub struct Streams {
    pub(crate) shared: Arc<Shared>,
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
    /// `LayerMismatch` or `CodecMismatch` if the log is a plain one. `Unsupported`, `Codec` or `Corrupt` for a record that is not
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
        let may_end = closing::may_end(&recovered)?;
        let wal = builder.codec(RawCodec).layers(LAYERS).open(recovered)?;
        let left = if may_end { closing::at_end(&wal)? } else { None };
        let closing_end = left.as_ref().map_or(Lsn::ZERO, |_| wal.next_lsn());
        let inventory = left.map_or_else(|| scan::scan(&wal), Ok)?;
        let shared = Shared::new(wal, settings, inventory, closing_end);
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
        self.shared.wal.clone().asynchronous().sync().await.map(|_| ())
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
        truncate::reclaim(&self.shared, 0)
    }

    /// Makes everything durable, marks the shared log as cleanly closed, and releases it for other
    /// openers. Appends fail with `Closed` from now on; reading goes on. Leaves a record of what is known of
    /// the streams, so that the next opening is quick.
    ///
    /// # Errors
    /// The write's or sync's error, or `Poisoned`. Closing a closed log is `Ok`.
    pub fn close(&self) -> Result<()> {
        closing::leave(&self.shared);
        self.shared.wal.close()
    }

    /// The same, for tasks. Once polled it happens, also if the future is dropped.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    pub async fn close_async(&self) -> Result<()> {
        closing::leave(&self.shared);
        self.shared.wal.clone().asynchronous().close().await
    }

    /// What is held, and by which stream. Looks at each stream in turn.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let states = shared.states();
        let of = |state: &Arc<StreamState>| StreamStats::of(shared, state);
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
