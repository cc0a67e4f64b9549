//! Reading a log without opening it.
//!
//! | file | idea |
//! | --- | --- |
//! | here | `View`: the log as it was when somebody began to look |
//! | `survey` | which segments a reader finds |
//! | `records`, `position` | record after record, from segment to segment; the place in one of them |
//! | `following` | whether what is there follows what was read |
//! | `waiting` | when to look again |
//! | `lend`, `read_ahead` | the same, quickly: records that are lent, windows that are read ahead |
//! | `replay` | applying the records to something |

mod following;
mod lend;
mod position;
mod read_ahead;
pub(crate) mod records;
pub(crate) mod replay;
pub(crate) mod survey;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wal_core::format::{Layers, LogId, SegmentHeader};
use wal_core::{Access, Clock, CodecId, ErrorKind, LogStorage, Lsn, Result};

use crate::segment::footer;
use crate::view::records::Records;
use crate::view::survey::Survey;
use crate::watch::TimeLimit;

/// A log that is only read: without a lock, on a read-only medium, beside a running writer.
///
/// What it shows is what the storage shows: records that were written, durable or not. A record that
/// is not durable yet may be gone after a power loss, and one that is truncated while it is being read
/// may still be delivered.
///
/// ```
/// use wal_core::{Always, Lsn, MemoryStorage, Wal};
/// use wal_recovery::View;
/// let storage = MemoryStorage::new();
/// let log = Wal::builder(Always).open(storage.clone().into_empty_log()?)?;
/// log.append(b"one")?;
/// let mut records = View::open(storage)?.records(Lsn::ZERO);
/// assert_eq!(records.next().unwrap()?.record, "one");
/// assert!(records.next().is_none());
/// log.append(b"two")?;
/// assert_eq!(records.next().unwrap()?.record, "two"); // goes on
/// # Ok::<(), wal_core::Error>(())
/// ```
pub struct View {
    storage: Arc<dyn LogStorage>,
    /// Of a replay.
    time: TimeLimit,
    times_ahead: bool,
    skip_corrupted: bool,
    survey: Survey,
    last_known: Lsn,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("storage", &self.storage.describe())
            .field("log_id", &self.log_id())
            .field("first_lsn", &self.first_lsn())
            .field("last_known_lsn", &self.last_known)
            .finish_non_exhaustive()
    }
}

impl View {
    /// Looks at the headers of all segments. An empty place is an empty log.
    ///
    /// # Errors
    /// `NotALog` if the place holds something else, `Unsupported` if a newer build wrote the log,
    /// `Corrupt` if no segment's header can be read, the storage's errors.
    pub fn open(storage: impl LogStorage) -> Result<Self> {
        let storage: Arc<dyn LogStorage> = Arc::new(storage);
        let survey = Survey::take(&*storage, None)?;
        let newest = survey.headers().next_back();
        let last_known = newest.map_or(Ok(Lsn::ZERO), |header| last_known(&*storage, header))?;
        let time = TimeLimit::default();
        Ok(View { storage, time, times_ahead: false, skip_corrupted: false, survey, last_known })
    }

    /// Whether damage is stepped over, to the next frame that can be read, instead of being an error.
    /// What is missing is told by [`Records::holes`] and [`ReplayReport`](crate::ReplayReport).
    #[must_use]
    pub fn skip_corrupted(mut self, skip: bool) -> Self {
        self.skip_corrupted = skip;
        self
    }

    /// How long a [`replay`](Self::replay) may take.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time.limit = Some(limit);
        self
    }

    /// Whether a [`replay`](Self::replay) up to a time ends also in front of a record whose time lies ahead of the clock;
    /// not, if not called.
    ///
    /// If the clock was ahead when records were appended, "until now" would leave out all that follows them, though it is
    /// old. So the replay fails as `Invalid` when it comes to such a record.
    #[must_use]
    pub fn allow_times_ahead(mut self, allow: bool) -> Self {
        self.times_ahead = allow;
        self
    }

    /// Where the time comes from; the operating system if not called.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.time.clock = Arc::new(clock);
        self
    }

    /// The log's identity; `None` if there was no log when this was opened.
    #[must_use]
    pub fn log_id(&self) -> Option<LogId> {
        self.survey.headers().next_back().map(|header| header.log_id)
    }

    /// The codec of the records; `None` if there was no log when this was opened.
    #[must_use]
    pub fn codec(&self) -> Option<CodecId> {
        self.survey.headers().next_back().map(|header| header.codec)
    }

    /// The layers through which the log was written; none if there was no log when this was opened. Records of a layer
    /// hold more than what its user appended.
    #[must_use]
    pub fn layers(&self) -> Layers {
        self.survey.headers().next_back().map_or(Layers::NONE, |header| header.layers)
    }

    /// Where the log started when this was opened.
    #[must_use]
    pub fn first_lsn(&self) -> Lsn {
        self.survey.log_start
    }

    /// The last record that the segments told of when this was opened, without a scan: that of the
    /// newest segment if it is sealed, otherwise that of the one before it.
    #[must_use]
    pub fn last_known_lsn(&self) -> Lsn {
        self.last_known
    }

    /// The headers of the segments when this was opened, ascending.
    #[must_use]
    pub fn headers(&self) -> Vec<SegmentHeader> {
        self.survey.headers().cloned().collect()
    }

    /// The records from `from` on; [`Lsn::ZERO`] means from the start of the log.
    #[must_use]
    pub fn records(&self, from: Lsn) -> Records {
        Records::new(self.storage.clone(), self.survey.clone(), from, self.skip_corrupted)
    }
}

fn last_known(storage: &dyn LogStorage, header: &SegmentHeader) -> Result<Lsn> {
    let segment = match storage.open(header.first_lsn, Access::Read).wait() {
        // The writer has just removed it.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(header.follows),
        outcome => outcome?,
    };
    let len = segment.len().wait()?;
    let footer = footer::find(&*segment, header, len)?;
    let footer = footer.filter(|footer| footer.summary.records > 0);
    Ok(footer.map_or(header.follows, |footer| footer.last_lsn(header.first_lsn)))
}
