//! From a scan to a report, and to the value that a log is opened with.

use wal_core::format::Ending;
use wal_core::{Lsn, RecoveredSegment, Timestamp};

use crate::report::{Damage, DamageKind, Report, SegmentReport, SegmentState};
use crate::scan::chain::Status;
use crate::scan::found::{Found, Live, Scan};
use crate::segment::outcome::End;

/// What a log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first record; `next_lsn` if there is none.
    pub(crate) first_lsn: Lsn,
    pub(crate) last_lsn: Lsn,
    pub(crate) next_lsn: Lsn,
    pub(crate) records: u64,
}

impl Scan {
    pub(crate) fn span(&self) -> Span {
        let next_lsn = self.next_lsn();
        let mut span =
            Span { first_lsn: next_lsn, last_lsn: self.last_lsn(), next_lsn, records: 0 };
        for live in self.live() {
            let first = live.header.first_lsn.max(self.log_start);
            let last = live.last_lsn();
            if last >= first {
                span.first_lsn = span.first_lsn.min(first);
                span.records += last.since(first) + 1;
            }
        }
        span
    }

    /// The report of what was found.
    pub(crate) fn report(&self) -> Report {
        let Span { first_lsn, last_lsn, next_lsn, records } = self.span();
        let held: u64 = self.live().map(|live| u64::from(live.walk.summary.records)).sum();
        let newest = self.newest();
        let footer = newest.walk.footer.as_ref();
        let was_closed = footer.is_some_and(|footer| footer.ending != Ending::Rotated);
        let in_full = self.live().filter(|live| live.walk.in_full);
        Report {
            log_id: Some(self.log_id.to_string()),
            codec: Some(self.codec),
            layers: self.layers,
            first_lsn,
            last_lsn,
            next_lsn,
            clean: was_closed || records == 0 && matches!(newest.walk.end, End::Open),
            segments: self.segments.iter().map(|found| self.account_of(found)).collect(),
            records_scanned: in_full.map(|live| u64::from(live.walk.summary.records)).sum(),
            bytes_scanned: self.live().map(|live| live.walk.scanned).sum(),
            records,
            skipped: held.saturating_sub(records),
            durable_proven: newest.walk.proven.max(newest.header.follows),
            damages: self.damages.clone(),
            findings: self.findings.clone(),
            ..Report::empty(self.foreign.clone())
        }
    }

    /// The report of one segment.
    fn account_of(&self, found: &Found) -> SegmentReport {
        let header = found.header.as_ref().ok();
        let created = header.map_or(Timestamp::EPOCH, |header| header.created);
        let mut report = SegmentReport {
            first_lsn: found.name,
            last_lsn: found.name.prev(),
            records: 0,
            frames: 0,
            bytes: found.len,
            data_bytes: 0,
            generation: header.map_or(0, |header| header.generation),
            created,
            last_time: created,
            sealed: false,
            ending: None,
            state: match found.status {
                Status::Void | Status::Front => SegmentState::Void,
                Status::Stray => SegmentState::Stray,
                Status::Live { .. } | Status::Unreadable => SegmentState::Corrupt,
            },
        };
        let Some(live) = found.live() else { return report };
        let Live { header, walk, .. } = live;
        report.last_lsn = live.last_lsn();
        report.records = u64::from(walk.summary.records);
        report.frames = u64::from(walk.summary.frames);
        report.data_bytes = walk.summary.data_end.saturating_sub(u64::from(header.data_offset));
        report.last_time = walk.last_time(header);
        report.sealed = walk.footer.is_some();
        report.ending = walk.footer.as_ref().map(|footer| footer.ending);
        report.state = self.state_of(live);
        report
    }

    fn state_of(&self, live: Live<'_>) -> SegmentState {
        let name = live.header.first_lsn;
        let own = |damage: &&Damage| damage.segment == name;
        let mut states = self.damages.iter().filter(own).map(|damage| match damage.kind {
            DamageKind::TornTail => SegmentState::Torn,
            DamageKind::Footer => SegmentState::Footer,
            _ => SegmentState::Corrupt,
        });
        let unsupported = matches!(live.walk.end, End::Unsupported(_));
        let worst = if unsupported { SegmentState::Corrupt } else { SegmentState::Ok };
        states.next_back().unwrap_or(worst)
    }

    /// The segments of a settled log.
    pub(crate) fn recovered_segments(&self) -> Vec<RecoveredSegment> {
        self.live()
            .map(|live| {
                let (header, summary) = (live.header.clone(), live.walk.summary.clone());
                RecoveredSegment::new(header, summary, live.last_lsn())
            })
            .collect()
    }
}
