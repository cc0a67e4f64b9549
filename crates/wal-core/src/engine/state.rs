//! What the short lock protects: the owners, and what concerns more than one of them.

use std::time::Duration;

use super::agenda::Agenda;
use super::pace::Seen;
use super::place::{Body, Layout, LogTime, NoRoom, Placement, Start};
use super::progress::Progress;
use super::wait::Wait;
use crate::{Clock, Durability, Lsn, LsnRange, Stats, TailView, Trigger};

/// Protected by the log's short lock.
///
/// In the order in which it is written here: what every append changes comes first and lies in a few cache lines,
/// so that threads that append in turns take few from each other.
#[repr(C)]
pub(super) struct State {
    pub(super) placement: Placement,
    pub(super) time: LogTime,
    pub(super) progress: Progress,
    pub(super) agenda: Agenda,
    pub(super) wait: Wait,
    pub(super) seen: Seen,
    /// Counted here; what the other owners count is added when somebody asks.
    pub(super) stats: Stats,
}

impl State {
    pub(super) fn new(start: &Start) -> Self {
        State {
            placement: Placement::new(start),
            time: LogTime::default(),
            progress: Progress::new(start.last_lsn),
            agenda: Agenda::new(),
            wait: Wait::default(),
            seen: Seen::default(),
            stats: Stats::default(),
        }
    }

    /// Puts one frame into the buffer, and gives its records their LSNs.
    #[inline]
    pub(super) fn place(
        &mut self,
        layout: &Layout,
        body: &mut Body<'_>,
        clock: &dyn Clock,
        now: Duration,
    ) -> Result<LsnRange, NoRoom> {
        let wall = self.time.wall(clock, now);
        let range = self.placement.place(layout, body, wall, &self.progress)?;
        self.progress.append(range.last, body.records, body.record_bytes, now);
        Ok(range)
    }

    /// Begins a new segment: what is placed from now on belongs to it.
    pub(super) fn roll(&mut self, layout: &Layout, clock: &dyn Clock) {
        let wall = self.time.wall(clock, clock.monotonic());
        self.placement.roll(layout, wall, &self.progress);
    }

    /// What the strategy gets to see.
    pub(super) fn view(
        &self,
        trigger: Trigger,
        requested: Option<Durability>,
        now: Duration,
    ) -> TailView {
        TailView { waiting: self.wait.for_durable(), requested, ..self.progress.tail(trigger, now) }
    }

    /// Somebody waits for durability: if no sync is under way or planned by a deadline, there must be one.
    pub(super) fn promise_sync(&mut self) {
        if !self.progress.is_sync_in_flight() && !self.agenda.has_sync_deadline() {
            self.agenda.want_sync();
        }
    }

    /// The same, if somebody waits.
    #[inline]
    pub(super) fn promise_awaited_sync(&mut self) {
        if self.wait.awaits_commit(self.progress.appended()) {
            self.promise_sync();
        }
    }

    /// Nobody waits in vain: a record that is waited for has a sync wanted, planned or in flight.
    pub(super) fn assert_promised(&self, lsn: Lsn) {
        assert!(
            lsn > self.progress.appended()
                || self.agenda.is_sync_planned()
                || self.progress.is_sync_in_flight()
                || self.agenda.is_closed(),
            "record {lsn} is waited for, and no sync is wanted, planned or in flight"
        );
    }

    pub(super) fn stats(&self) -> Stats {
        let (records, bytes) = self.progress.totals();
        Stats { records, bytes, ..self.stats }
    }
}
