//! The way of one append: frame it, decide, then return, wait or lead.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Engine;
use super::body::Body;
use super::commit::{closed, schedule_sync};
use super::state::{NoRoom, State};
use super::waiters::{Level, Ticket, Who};
use crate::record::Source;
use crate::sync::{MutexGuard, is_free};
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
        let st = self.state();
        self.check(op)?;
        if st.closed {
            return Err(closed());
        }
        Ok(st)
    }

    /// Appends on the calling thread.
    pub(crate) fn append(&self, source: &impl Source, requested: Durability) -> Result<LsnRange> {
        self.place_then(source, requested, |st, next, range| {
            self.finish(st, next, range.last).map(|()| range)
        })
    }

    /// Frames what is to be appended and lets the strategy decide; `then` goes on under the short lock.
    pub(super) fn place_then<'a, T>(
        &'a self,
        source: &impl Source,
        requested: Durability,
        then: impl Fn(MutexGuard<'a, State>, Next, LsnRange) -> Result<T>,
    ) -> Result<T> {
        source.with_body(self.body_limit, self.settings.max_record_bytes, |body| {
            loop {
                let mut st = self.live("append")?;
                let now = self.clock.monotonic_since(&mut st.recent);
                match self.place(&mut st, body, now) {
                    Ok(range) => {
                        let next = self.decide(&mut st, requested, now);
                        return then(st, next, range);
                    }
                    Err(NoRoom) => {
                        drop(st);
                        self.write_out()?;
                    }
                }
            }
        })?
    }

    fn place(
        &self,
        st: &mut State,
        body: &mut Body<'_>,
        now: Duration,
    ) -> Result<LsnRange, NoRoom> {
        let wall = st.wall(&*self.clock, now);
        let first = st.place(&self.layout, body, now, wall)?;
        Ok(LsnRange { first, last: first.advance(u64::from(body.records) - 1) })
    }

    pub(super) fn finish(
        &self,
        mut st: MutexGuard<'_, State>,
        next: Next,
        last: Lsn,
    ) -> Result<()> {
        match next {
            Next::Acknowledged => {
                self.kick_driver(&mut st);
                Ok(())
            }
            Next::Wait(Level::Written) if st.takes_role(Level::Written) => {
                self.kick_driver(&mut st);
                self.lead_write(st)
            }
            Next::Wait(Level::Written) => {
                self.kick_driver(&mut st);
                self.wait(st, Level::Written, last)
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
        self.wait(st, Level::Durable, lsn)
    }

    /// Asks the strategy, and notes what is to be done about the tail.
    fn decide(&self, st: &mut State, requested: Durability, now: Duration) -> Next {
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

    /// A future for "everything appended so far is durable"; starts the sync.
    pub(crate) fn sync_future(&self) -> Result<Waiting<'_>> {
        let mut st = self.live("sync")?;
        let lsn = st.appended.lsn;
        if st.durable.records < st.appended.records {
            st.sync_wanted = true;
            self.kick_driver(&mut st);
        }
        Ok(Waiting::new(self, Level::Durable, lsn))
    }

    /// A future for "`lsn` is durable"; starts a sync if the record was appended.
    pub(crate) fn durable_future(&self, lsn: Lsn) -> Result<Waiting<'_>> {
        if !self.reached(Level::Durable, lsn) {
            let mut st = self.live("wait for durability")?;
            st.sync_wanted |= lsn <= st.appended.lsn;
            self.kick_driver(&mut st);
        }
        Ok(Waiting::new(self, Level::Durable, lsn))
    }

    /// A future for "`lsn` has become durable", whenever that may be.
    pub(crate) fn followed_future(&self, lsn: Lsn) -> Waiting<'_> {
        Waiting::new(self, Level::Followed, lsn)
    }
}

/// A task's wait. Dropping it forgets the wait and nothing else.
pub(crate) struct Waiting<'a> {
    engine: &'a Engine,
    level: Level,
    lsn: Lsn,
    ticket: Option<Ticket>,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(engine: &'a Engine, level: Level, lsn: Lsn) -> Self {
        Waiting { engine, level, lsn, ticket: None }
    }

    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn
    }
}

impl Future for Waiting<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let (engine, level, lsn) = (self.engine, self.level, self.lsn);
        if engine.reached(level, lsn) {
            self.ticket = None;
            return Poll::Ready(Ok(()));
        }
        let mut st = engine.state();
        if let Err(error) = engine.check("append") {
            return Poll::Ready(Err(error));
        }
        if engine.reached(level, lsn) {
            self.ticket = None;
            return Poll::Ready(Ok(()));
        }
        // A log that is being closed makes durable what was appended before it says so.
        let closing = lsn <= st.appended.lsn && st.durable.records < st.appended.records;
        if st.closed && !closing {
            return Poll::Ready(Err(closed()));
        }
        let kept = self.ticket.is_some_and(|ticket| st.waiters.update(level, ticket, cx.waker()));
        if !kept {
            self.ticket = Some(st.waiters.push(level, lsn, Who::Task(cx.waker().clone())));
            // The record may have been appended, and acknowledged earlier than durable, after this wait
            // was begun and before anybody knew of it.
            if level == Level::Durable && lsn <= st.appended.lsn {
                engine.promise_sync(&mut st);
                engine.kick_driver(&mut st);
            }
        }
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.engine.state().waiters.cancel(self.level, ticket);
        }
    }
}

/// An append from a task. Nothing happens before the first poll; after it was framed, dropping the
/// future leaves the record in the log and only forgets the wait.
pub(crate) struct AppendFuture<'a, S> {
    engine: &'a Engine,
    source: S,
    requested: Durability,
    framed: Option<(LsnRange, Waiting<'a>)>,
}

impl<'a, S: Source> AppendFuture<'a, S> {
    pub(crate) fn new(engine: &'a Engine, source: S, requested: Durability) -> Self {
        AppendFuture { engine, source, requested, framed: None }
    }

    /// Frames the record, or leaves the waker with those who wait for room.
    fn frame(&mut self, cx: &Context<'_>) -> Result<Option<(LsnRange, Option<Level>)>> {
        let engine = self.engine;
        let requested = self.requested;
        self.source.with_body(engine.body_limit, engine.settings.max_record_bytes, |body| {
            let mut st = engine.live("append")?;
            let now = engine.clock.monotonic_since(&mut st.recent);
            let Ok(range) = engine.place(&mut st, body, now) else {
                st.waiters.push_space(cx.waker());
                st.write_wanted = true;
                engine.kick_driver(&mut st);
                return Ok(None);
            };
            let next = engine.decide(&mut st, requested, now);
            let level = match next {
                Next::Acknowledged => None,
                Next::Wait(level) if engine.may_lead_in_place() && st.takes_role(level) => {
                    return engine.lead_in_place(st, level).map(|()| Some((range, None)));
                }
                Next::Wait(level) => {
                    st.write_wanted |= level == Level::Written;
                    Some(level)
                }
            };
            if let Some(level) = level {
                let ticket = st.waiters.push(level, range.last, Who::Task(cx.waker().clone()));
                let waiting = Waiting { engine, level, lsn: range.last, ticket: Some(ticket) };
                self.framed = Some((range, waiting));
            }
            engine.kick_driver(&mut st);
            Ok(Some((range, level)))
        })?
    }
}

impl Engine {
    /// Whether tasks commit in place, and nobody writes, rotates or truncates.
    fn may_lead_in_place(&self) -> bool {
        self.settings.commit_in_place && is_free(&self.writer)
    }

    /// Does on a task's thread what the driver would do. Nobody is waited for: those who would come may
    /// need this very thread.
    fn lead_in_place(&self, mut st: MutexGuard<'_, State>, level: Level) -> Result<()> {
        if level == Level::Written {
            self.kick_driver(&mut st);
            return self.lead_write(st);
        }
        drop(st);
        self.lead_at_once()
    }
}

// Nothing in here is pinned structurally.
impl<S> Unpin for AppendFuture<'_, S> {}

impl<S: Source> Future for AppendFuture<'_, S> {
    type Output = Result<LsnRange>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.framed.is_none() {
            match self.frame(cx) {
                Err(error) => return Poll::Ready(Err(error)),
                Ok(None) => return Poll::Pending,
                Ok(Some((range, None))) => return Poll::Ready(Ok(range)),
                Ok(Some((_, Some(_)))) => return Poll::Pending,
            }
        }
        let (range, waiting) = self.framed.as_mut().expect("framed above");
        let range = *range;
        Pin::new(waiting).poll(cx).map(|outcome| outcome.map(|()| range))
    }
}
