//! The way of one append on a thread: frame it, decide, then return, wait or lead.

use std::time::Duration;

use super::super::Engine;
use super::super::failure::closed;
use super::super::place::{Body, EncodeMemory, NoRoom, Source};
use super::super::state::State;
use super::super::wait::Level;
use crate::sync::MutexGuard;
use crate::{Durability, Lsn, LsnRange, Result, Trigger};

/// Records acknowledged from memory are to be written when this many bytes of frames have gathered.
const WRITE_BYTES: usize = 256 * 1024;

/// How an append that was framed goes on.
pub(super) enum AfterPlace {
    Acknowledged,
    Wait(Level),
}

impl Engine {
    /// Appends on the calling thread.
    pub(crate) fn append(
        &self,
        source: &impl Source,
        requested: Option<Durability>,
    ) -> Result<LsnRange> {
        let may_back_off = self.needs_no_commit(requested);
        // Lives longer than the lock: it may have to be given back to the system.
        let mut memory = EncodeMemory::default();
        let (st, next, range) =
            self.place_blocking(source, &mut memory, requested, may_back_off)?;
        self.finish(st, next, range.last)?;
        Ok(range)
    }

    /// Frames what is to be appended and lets the strategy decide; waits as long as the buffer is full. The
    /// caller goes on under the short lock.
    #[inline]
    pub(super) fn place_blocking(
        &self,
        source: &impl Source,
        memory: &mut EncodeMemory,
        requested: Option<Durability>,
        may_back_off: bool,
    ) -> Result<(MutexGuard<'_, State>, AfterPlace, LsnRange)> {
        self.enter()?;
        let mut body = source.encode(memory, self.layout.limits)?;
        self.guarded(|| {
            loop {
                let st =
                    if may_back_off { self.back_off.lock(&self.state.0) } else { self.state() };
                let mut st = self.alive(st, "append")?;
                match self.place(&mut st, &mut body, requested) {
                    Ok((next, range)) => return Ok((st, next, range)),
                    Err(NoRoom) => self.wait_for_buffer(st)?,
                }
            }
        })
    }

    /// Puts a frame into the buffer and lets the strategy decide.
    #[inline]
    pub(super) fn place(
        &self,
        st: &mut State,
        body: &mut Body<'_>,
        requested: Option<Durability>,
    ) -> Result<(AfterPlace, LsnRange), NoRoom> {
        let now = st.time.now(&*self.clock);
        let range = st.place(&self.layout, body, &*self.clock, now)?;
        Ok((self.decide(st, requested, now), range))
    }

    /// The short lock of a log that neither failed nor was closed.
    ///
    /// A failure is announced before the waiters are woken under this lock. So a caller that finds the log
    /// alive here is told of it, also if it begins to wait only now.
    pub(super) fn live(&self, op: &'static str) -> Result<MutexGuard<'_, State>> {
        self.enter()?;
        self.alive(self.state(), op)
    }

    #[inline]
    fn alive<'a>(
        &self,
        st: MutexGuard<'a, State>,
        op: &'static str,
    ) -> Result<MutexGuard<'a, State>> {
        self.check(op)?;
        if st.agenda.is_closed() {
            return Err(closed(op));
        }
        Ok(st)
    }

    /// Whether an append is certain to need no commit.
    fn needs_no_commit(&self, requested: Option<Durability>) -> bool {
        let level = requested.or(self.fixed_decision.map(|decision| decision.acknowledge));
        level.is_some_and(|level| level < Durability::Durable)
    }

    /// Asks the strategy, and notes what is to be done about the tail.
    fn decide(&self, st: &mut State, requested: Option<Durability>, now: Duration) -> AfterPlace {
        let asked = || self.strategy.decide(&st.view(Trigger::Append, requested, now));
        let decision = self.fixed_decision.unwrap_or_else(asked);
        st.agenda.plan_sync(decision.sync, now);
        let level = requested.unwrap_or(decision.acknowledge);
        if level == Durability::Durable && decision.acknowledge < level {
            st.agenda.want_sync();
        }
        // Somebody may have waited for this record before it was appended.
        st.promise_awaited_sync();
        match level {
            Durability::Buffered => {
                if st.placement.buffered() >= WRITE_BYTES {
                    st.agenda.want_write();
                }
                st.agenda.want_write_by(now.saturating_add(self.settings.buffer_delay));
                AfterPlace::Acknowledged
            }
            Durability::Written => AfterPlace::Wait(Level::Written),
            Durability::Durable => {
                st.promise_sync();
                AfterPlace::Wait(Level::Durable)
            }
        }
    }

    /// Returns, waits, or does the work, as was decided.
    #[inline]
    pub(super) fn finish<'a>(
        &'a self,
        mut st: MutexGuard<'a, State>,
        next: AfterPlace,
        last: Lsn,
    ) -> Result<()> {
        match next {
            AfterPlace::Acknowledged => {
                self.wake_driver(&mut st);
                Ok(())
            }
            AfterPlace::Wait(Level::Written) => {
                self.wake_driver(&mut st);
                self.write_or_wait(st, last)
            }
            AfterPlace::Wait(_) => self.lead_or_wait(st, last),
        }
    }
}
