//! What a log tells its observer, and its counters.

use std::time::Duration;

use crate::{Error, Lsn};

/// Something rare enough to be told one by one. Never sent once per record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A segment was created; appends go there from now on.
    SegmentCreated {
        /// The segment's first LSN.
        first_lsn: Lsn,
        /// How many segments this log ever created.
        generation: u64,
    },
    /// A segment is full, or the log was closed or truncated: it got its footer and is durable.
    SegmentSealed {
        /// The segment's first LSN.
        first_lsn: Lsn,
        /// Its last LSN.
        last_lsn: Lsn,
        /// Its length in bytes, footer included.
        bytes: u64,
    },
    /// A sync ended well.
    Synced {
        /// Every record up to this one is durable.
        upto: Lsn,
        /// How long the sync took.
        elapsed: Duration,
    },
    /// A segment was removed, because all of its records were truncated.
    SegmentRemoved {
        /// The segment's first LSN.
        first_lsn: Lsn,
    },
    /// Records were truncated at the front.
    TruncatedBefore {
        /// The first record that is left.
        log_start: Lsn,
    },
    /// Records were truncated at the back.
    TruncatedAfter {
        /// The last record that is left.
        last_lsn: Lsn,
    },
    /// Recovery cut a torn tail before this log was opened.
    TailCut {
        /// The segment's first LSN.
        segment: Lsn,
        /// Where the segment was cut, in bytes.
        offset: u64,
        /// How many bytes that did not check were cut.
        bytes: u64,
    },
    /// A write or sync failed; the log accepts nothing more.
    Poisoned {
        /// What failed.
        error: Error,
    },
    /// The log was closed.
    Closed {
        /// The last record.
        last_lsn: Lsn,
    },
}

/// Counters of one open log, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Records appended.
    pub records: u64,
    /// Their bytes, as the codec encoded them.
    pub bytes: u64,
    /// Writes handed to the storage for records.
    pub writes: u64,
    /// Syncs (and write-through writes) made for records, the two of each rotation included.
    pub syncs: u64,
    /// Segments created.
    pub segments_created: u64,
    /// Time spent in syncs, in all.
    pub sync_time: Duration,
}
