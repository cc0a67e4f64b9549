//! What a recovery would find: segments, each with what it holds, under the rules of the format.

use std::collections::BTreeMap;

use wal_core::Lsn;
use wal_core::format::SegmentHeader;

/// What survives what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The process dies: whatever was handed to the storage is there.
    ProcessCrash,
    /// The machine loses power: whatever a sync covered is there.
    PowerLoss,
}

/// One segment. Its header is durable from the moment it has a name.
pub struct SegmentImage {
    pub header: SegmentHeader,
    /// The last record handed over; before the first one if there is none.
    pub written: Lsn,
    /// The last record covered by a sync.
    pub durable: Lsn,
    /// A sync failed: the storage forgot which bytes it covered, and no later sync makes up for it.
    pub gave_up: bool,
}

impl SegmentImage {
    pub fn new(header: SegmentHeader) -> Self {
        let before = header.first_lsn.prev();
        SegmentImage { header, written: before, durable: before, gave_up: false }
    }

    fn last(&self, after: After) -> Lsn {
        match after {
            After::ProcessCrash => self.written,
            After::PowerLoss => self.durable,
        }
    }
}

/// All segments by their names.
#[derive(Default)]
pub struct Image(pub BTreeMap<Lsn, SegmentImage>);

impl Image {
    /// Whether a recovery would find the record.
    pub fn holds(&self, lsn: Lsn, after: After) -> bool {
        let mut upto = Lsn::MAX;
        for segment in self.0.values().rev() {
            if (segment.header.first_lsn..=segment.last(after).min(upto)).contains(&lsn) {
                return lsn >= self.log_start();
            }
            upto = upto.min(segment.header.follows);
        }
        false
    }

    /// Where the log begins: as the newest header says, or at the oldest segment that is left.
    pub fn log_start(&self) -> Lsn {
        let newest = self.0.values().next_back().map_or(Lsn::FIRST, |s| s.header.log_start);
        self.0.keys().next().map_or(newest, |&oldest| newest.max(oldest))
    }

    /// Whether a truncation at the back that kept records up to `kept` made the record void.
    pub fn is_cut_off(&self, lsn: Lsn, kept: Lsn) -> bool {
        let void = |s: &SegmentImage| s.header.follows == kept && lsn < s.header.first_lsn;
        lsn > kept && self.0.values().any(void)
    }
}
