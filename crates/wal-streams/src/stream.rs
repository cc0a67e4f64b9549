//! The handle of one stream.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use wal_core::{Durability, Entry, Error, ErrorKind, Lsn, LsnRange, Result};

use crate::append::{self, Submitted};
use crate::id::StreamId;
use crate::positions::StreamState;
use crate::read::Iter;
use crate::shared::Shared;
use crate::stats::StreamStats;
use crate::truncate;

/// One stream of a shared log, with its own LSNs. Cheap to clone; all clones are the same stream.
///
/// A stream exists from its first append on. For appending threads and tasks alike; tasks use
/// [`submit`](Self::submit) and `.await` what it returns.
#[derive(Clone)]
pub struct Stream {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Arc<StreamState>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.id())
            .field("first_lsn", &self.first_lsn())
            .field("last_lsn", &self.last_lsn())
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.state.id
    }

    /// Appends a record and returns when the shared log's strategy says so.
    ///
    /// # Errors
    /// `TooLarge` before anything was written (the limits of the shared log hold for the record with its
    /// lead of up to 26 bytes); `Poisoned` or the error itself if a write or sync failed: the record may
    /// or may not be there after the next recovery; `Closed`.
    pub fn append(&self, record: &[u8]) -> Result<Lsn> {
        self.append_with(record, None)
    }

    /// Appends a record and returns when it is as safe as asked; `None` leaves that to the strategy.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_with(
        &self,
        record: &[u8],
        durability: impl Into<Option<Durability>>,
    ) -> Result<Lsn> {
        self.submit_with(record, durability)?.wait().map(|range| range.last)
    }

    /// Appends records as one frame: after a crash all of them are there, or none.
    ///
    /// # Errors
    /// As [`append`](Self::append); `Invalid` for an empty batch.
    pub fn append_batch<R: Borrow<[u8]>>(&self, records: &[R]) -> Result<LsnRange> {
        self.append_batch_with(records, None)
    }

    /// Appends an atomic batch and returns when it is as safe as asked; `None` leaves that to the strategy.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch).
    pub fn append_batch_with<R: Borrow<[u8]>>(
        &self,
        records: &[R],
        durability: impl Into<Option<Durability>>,
    ) -> Result<LsnRange> {
        self.submit_batch_with(records, durability)?.wait()
    }

    /// Appends a record and returns before it is acknowledged. Its LSN is settled; [`Submitted`] waits for
    /// the rest, on a thread or in a task. Blocks only if the shared log's buffer is full, until it was written; if a segment
    /// ends there, for a rotation as well, which is two syncs and a new segment.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn submit(&self, record: &[u8]) -> Result<Submitted<'_>> {
        self.submit_with(record, None)
    }

    /// The same, acknowledged when it is as safe as asked; `None` leaves that to the strategy.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn submit_with(
        &self,
        record: &[u8],
        durability: impl Into<Option<Durability>>,
    ) -> Result<Submitted<'_>> {
        append::submit(&self.shared, &self.state, &[record], durability.into())
    }

    /// Appends an atomic batch and returns before it is acknowledged.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch).
    pub fn submit_batch<R: Borrow<[u8]>>(&self, records: &[R]) -> Result<Submitted<'_>> {
        self.submit_batch_with(records, None)
    }

    /// The same, acknowledged when it is as safe as asked; `None` leaves that to the strategy.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch).
    pub fn submit_batch_with<R: Borrow<[u8]>>(
        &self,
        records: &[R],
        durability: impl Into<Option<Durability>>,
    ) -> Result<Submitted<'_>> {
        append::submit(&self.shared, &self.state, records, durability.into())
    }

    /// Reads the stream's records from `from` on, up to the last one appended before this call; from its
    /// start if `from` is [`Lsn::ZERO`]. Finds everything that was appended, durable or not.
    ///
    /// Reads the shared log from an indexed place in front of `from`, and passes over other streams'
    /// records. The iterator ends after its first error. Each record is a view into a buffer of up to
    /// 1 MiB, which stays in memory as long as the record does.
    ///
    /// # Errors
    /// `NotInLog` if `from` was truncated; a failed write. The items carry reading errors.
    pub fn iter(&self, from: Lsn) -> Result<Iter> {
        Iter::open(&self.shared, &self.state, from)
    }

    /// Reads one record. Costs as much as finding it: see [`iter`](Self::iter).
    ///
    /// # Errors
    /// `NotInLog` if there is no such record, `Corrupt` if it is damaged, `Io`.
    pub fn read(&self, lsn: Lsn) -> Result<Entry<Bytes>> {
        match self.iter(lsn.max(Lsn::FIRST))?.next() {
            Some(Ok(entry)) if entry.lsn == lsn => Ok(entry),
            Some(Err(error)) => Err(error),
            _ => Err(Error::new(ErrorKind::NotInLog, "read stream")
                .with_lsn(lsn)
                .with_detail(format!("stream {} ends at LSN {}", self.id(), self.last_lsn()))),
        }
    }

    /// Removes the stream's records before `lsn` and returns the LSN at which it starts now. Durable on
    /// return. Other streams are not touched.
    ///
    /// Exact: a record before `lsn` never comes back. An `lsn` behind the end empties the stream, which
    /// goes on counting. The shared log is truncated as well if that frees
    /// [`reclaim_bytes`](crate::Settings::reclaim_bytes). Blocks: in a task, use a thread for it.
    ///
    /// # Errors
    /// The error of the write or sync, `Poisoned`, `Closed`. The stream may or may not be truncated then.
    pub fn truncate_before(&self, lsn: Lsn) -> Result<Lsn> {
        let start = truncate::stream(&self.shared, &self.state, lsn)?;
        truncate::reclaim(&self.shared, self.shared.settings.reclaim_bytes)?;
        Ok(start)
    }

    /// The first record's LSN; that of the next append if the stream is empty.
    #[must_use]
    pub fn first_lsn(&self) -> Lsn {
        self.state.lock().start
    }

    /// The last record's LSN; before [`first_lsn`](Self::first_lsn) if the stream is empty.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        self.state.lock().next.prev()
    }

    /// The LSN that the next append will get.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.state.lock().next
    }

    /// Every record of the stream up to here survives a power loss. Never goes back.
    ///
    /// With more than 64 frames unsynced it may lag behind what the disk holds; it is exact when
    /// the stream's last append is durable.
    #[must_use]
    pub fn durable_lsn(&self) -> Lsn {
        let durable = self.shared.wal.durable_lsn();
        self.state.lock().marks.durable(durable)
    }

    /// Where it stands, and how much of the shared log it keeps.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        StreamStats::of(&self.shared, &self.state)
    }
}
