//! Reading an open log on a thread: one record, an iterator, a follower.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::inner::Inner;
use crate::io::block_on_within;
use crate::read::Cursor;
use crate::{Clock, Codec, Entry, Error, ErrorKind, Lsn, Result, SystemClock, block_on};

/// Hands everything over that was appended, so that it can be read; returns the last LSN.
fn readable(engine: &Engine) -> Result<Lsn> {
    let last = engine.last_lsn();
    if engine.written_lsn() < last && engine.refusal("read").is_none() {
        engine.write_out()?;
    }
    Ok(last.min(engine.written_lsn()))
}

/// Where to begin for a caller that asked for `from`.
pub(crate) fn start(engine: &Engine, from: Lsn) -> Result<Lsn> {
    let log_start = engine.log_start();
    if from == Lsn::ZERO {
        return Ok(log_start);
    }
    if from < log_start {
        return Err(Error::new(ErrorKind::NotInLog, "read")
            .with_lsn(from)
            .with_detail(format!("truncated; the log starts at LSN {log_start}")));
    }
    Ok(from)
}

pub(crate) fn read<C: Codec>(inner: &Inner<C>, lsn: Lsn) -> Result<Entry<C::Decoded>> {
    let from = start(&inner.engine, lsn.max(Lsn::FIRST))?;
    let upto = readable(&inner.engine)?;
    block_on(read_one(inner, lsn, from, upto))
}

/// Reads the record `lsn` of a log that begins at `from` at the latest and is written up to `upto`.
pub(crate) async fn read_one<C: Codec>(
    inner: &Inner<C>,
    lsn: Lsn,
    from: Lsn,
    upto: Lsn,
) -> Result<Entry<C::Decoded>> {
    let missing =
        |detail: String| Error::new(ErrorKind::NotInLog, "read").with_lsn(lsn).with_detail(detail);
    if lsn != from || lsn > upto {
        return Err(missing(format!("the log ends at LSN {upto}")));
    }
    match Cursor::for_one(inner.engine.clone(), from).next(lsn).await {
        Some(Ok(entry)) if entry.lsn == lsn => Entry::decode(entry, &*inner.codec),
        Some(Err(error)) => Err(error),
        _ => Err(missing("truncated".into())),
    }
}

/// Records of a log, in order. See [`Wal::iter`](crate::Wal::iter).
#[must_use = "an iterator does nothing unless it is asked"]
pub struct Iter<C: Codec> {
    inner: Arc<Inner<C>>,
    cursor: Cursor,
    upto: Lsn,
}

impl<C: Codec> Iter<C> {
    pub(crate) fn new(inner: Arc<Inner<C>>, from: Lsn) -> Result<Self> {
        let upto = readable(&inner.engine)?;
        let cursor = Cursor::new(inner.engine.clone(), start(&inner.engine, from)?);
        Ok(Iter { inner, cursor, upto })
    }
}

impl<C: Codec> Iterator for Iter<C> {
    type Item = Result<Entry<C::Decoded>>;

    fn next(&mut self) -> Option<Self::Item> {
        let raw = block_on(self.cursor.next(self.upto))?;
        Some(self.cursor.decode(raw, &*self.inner.codec))
    }
}

impl<C: Codec> fmt::Debug for Iter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("upto", &self.upto).finish_non_exhaustive()
    }
}

/// Records of a log as they become durable. See [`Wal::follow`](crate::Wal::follow).
///
/// As an iterator it blocks until there is a record, and ends with the log. After its first error it ends, too.
///
/// ```
/// use wal_core::{Always, Followed, Lsn, MemoryStorage, Wal};
/// let log = Wal::builder(Always).open(MemoryStorage::new().into_empty_log()?)?;
/// let mut follower = log.follow(Lsn::ZERO)?;
/// assert!(matches!(follower.try_next()?, Followed::NothingYet));
/// log.append(b"news")?;
/// assert!(matches!(follower.try_next()?, Followed::Record(entry) if entry.record == b"news"[..]));
/// drop(log);
/// assert!(matches!(follower.try_next()?, Followed::Ended));
/// # Ok::<(), wal_core::Error>(())
/// ```
#[must_use = "a follower does nothing unless it is asked"]
pub struct Follow<C: Codec> {
    codec: Arc<C>,
    cursor: Cursor,
}

/// What a follower found that does not wait for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Followed<T> {
    /// The next record.
    Record(Entry<T>),
    /// Every durable record was given. There may be more later.
    NothingYet,
    /// Every durable record was given, and there will be no more: the log was closed, failed, or was dropped.
    Ended,
}

impl<C: Codec> Follow<C> {
    pub(crate) fn new(inner: &Inner<C>, from: Lsn) -> Result<Self> {
        let cursor = Cursor::new(inner.engine.clone(), start(&inner.engine, from)?);
        Ok(Follow { codec: inner.codec.clone(), cursor })
    }

    /// The next record if one is durable. Does not wait.
    ///
    /// # Errors
    /// `Corrupt`, `Io`, `Codec`; `NotInLog` if the record was truncated meanwhile. The follower has ended then.
    pub fn try_next(&mut self) -> Result<Followed<C::Decoded>> {
        self.next_within(Duration::ZERO)
    }

    /// The next record, if one becomes durable within `timeout`.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn next_within(&mut self, timeout: Duration) -> Result<Followed<C::Decoded>> {
        let clock = SystemClock::new();
        loop {
            let upto = self.cursor.durable_lsn();
            if let Some(raw) = block_on(self.cursor.next(upto)) {
                return self.cursor.decode(raw, &*self.codec).map(Followed::Record);
            }
            if self.cursor.has_ended() {
                return Ok(Followed::Ended);
            }
            match block_on_within(self.cursor.news(upto), timeout.saturating_sub(clock.monotonic()))
            {
                Some(Ok(())) => {}
                Some(Err(_)) => return Ok(Followed::Ended),
                None => return Ok(Followed::NothingYet),
            }
        }
    }
}

impl<C: Codec> Iterator for Follow<C> {
    type Item = Result<Entry<C::Decoded>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_within(Duration::MAX) {
            Ok(Followed::Record(entry)) => Some(Ok(entry)),
            Ok(Followed::NothingYet | Followed::Ended) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl<C: Codec> fmt::Debug for Follow<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}
