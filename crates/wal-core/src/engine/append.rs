//! The way of one append on a thread: frame it, decide, then return, wait or lead.

use std::time::Duration;

use super::Engine;
use super::body::Body;
use super::commit::{closed, schedule_sync};
use super::state::{NoRoom, State};
use super::waiters::Level;
use crate::record::Source;
use crate::sync::MutexGuard;
use crate::{Durability, Lsn, LsnRange, Result, Trigger};

/// Records acknowledged from memory are handed on when this many bytes of frames have gathered.
const WRITE_BYTES: usize = 256 * 1024;

/// How an append that was framed goes on.
pub(super) enum Next {
    Acknowledged,
    Wait(Level),
}

impl Engine {
    /// The short lock of a log that neither failed nor was closed.
    ///
    /// A failure is announced before the waiters are woken under this lock, so nobody who saw the log
    /// alive here can start waiting after that.
    pub(super) fn live(&self, op: &'static str) -> Result<MutexGuard<'_, State>> {
        self.alive(self.state(), op)
    }

    fn alive<'a>(
        &self,
        st: MutexGuard<'a, State>,
        op: &'static str,
    ) -> Result<MutexGuard<'a, State>> {
        self.check(op)?;
        if st.closed {
            return Err(closed());
        }
        Ok(st)
    }

    /// Appends on the calling thread.
    pub(crate) fn append(&self, source: &impl Source, requested: Durability) -> Result<LsnRange> {
        let may_stand_back = self.needs_no_commit(requested);
        self.place_then(source, requested, may_stand_back, |st, next, range| {
            self.finish(st, next, range.last).map(|()| range)
        })
    }

    /// Frames what is to be appended and lets the strategy decide; `then` goes on under the short lock.
    pub(super) fn place_then<'a, T>(
        &'a self,
        source: &impl Source,
        requested: Durability,
        may_stand_back: bool,
        then: impl Fn(MutexGuard<'a, State>, Next, LsnRange) -> Result<T>,
    ) -> Result<T> {
        source.with_body(self.body_limit, self.settings.max_record_bytes, |body| {
            loop {
                let st = if may_stand_back { self.turns.take(&self.state.0) } else { self.state() };
                let mut st = self.alive(st, "append")?;
                let now = self.clock.monotonic_since(&mut st.recent);
                match self.place(&mut st, body, now) {
                    Ok(range) => {
                        let next = self.decide(&mut st, requested, now);
                        return then(st, next, range);
                    }
                    Err(NoRoom) => self.make_room(st)?,
                }
            }
        })?
    }

    pub(super) fn place(
        &self,
        st: &mut State,
        body: &mut Body<'_>,
        now: Duration,
    ) -> Result<LsnRange, NoRoom> {
        let wall = st.wall(&*self.clock, now);
        let first = st.place(&self.layout, body, now, wall)?;
        Ok(LsnRange { first, last: first.advance(u64::from(body.records) - 1) })
    }

    pub(super) fn finish<'a>(
        &'a self,
        mut st: MutexGuard<'a, State>,
        next: Next,
        last: Lsn,
    ) -> Result<()> {
        match next {
            Next::Acknowledged => {
                self.kick_driver(&mut st);
                Ok(())
            }
            Next::Wait(Level::Written) => {
                self.kick_driver(&mut st);
                self.write_or_wait(st, last)
            }
            Next::Wait(_) => self.lead_or_wait(st, last),
        }
    }

    /// Commits on this thread if a sync is due and nobody is at it; otherwise waits for whoever is.
    pub(super) fn lead_or_wait(&self, mut st: MutexGuard<'_, State>, lsn: Lsn) -> Result<()> {
        if st.takes_role(Level::Durable) {
            drop(st);
            return self.lead();
        }
        self.kick_driver(&mut st);
        self.wait(st, lsn)
    }

    /// Whether an append is certain to need no commit.
    fn needs_no_commit(&self, requested: Durability) -> bool {
        let strategy = || self.fixed_decision.map(|decision| decision.acknowledge);
        let level = if requested == Durability::Strategy { strategy() } else { Some(requested) };
        matches!(level, Some(Durability::Buffered | Durability::Written))
    }

    /// Asks the strategy, and notes what is to be done about the tail.
    pub(super) fn decide(&self, st: &mut State, requested: Durability, now: Duration) -> Next {
        let asked = || self.strategy.decide(&st.view(Trigger::Append, requested, now));
        let decision = self.fixed_decision.unwrap_or_else(asked);
        let own = match decision.acknowledge {
            Durability::Strategy => Durability::Durable,
            level => level,
        };
        schedule_sync(st, decision.sync, now);
        if requested == Durability::Durable && own != Durability::Durable {
            st.sync_wanted = true;
        }
        // Somebody may have waited for this record before it was appended.
        if st.is_awaited() {
            self.promise_sync(st);
        }
        match if requested == Durability::Strategy { own } else { requested } {
            Durability::Buffered => {
                st.write_wanted |= st.buf.len() >= WRITE_BYTES;
                let by = now.saturating_add(self.settings.buffer_delay);
                st.write_at.get_or_insert(by);
                Next::Acknowledged
            }
            Durability::Written => Next::Wait(Level::Written),
            Durability::Durable | Durability::Strategy => {
                self.promise_sync(st);
                Next::Wait(Level::Durable)
            }
        }
    }

    /// Somebody waits for durability: if no sync is under way or planned, there must be one.
    pub(super) fn promise_sync(&self, st: &mut State) {
        if st.in_flight.is_none() && st.sync_at.is_none() {
            st.sync_wanted = true;
        }
    }

    /// Whether `lsn` has reached `level`; without a lock.
    pub(super) fn reached(&self, level: Level, lsn: Lsn) -> bool {
        lsn <= match level {
            Level::Written => self.written_lsn(),
            Level::Durable | Level::Followed => self.durable_lsn(),
        }
    }

    /// Waits on the calling thread until `lsn` is durable; it need not have been appended yet.
    pub(crate) fn wait_durable(&self, lsn: Lsn) -> Result<()> {
        while !self.reached(Level::Durable, lsn) {
            let mut st = self.live("wait for durability")?;
            if self.reached(Level::Durable, lsn) {
                break;
            }
            st.sync_wanted |= lsn <= st.appended.lsn;
            self.lead_or_wait(st, lsn)?;
        }
        Ok(())
    }
}
