//! What the walk over a segment finds.

use std::time::Duration;

use wal_core::format::{Ending, Footer, SegmentHeader, SegmentSummary, log_clock};
use wal_core::{Error, Lsn, Timestamp};

/// What a segment holds.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The frames that are valid, from the first one on.
    pub(crate) summary: SegmentSummary,
    /// Up to here some valid frame says that the log was durable.
    pub(crate) proven: Lsn,
    pub(crate) end: End,
    /// The footer, if there is a valid one.
    pub(crate) footer: Option<Footer>,
    /// Whether every frame was read, as opposed to a footer that was believed.
    pub(crate) in_full: bool,
    /// Bytes that were read.
    pub(crate) scanned: u64,
}

/// How a segment ends.
#[derive(Debug)]
pub(crate) enum End {
    /// In a valid footer, which ends at this offset.
    Sealed(u64),
    /// After a whole frame, with nothing written behind it but leftovers of older generations.
    Open,
    /// In an incomplete write, of which something is left up to `extent`.
    Torn { reason: String, extent: u64 },
    /// In bytes that had been durable, or (in a segment that is not the last) in anything but a
    /// footer. They reach up to `extent`.
    Broken { reason: String, extent: u64 },
    /// In front of frames that a recovery moved to the next segment, and did not come to cut off here.
    Moved,
    /// In a frame that only a newer build understands.
    Unsupported(Error),
}

impl Walk {
    /// The last record that is valid; before the first LSN if there is none.
    pub(crate) fn last_lsn(&self, header: &SegmentHeader) -> Lsn {
        header.first_lsn.advance(u64::from(self.summary.records)).prev()
    }

    /// Whether all that it holds had been durable when some of it was written.
    pub(crate) fn is_proven(&self, header: &SegmentHeader) -> bool {
        self.summary.records == 0 || self.proven >= self.last_lsn(header)
    }

    pub(crate) fn last_time(&self, header: &SegmentHeader) -> Timestamp {
        time(header, self.summary.last_time)
    }

    /// What the log clock said last, as far as the segment tells, and the time of day then.
    pub(crate) fn log_time(&self, header: &SegmentHeader) -> (u64, Timestamp) {
        match &self.footer {
            Some(footer) => (footer.log_time, footer.time),
            None => at_the_end(header, &self.summary),
        }
    }
}

pub(crate) fn time(header: &SegmentHeader, delta: i64) -> Timestamp {
    header.created.saturating_add_micros(delta)
}

/// No segment is written for longer than this: a time that lies further from its creation says that the clock was set.
pub(crate) const PLAUSIBLE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The log clock at the last frame of a segment that has no footer to say it, and the time of day then.
fn at_the_end(header: &SegmentHeader, summary: &SegmentSummary) -> (u64, Timestamp) {
    let last = time(header, summary.last_time);
    (log_clock((header.log_time, header.created), last, PLAUSIBLE), last)
}

/// The footer with which a recovery ends a segment that has none.
pub(crate) fn footer_of(header: &SegmentHeader, summary: SegmentSummary) -> Footer {
    let (log_time, time) = at_the_end(header, &summary);
    Footer { log_time, time, ..Footer::new(summary, Ending::Recovered) }
}

/// An empty summary.
pub(crate) fn no_frames(header: &SegmentHeader) -> SegmentSummary {
    SegmentSummary { data_end: u64::from(header.data_offset), ..SegmentSummary::default() }
}
