//! What a log tells its observer, and its counters.

use std::time::Duration;

use crate::{Error, Lsn};

/// Something rare enough to be told one by one. Never sent once per record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A segment was created; appends go there from now on.
    #[non_exhaustive]
    SegmentCreated {
        /// The segment's first LSN.
        first_lsn: Lsn,
        /// How many segments this log ever created.
        generation: u64,
    },
    /// A segment is full, or the log was closed or truncated: it got its footer and is durable.
    #[non_exhaustive]
    SegmentSealed {
        /// The segment's first LSN.
        first_lsn: Lsn,
        /// Its last LSN.
        last_lsn: Lsn,
        /// Its length in bytes, footer included.
        bytes: u64,
    },
    /// A sync ended well.
    #[non_exhaustive]
    Synced {
        /// Every record up to this one is durable.
        upto: Lsn,
        /// How long the sync took.
        elapsed: Duration,
    },
    /// A segment was removed, because all of its records were truncated.
    #[non_exhaustive]
    SegmentRemoved {
        /// The segment's first LSN.
        first_lsn: Lsn,
    },
    /// Records were truncated at the front.
    #[non_exhaustive]
    TruncatedBefore {
        /// The first record that is left.
        log_start: Lsn,
    },
    /// Records were truncated at the back.
    #[non_exhaustive]
    TruncatedAfter {
        /// The last record that is left.
        last_lsn: Lsn,
    },
    /// Recovery cut a torn tail before this log was opened.
    #[non_exhaustive]
    TailCut {
        /// The segment's first LSN.
        segment: Lsn,
        /// Where the segment was cut, in bytes.
        offset: u64,
        /// How many bytes that did not check were cut.
        bytes: u64,
    },
    /// The time of day was set by more than 10 seconds, or the machine slept, or the log was closed for longer than
    /// [`clock_tolerance`](crate::Settings::clock_tolerance). Records carry the time of day as the clock says
    /// it, so their times go back or jump. Told with the next write.
    #[non_exhaustive]
    ClockSet {
        /// By how many microseconds; negative: backwards.
        by_micros: i64,
    },
    /// The [reserve](crate::LogStorage::fill_reserve) is smaller than it is to be, as the disk is full or nearly so. The log
    /// goes on. Told at each new segment.
    #[non_exhaustive]
    ReserveNotFilled {
        /// Why.
        error: Error,
    },
    /// A write or sync failed, or the storage, the strategy or the log itself panicked; the log accepts nothing more.
    #[non_exhaustive]
    Poisoned {
        /// What failed.
        error: Error,
    },
    /// The log was closed.
    #[non_exhaustive]
    Closed {
        /// The last record.
        last_lsn: Lsn,
    },
}

impl Event {
    /// A segment was removed; for implementors of a recovery.
    #[must_use]
    pub const fn segment_removed(first_lsn: Lsn) -> Self {
        Event::SegmentRemoved { first_lsn }
    }

    /// So many bytes were cut from a segment at this offset; for implementors of a recovery.
    #[must_use]
    pub const fn tail_cut(segment: Lsn, offset: u64, bytes: u64) -> Self {
        Event::TailCut { segment, offset, bytes }
    }
}

/// Counters of one open log, since it was opened. A write or sync that failed is not counted.
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
