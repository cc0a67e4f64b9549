//! What the short lock protects: the owners, and what concerns more than one of them.

use std::time::Duration;

use super::agenda::Agenda;
use super::pace::Seen;
use super::place::{Body, Layout, LogTime, NoRoom, Placement, Start};
use super::progress::Progress;
use super::wait::{Level, Wait};
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
    pub(super) fn new(start: &Start, time: LogTime) -> Self {
        State {
            placement: Placement::new(start),
            time,
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
        let at = self.time.moment(clock, now);
        let range = self.placement.place(layout, body, at, &self.progress)?;
        self.progress.append(range.last, body.records, body.record_bytes, now);
        Ok(range)
    }

    /// Begins a new segment: what is placed from now on belongs to it.
    pub(super) fn roll(&mut self, layout: &Layout, clock: &dyn Clock) {
        let at = self.time.moment(clock, clock.monotonic());
        self.placement.roll(layout, at, &self.progress);
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

    /// Nobody waits in vain: a record that is waited for has a sync wanted, planned or in flight, or a write, if
    /// that is what is waited for.
    pub(super) fn assert_promised(&self, level: Level, lsn: Lsn) {
        let (what, is_promised) = match level {
            Level::Written => {
                ("write", self.agenda.is_write_planned() || self.progress.is_write_in_flight())
            }
            Level::Durable => {
                ("sync", self.agenda.is_sync_planned() || self.progress.is_sync_in_flight())
            }
            // Nobody is to hurry for them.
            Level::Followed => return,
        };
        assert!(
            is_promised || lsn > self.progress.appended() || self.agenda.is_closed(),
            "record {lsn} is waited for, and no {what} is wanted, planned or in flight"
        );
    }

    /// Room was promised while the buffer was full, and the promise ends when the buffer is taken.
    pub(super) fn assert_room_is_due(&self) {
        assert!(
            !self.agenda.is_room_promised() || self.placement.buffered() > 0,
            "room is promised, and the buffer was taken"
        );
    }

    pub(super) fn stats(&self) -> Stats {
        let (records, bytes) = self.progress.totals();
        Stats { records, bytes, ..self.stats }
    }
}

#[cfg(all(test, not(any(wal_loom, wal_shuttle))))]
mod tests {
    use std::sync::Arc;

    use super::super::agenda::Role;
    use super::*;
    use crate::format::LogId;
    use crate::{MemoryStorage, Recovered, StorageLock, SyncWhen};

    const NOW: Duration = Duration::ZERO;

    /// A record was appended, and nothing is to be done about it.
    fn one_record() -> State {
        let (storage, lock) = (Arc::new(MemoryStorage::new()), StorageLock::new(()));
        let empty = Recovered::empty(storage, lock, LogId([7; 16])).unwrap();
        let mut st = State::new(&Start::of(empty.span(), 1), LogTime::default());
        st.progress.append(Lsn::FIRST, 1, 1, NOW);
        st
    }

    #[test]
    #[should_panic(
        expected = "record 1 is waited for, and no sync is wanted, planned or in flight"
    )]
    fn nobody_waits_for_a_sync_that_nobody_wants() {
        one_record().assert_promised(Level::Durable, Lsn::FIRST);
    }

    #[test]
    #[should_panic(
        expected = "record 1 is waited for, and no write is wanted, planned or in flight"
    )]
    fn nobody_waits_for_a_write_that_nobody_wants() {
        let mut st = one_record();
        st.agenda.want_sync();
        st.assert_promised(Level::Written, Lsn::FIRST);
    }

    #[test]
    fn what_is_wanted_planned_or_in_flight_is_waited_for() {
        type Prepare = fn(&mut State);
        let ways: [(Level, Prepare); 9] = [
            (Level::Durable, |st| st.agenda.want_sync()),
            (Level::Durable, |st| {
                st.agenda.plan_sync(SyncWhen::Within(Duration::from_secs(1)), NOW);
            }),
            (Level::Durable, |st| _ = st.progress.begin_sync(NOW)),
            (Level::Durable, |st| assert!(st.agenda.begin_close())),
            (Level::Written, |st| st.agenda.want_write()),
            (Level::Written, |st| st.agenda.want_write_by(NOW)),
            (Level::Written, |st| assert!(st.agenda.take(Role::Write))),
            (Level::Written, |st| _ = st.progress.begin_write()),
            (Level::Written, |st| assert!(st.agenda.begin_close())),
        ];
        for (level, prepare) in ways {
            let mut st = one_record();
            prepare(&mut st);
            st.assert_promised(level, Lsn::FIRST);
        }
        let st = one_record();
        st.assert_promised(Level::Followed, Lsn::FIRST);
        for level in [Level::Written, Level::Durable] {
            st.assert_promised(level, Lsn::new(2));
        }
    }

    #[test]
    #[should_panic(expected = "room is promised, and the buffer was taken")]
    fn a_promise_of_room_ends_when_the_buffer_is_taken() {
        let mut st = one_record();
        assert!(st.agenda.promise_room());
        st.assert_room_is_due();
    }
}
