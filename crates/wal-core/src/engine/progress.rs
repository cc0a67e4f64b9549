//! How far the log is: appended, written, durable.
//!
//! This type owns two invariants, and asserts them.
//!
//! - **appended >= written >= durable**, at every moment at which the short lock is free.
//! - **Published = captured.** What a sync publishes was captured before the write began that the sync follows.
//!   A [`Captured`] is made where bytes are set apart: when the buffer is taken, and when a break is put into it.
//!   It cannot be copied, and is consumed when it is published as durable. Nothing reads "how far are we" after a
//!   sync to decide what it covered. What a rotation publishes ends before the segment that it begins, and what the
//!   end of the log publishes is all that there is.

use std::time::Duration;

use super::meter::SyncMeter;
use crate::sync::{AtomicU64, Ordering};
use crate::{Lsn, TailView, Trigger};

/// A position in the log: every record up to `lsn`, and how much that is since the log was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    lsn: Lsn,
    records: u64,
    bytes: u64,
}

/// The end of the log at the moment at which it was captured.
#[derive(Debug)]
#[must_use = "what was captured is to be published"]
pub(super) struct Captured(Mark);

impl Captured {
    /// The last record up to here.
    pub(super) fn lsn(&self) -> Lsn {
        self.0.lsn
    }
}

/// A sync that runs, and what it covers.
struct InFlight {
    mark: Mark,
    started: Duration,
}

/// How far the log is, readable without a lock. Only [`Progress`] moves it.
pub(super) struct Reached {
    written: AtomicU64,
    durable: AtomicU64,
}

impl Reached {
    pub(super) fn new(lsn: Lsn) -> Self {
        Reached { written: AtomicU64::new(lsn.get()), durable: AtomicU64::new(lsn.get()) }
    }

    pub(super) fn written(&self) -> Lsn {
        Lsn::new(self.written.load(Ordering::Acquire))
    }

    pub(super) fn durable(&self) -> Lsn {
        Lsn::new(self.durable.load(Ordering::Acquire))
    }
}

/// Under the short lock. What every append changes or looks at comes first.
#[repr(C)]
pub(super) struct Progress {
    appended: Mark,
    durable: Mark,
    in_flight: Option<InFlight>,
    // When the oldest record was appended that is in the buffer, being written, written and not synced.
    buffered_since: Option<Duration>,
    writing_since: Option<Duration>,
    unsynced_since: Option<Duration>,
    meter: SyncMeter,
    written: Mark,
}

impl Progress {
    /// A log whose last record is `last`, durable.
    pub(super) fn new(last: Lsn) -> Self {
        let mark = Mark { lsn: last, records: 0, bytes: 0 };
        Progress {
            appended: mark,
            durable: mark,
            in_flight: None,
            buffered_since: None,
            writing_since: None,
            unsynced_since: None,
            meter: SyncMeter::default(),
            written: mark,
        }
    }

    /// Records were placed into the buffer, the last of them with this LSN.
    #[inline]
    pub(super) fn append(&mut self, last: Lsn, records: u32, bytes: u64, now: Duration) {
        debug_assert!(last > self.appended.lsn, "LSNs ascend");
        // An opening may leave a gap, behind a truncation.
        debug_assert!(
            self.is_untouched() || last == self.appended.lsn.advance(u64::from(records)),
            "LSNs are contiguous: {records} records up to {last} follow {}",
            self.appended.lsn
        );
        self.appended = Mark {
            lsn: last,
            records: self.appended.records + u64::from(records),
            bytes: self.appended.bytes + bytes,
        };
        self.buffered_since.get_or_insert(now);
    }

    /// When the oldest record was appended that is in the buffer.
    #[inline]
    pub(super) fn buffered_since(&self) -> Duration {
        self.buffered_since.unwrap_or_default()
    }

    /// The end of the log at a break: everything before it belongs to earlier segments.
    pub(super) fn capture_break(&self) -> Captured {
        Captured(self.appended)
    }

    /// The buffer was taken to be written.
    pub(super) fn begin_write(&mut self) -> Captured {
        self.assert_order();
        self.writing_since = self.buffered_since.take();
        Captured(self.appended)
    }

    /// The buffer was taken to be written and then synced. The caller syncs alone.
    pub(super) fn begin_sync(&mut self, now: Duration) -> Captured {
        assert!(self.in_flight.is_none(), "one sync is in flight at a time");
        let captured = self.begin_write();
        self.in_flight = Some(InFlight { mark: captured.0, started: now });
        self.unsynced_since = None;
        self.writing_since = None;
        captured
    }

    /// The storage has everything up to here. `to_be_synced` if a sync follows that covers it.
    pub(super) fn publish_written(
        &mut self,
        upto: &Captured,
        to_be_synced: bool,
        reached: &Reached,
    ) {
        self.advance_written(upto.0, reached);
        if !to_be_synced {
            self.unsynced_since = self.unsynced_since.or(self.writing_since);
        }
        self.writing_since = None;
        self.assert_order();
    }

    /// The sync in flight has ended well.
    pub(super) fn publish_synced(
        &mut self,
        upto: Captured,
        took: Duration,
        now: Duration,
        reached: &Reached,
    ) {
        let begun = self.in_flight.take().expect("a sync was begun");
        assert_eq!(begun.mark, upto.0, "a sync publishes what was captured when it began");
        let records = self.advance_durable(upto, reached);
        self.meter.ended(records, took, now);
    }

    /// A segment was sealed, so everything up to its end is written and durable. A commit may be in flight
    /// beside that. `next` is the first record that does not belong to it: a capture that was made too late would
    /// count records that nobody has written.
    pub(super) fn publish_sealed(&mut self, upto: Captured, next: Lsn, reached: &Reached) {
        let last = upto.lsn();
        assert!(last < next, "what a sealed segment publishes, {last}, ends before record {next}");
        self.publish_all(upto, reached);
    }

    /// The last segment was sealed, and nothing is appended any more.
    pub(super) fn publish_closed(&mut self, upto: Captured, reached: &Reached) {
        assert_eq!(upto.0, self.appended, "what the end of the log publishes is all that there is");
        self.publish_all(upto, reached);
    }

    fn publish_all(&mut self, upto: Captured, reached: &Reached) {
        self.advance_written(upto.0, reached);
        self.advance_durable(upto, reached);
    }

    /// The sync in flight has failed, or its write has.
    pub(super) fn give_up_sync(&mut self) {
        self.in_flight = None;
    }

    fn advance_written(&mut self, mark: Mark, reached: &Reached) {
        if mark.records > self.written.records {
            self.written = mark;
            reached.written.store(mark.lsn.get(), Ordering::Release);
        }
    }

    /// Returns how many records became durable.
    fn advance_durable(&mut self, Captured(mark): Captured, reached: &Reached) -> u64 {
        let records = mark.records.saturating_sub(self.durable.records);
        if records > 0 {
            self.durable = mark;
            reached.durable.store(mark.lsn.get(), Ordering::Release);
        }
        self.assert_order();
        records
    }

    fn assert_order(&self) {
        let [appended, written, durable] = [&self.appended, &self.written, &self.durable];
        assert!(
            appended.records >= written.records && written.records >= durable.records,
            "appended {appended:?} >= written {written:?} >= durable {durable:?}"
        );
    }

    pub(super) fn appended(&self) -> Lsn {
        self.appended.lsn
    }

    pub(super) fn durable(&self) -> Lsn {
        self.durable.lsn
    }

    /// Records and their bytes since the log was opened.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.appended.records, self.appended.bytes)
    }

    /// Whether nothing was appended since the log was opened.
    #[inline]
    pub(super) fn is_untouched(&self) -> bool {
        self.appended.records == 0
    }

    /// Whether every record is durable.
    pub(super) fn all_durable(&self) -> bool {
        self.durable.records == self.appended.records
    }

    /// Whether every record that was written is durable, too.
    pub(super) fn written_is_durable(&self) -> bool {
        self.written.records == self.durable.records
    }

    pub(super) fn is_sync_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether records are being written, by a commit or without one.
    pub(super) fn is_write_in_flight(&self) -> bool {
        self.writing_since.is_some() || self.is_sync_in_flight()
    }

    /// Whether the sync in flight covers this record.
    pub(super) fn in_flight_covers(&self, lsn: Lsn) -> bool {
        self.in_flight.as_ref().is_some_and(|sync| lsn <= sync.mark.lsn)
    }

    /// What a sync costs: a moving average, zero before the first.
    pub(super) fn sync_cost(&self) -> Duration {
        self.meter.cost()
    }

    /// What a strategy sees of it.
    pub(super) fn tail(&self, trigger: Trigger, now: Duration) -> TailView {
        let covered = self.in_flight.as_ref().map_or(self.durable, |sync| sync.mark);
        let oldest = self.unsynced_since.or(self.writing_since).or(self.buffered_since);
        TailView {
            records: self.appended.records - self.durable.records,
            bytes: self.appended.bytes - self.durable.bytes,
            pending_records: self.appended.records - covered.records.max(self.durable.records),
            pending_bytes: self.appended.bytes - covered.bytes.max(self.durable.bytes),
            pending_age: oldest.map_or(Duration::ZERO, |since| now.saturating_sub(since)),
            in_flight: self.in_flight.as_ref().map(|sync| now.saturating_sub(sync.started)),
            since_last_sync: now.saturating_sub(self.meter.last_end()),
            sync_cost: self.meter.cost(),
            records_per_sync: self.meter.records(),
            ..TailView::empty(trigger)
        }
    }
}

#[cfg(all(test, not(any(wal_loom, wal_shuttle))))]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn three_records() -> (Progress, Reached) {
        let mut progress = Progress::new(Lsn::new(10));
        progress.append(Lsn::new(13), 3, 30, NOW);
        (progress, Reached::new(Lsn::new(10)))
    }

    #[test]
    fn a_sync_publishes_what_was_captured_and_not_what_came_meanwhile() {
        let (mut progress, reached) = three_records();
        let captured = progress.begin_sync(NOW);
        progress.append(Lsn::new(14), 1, 10, NOW);
        assert!(
            progress.in_flight_covers(Lsn::new(13)) && !progress.in_flight_covers(Lsn::new(14))
        );
        progress.publish_written(&captured, true, &reached);
        progress.publish_synced(captured, NOW, NOW, &reached);
        assert_eq!((reached.written(), reached.durable()), (Lsn::new(13), Lsn::new(13)));
        assert!(!progress.all_durable() && progress.written_is_durable());
        let tail = progress.tail(Trigger::Synced, NOW);
        assert_eq!((tail.records, tail.bytes, tail.pending_records), (1, 10, 1));
    }

    #[test]
    #[should_panic(expected = "a sync publishes what was captured when it began")]
    fn what_was_captured_after_a_sync_began_cannot_be_published_for_it() {
        let (mut progress, reached) = three_records();
        let captured = progress.begin_sync(NOW);
        progress.publish_written(&captured, true, &reached);
        progress.append(Lsn::new(14), 1, 10, NOW);
        let late = progress.capture_break();
        progress.publish_synced(late, NOW, NOW, &reached);
    }

    #[test]
    #[should_panic(expected = "written")]
    fn what_was_not_written_cannot_be_durable() {
        let (mut progress, reached) = three_records();
        let captured = progress.begin_sync(NOW);
        progress.publish_synced(captured, NOW, NOW, &reached);
    }

    #[test]
    #[should_panic(expected = "one sync is in flight at a time")]
    fn two_syncs_are_not_in_flight() {
        let (mut progress, _) = three_records();
        let _first = progress.begin_sync(NOW);
        let _second = progress.begin_sync(NOW);
    }

    #[test]
    fn a_sealed_segment_is_written_and_durable_beside_a_sync() {
        let (mut progress, reached) = three_records();
        let before = progress.capture_break();
        progress.append(Lsn::new(14), 1, 10, NOW);
        let captured = progress.begin_sync(NOW);
        progress.publish_sealed(before, Lsn::new(14), &reached);
        assert_eq!((reached.written(), reached.durable()), (Lsn::new(13), Lsn::new(13)));
        progress.publish_written(&captured, true, &reached);
        progress.publish_synced(captured, NOW, NOW, &reached);
        assert_eq!(reached.durable(), Lsn::new(14));
    }

    #[test]
    #[should_panic(expected = "what a sealed segment publishes, 14, ends before record 14")]
    fn what_was_captured_behind_a_break_cannot_be_published_for_it() {
        let (mut progress, reached) = three_records();
        progress.append(Lsn::new(14), 1, 10, NOW);
        let late = progress.capture_break();
        progress.publish_sealed(late, Lsn::new(14), &reached);
    }

    #[test]
    #[should_panic(expected = "is all that there is")]
    fn a_log_is_not_closed_in_front_of_a_record() {
        let (mut progress, reached) = three_records();
        let captured = progress.begin_write();
        progress.append(Lsn::new(14), 1, 10, NOW);
        progress.publish_closed(captured, &reached);
    }

    #[test]
    #[should_panic(expected = "LSNs are contiguous")]
    #[cfg(debug_assertions)]
    fn records_that_are_appended_leave_no_gap() {
        let (mut progress, _) = three_records();
        progress.append(Lsn::new(15), 1, 10, NOW);
    }

    #[test]
    fn records_are_being_written_until_that_is_published() {
        let (mut progress, reached) = three_records();
        assert!(!progress.is_write_in_flight());
        let captured = progress.begin_write();
        assert!(progress.is_write_in_flight());
        progress.publish_written(&captured, false, &reached);
        assert!(!progress.is_write_in_flight());
        let captured = progress.begin_sync(NOW);
        assert!(progress.is_write_in_flight());
        progress.publish_synced(captured, NOW, NOW, &reached);
        assert!(!progress.is_write_in_flight());
    }

    #[test]
    fn a_log_opens_with_a_gap_behind_a_truncation() {
        let mut progress = Progress::new(Lsn::new(10));
        assert!(progress.is_untouched());
        progress.append(Lsn::new(21), 1, 10, NOW);
        assert!(!progress.is_untouched());
        assert_eq!((progress.appended(), progress.totals()), (Lsn::new(21), (1, 10)));
    }

    #[test]
    fn a_sync_that_was_given_up_is_in_flight_no_more_and_publishes_nothing() {
        let (mut progress, reached) = three_records();
        let captured = progress.begin_sync(NOW);
        progress.give_up_sync();
        assert!(!progress.is_sync_in_flight() && !progress.in_flight_covers(captured.lsn()));
        assert_eq!(reached.durable(), Lsn::new(10));
    }

    #[test]
    fn what_a_sync_costs_is_seen_after_the_first() {
        let (mut progress, reached) = three_records();
        assert_eq!(progress.sync_cost(), Duration::ZERO);
        let captured = progress.begin_sync(NOW);
        progress.publish_written(&captured, true, &reached);
        progress.publish_synced(captured, Duration::from_millis(5), NOW, &reached);
        assert_eq!(progress.sync_cost(), Duration::from_millis(5));
    }
}
