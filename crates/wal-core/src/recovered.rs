//! The proof that a log was recovered, without which none can be opened.

use std::fmt;
use std::sync::Arc;

use crate::format::{LogId, SegmentHeader, SegmentSummary};
use crate::{CodecId, Event, LogStorage, Lsn, StorageLock, Timestamp};

/// A segment as recovery left it: durable and readable from its first frame to its last.
#[derive(Clone, Debug)]
pub struct RecoveredSegment {
    /// Its header.
    pub header: SegmentHeader,
    /// Its frames, as counted while scanning or as told by its footer.
    pub summary: SegmentSummary,
    /// Its last valid record; later ones are void. Before `first_lsn` if it holds none.
    pub last_lsn: Lsn,
}

/// A recovered log: the storage, its lock, and what is in it.
///
/// [`Builder::open`](crate::Builder::open) takes this by value, so that no log is ever appended to that
/// nobody scanned. `wal-recovery` makes it.
///
/// # Contract for implementors of a recovery
/// - Every record of `segments` survives a power loss from now on.
/// - `segments` are ascending, and no byte behind a segment's last frame can be taken for a frame.
/// - `next_generation` is larger than any generation that the storage may still hold.
/// - `lock` is the lock of `storage`.
#[derive(Debug)]
pub struct Recovered {
    /// Where the log lives.
    pub storage: Arc<dyn LogStorage>,
    /// The one-writer lock, held since before the scan.
    pub lock: StorageLock,
    /// The log's identity; a fresh one for an empty place.
    pub log_id: LogId,
    /// The codec of the records; `None` for an empty place.
    pub codec: Option<CodecId>,
    /// Ascending.
    pub segments: Vec<RecoveredSegment>,
    /// The last record; before `log_start` if there is none.
    pub last_lsn: Lsn,
    /// The LSN of the next append.
    pub next_lsn: Lsn,
    /// The first record; `next_lsn` if there is none.
    pub log_start: Lsn,
    /// The generation of the next segment.
    pub next_generation: u64,
    /// The time of the last record.
    pub last_time: Timestamp,
    /// What recovery changed, for the log's observer.
    pub events: Vec<Event>,
}

impl Recovered {
    /// A log that holds nothing yet, in a place that holds nothing at all.
    #[must_use]
    pub fn empty(storage: Arc<dyn LogStorage>, lock: StorageLock, log_id: LogId) -> Self {
        Recovered {
            storage,
            lock,
            log_id,
            codec: None,
            segments: Vec::new(),
            last_lsn: Lsn::ZERO,
            next_lsn: Lsn::FIRST,
            log_start: Lsn::FIRST,
            next_generation: 1,
            last_time: Timestamp::EPOCH,
            events: Vec::new(),
        }
    }
}

impl fmt::Debug for dyn LogStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogStorage({})", self.describe())
    }
}
