//! What a scan finds: the segments of a log, and what they come to together.

use wal_core::format::{Layers, LogId, SegmentHeader};
use wal_core::{CodecId, Error, Lsn, Result};

use crate::report::{Damage, Finding};
use crate::scan::chain::Status;
use crate::segment::outcome::Walk;
use crate::segment::runs::Damaged;

/// Everything that is known of a log.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Ascending.
    pub(crate) segments: Vec<Found>,
    pub(crate) log_id: LogId,
    pub(crate) codec: CodecId,
    pub(crate) layers: Layers,
    /// A segment has a feature that this build does not know, and that forbids it to write.
    pub(crate) read_only: Option<Error>,
    /// No record before this one is valid.
    pub(crate) log_start: Lsn,
    pub(crate) next_generation: u64,
    /// A record whose segment is missing in front of all others.
    pub(crate) missing: Option<Lsn>,
    /// Ascending by place.
    pub(crate) damages: Vec<Damage>,
    /// What may be missing.
    pub(crate) findings: Vec<Finding>,
    /// A frame that only a newer build understands.
    pub(crate) unsupported: Option<Error>,
    pub(crate) foreign: Vec<String>,
}

/// One segment.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: Lsn,
    pub(crate) len: u64,
    pub(crate) header: Result<SegmentHeader>,
    pub(crate) status: Status,
    /// An owner that had lost the log put it in the place of a segment of the log.
    pub(crate) is_replacement: bool,
    /// What it holds; of live segments only.
    pub(crate) walk: Option<Walk>,
}

/// A segment that belongs to the log and was walked.
#[derive(Clone, Copy)]
pub(crate) struct Live<'a> {
    pub(crate) header: &'a SegmentHeader,
    pub(crate) walk: &'a Walk,
    pub(crate) limit: Option<Lsn>,
    pub(crate) len: u64,
}

impl Live<'_> {
    /// The last record up to the end of this segment that is valid and not void. If the segment holds
    /// none, that of the one before it: the number before its own first one may be void.
    pub(crate) fn last_lsn(&self) -> Lsn {
        if self.walk.summary.records == 0 {
            return self.header.follows;
        }
        let last = self.walk.last_lsn(self.header);
        self.limit.map_or(last, |limit| last.min(limit))
    }
}

impl<'a> From<Live<'a>> for Damaged<'a> {
    fn from(live: Live<'a>) -> Self {
        Damaged { header: live.header, len: live.len, limit: live.limit }
    }
}

impl Found {
    pub(crate) fn live(&self) -> Option<Live<'_>> {
        let Status::Live { limit } = self.status else { return None };
        let (Ok(header), Some(walk)) = (&self.header, &self.walk) else { return None };
        Some(Live { header, walk, limit, len: self.len })
    }

    /// The header of one that is live.
    pub(super) fn expect_header(&self) -> &SegmentHeader {
        self.header.as_ref().expect("a live segment has a header")
    }

    /// Whether nothing of it is part of the log: a truncation left it, or an owner that had lost the log.
    pub(crate) fn is_leftover(&self) -> bool {
        matches!(self.status, Status::Void | Status::Front | Status::Stray)
    }
}

impl Scan {
    /// The live segments whose headers are readable, ascending.
    pub(crate) fn live(&self) -> impl DoubleEndedIterator<Item = Live<'_>> {
        self.segments.iter().filter_map(Found::live)
    }

    /// The newest readable one. There is one in every log.
    pub(crate) fn newest(&self) -> Live<'_> {
        self.live().next_back().expect("the newest readable segment is live")
    }

    /// The last record, or what a new segment would follow if there is none.
    pub(crate) fn last_lsn(&self) -> Lsn {
        self.newest().last_lsn()
    }

    /// Behind every record that the segments hold or their names tell of.
    pub(crate) fn next_lsn(&self) -> Lsn {
        let newest = self.newest();
        newest.walk.last_lsn(newest.header).next().max(newest.header.first_lsn)
    }

    /// The largest epoch of an owner that the headers tell of.
    pub(crate) fn largest_epoch(&self) -> u64 {
        let headers = self.segments.iter().filter_map(|found| found.header.as_ref().ok());
        headers.map(|header| header.owner.epoch).max().unwrap_or(0)
    }

    /// The first damage that may have cost records.
    pub(crate) fn fatal(&self) -> Option<&Damage> {
        self.damages.iter().find(|damage| damage.is_fatal())
    }

    /// The damage in one segment that may have cost records.
    pub(crate) fn fatal_in(&self, name: Lsn) -> Option<&Damage> {
        self.damages.iter().find(|damage| damage.segment == name && damage.is_fatal())
    }

    /// Names and generations: whether a writer was at work shows in them.
    pub(crate) fn fingerprint(&self) -> Vec<(Lsn, Option<u64>)> {
        self.segments
            .iter()
            .map(|found| (found.name, found.header.as_ref().ok().map(|h| h.generation)))
            .collect()
    }
}
