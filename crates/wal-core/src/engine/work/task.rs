//! The way of one append from a task, and what a task waits for.
//!
//! Ten thousand tasks do not fit into the cache next to a processor, and each line of a future that has to be
//! fetched costs as much as framing its record. So these futures are kept small.

use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::super::Engine;
use super::super::agenda::Role;
use super::super::failure::closed;
use super::super::place::{Body, EncodeMemory, Source};
use super::super::state::State;
use super::super::wait::{Level, Ticket, Waiter};
use super::append::AfterPlace;
use crate::sync::{MutexGuard, is_free};
use crate::{Durability, Lsn, LsnRange, Result};

impl Engine {
    /// A future for "everything appended so far is durable"; starts the sync.
    pub(crate) fn sync_future(&self) -> Result<Waiting<'_>> {
        let mut st = self.live("sync")?;
        let lsn = st.progress.appended();
        if !st.progress.all_durable() {
            st.agenda.want_sync();
            self.wake_driver(&mut st);
        }
        Ok(Waiting::new(self, Level::Durable, lsn))
    }

    /// A future for "`lsn` is durable"; starts a sync if the record was appended.
    pub(crate) fn durable_future(&self, lsn: Lsn) -> Result<Waiting<'_>> {
        if !self.has_reached(Level::Durable, lsn) {
            let mut st = self.live(Level::Durable.op())?;
            if lsn <= st.progress.appended() {
                st.agenda.want_sync();
            }
            self.wake_driver(&mut st);
        }
        Ok(Waiting::new(self, Level::Durable, lsn))
    }

    /// A future for "`lsn`, which was appended, is written"; starts the write.
    pub(crate) fn written_future(&self, lsn: Lsn) -> Waiting<'_> {
        let mut st = self.state();
        st.agenda.want_write();
        self.wake_driver(&mut st);
        drop(st);
        Waiting::new(self, Level::Written, lsn)
    }

    /// A future for "`lsn` has become durable", whenever that may be.
    pub(crate) fn followed_future(&self, lsn: Lsn) -> Waiting<'_> {
        Waiting::new(self, Level::Followed, lsn)
    }
}

/// A task's wait. Dropping it forgets the wait and nothing else.
pub(crate) struct Waiting<'a> {
    engine: &'a Engine,
    lsn: Lsn,
    /// Set while the task is in the queue.
    id: Option<NonZeroU64>,
    level: Level,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(engine: &'a Engine, level: Level, lsn: Lsn) -> Self {
        Waiting { engine, lsn, id: None, level }
    }

    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn
    }

    fn ticket(&self) -> Option<Ticket> {
        self.id.map(|id| Ticket { lsn: self.lsn, id })
    }

    /// Joins the queue.
    fn join(&mut self, st: &mut State, cx: &Context<'_>) {
        if cfg!(debug_assertions) {
            st.assert_promised(self.level, self.lsn);
        }
        let ticket = st.wait.join(self.level, self.lsn, Waiter::Task(cx.waker().clone()));
        self.id = Some(ticket.id);
    }

    /// Puts a frame into the buffer, and goes on as was decided. `first` becomes the LSN of its first record.
    #[inline]
    fn place(
        &mut self,
        body: &mut Body<'_>,
        requested: Option<Durability>,
        first: &mut Lsn,
        cx: &Context<'_>,
    ) -> Result<Poll<()>> {
        let engine = self.engine;
        let mut st = engine.live("append")?;
        let Ok((next, range)) = engine.place(&mut st, body, requested) else {
            st.wait.join_for_buffer_once(cx.waker());
            st.agenda.want_write();
            engine.wake_driver(&mut st);
            return Ok(Poll::Pending);
        };
        (*first, self.lsn) = (range.first, range.last);
        match next {
            AfterPlace::Acknowledged => {
                engine.wake_driver(&mut st);
                Ok(Poll::Ready(()))
            }
            AfterPlace::Wait(level) if engine.leads_in_place(&mut st, level) => {
                engine.lead_in_place(st, level).map(Poll::Ready)
            }
            AfterPlace::Wait(level) => {
                if level == Level::Written {
                    st.agenda.want_write();
                }
                self.level = level;
                self.join(&mut st, cx);
                engine.wake_driver(&mut st);
                Ok(Poll::Pending)
            }
        }
    }

    /// Ready if the record has got so far, or never will; otherwise the task is in the queue.
    fn look(&mut self, cx: &Context<'_>) -> Poll<Result<()>> {
        let (engine, level, lsn) = (self.engine, self.level, self.lsn);
        if engine.has_reached(level, lsn) {
            self.id = None;
            return Poll::Ready(Ok(()));
        }
        engine.enter()?;
        let mut st = engine.state();
        if let Err(error) = engine.check(level.op()) {
            return Poll::Ready(Err(error));
        }
        if engine.has_reached(level, lsn) {
            self.id = None;
            return Poll::Ready(Ok(()));
        }
        // A log that is being closed makes durable what was appended before it says so.
        let is_closing = !st.agenda.is_over() && lsn <= st.progress.appended();
        if st.agenda.is_closed() && !is_closing {
            return Poll::Ready(Err(closed(level.op())));
        }
        let kept = self.ticket().is_some_and(|ticket| st.wait.update(level, ticket, cx.waker()));
        if !kept {
            // The record may have been appended, and acknowledged earlier than durable, after this wait
            // was begun and before anybody knew of it.
            if level == Level::Durable && lsn <= st.progress.appended() {
                st.promise_sync();
                engine.wake_driver(&mut st);
            }
            self.join(&mut st, cx);
        }
        Poll::Pending
    }
}

impl Future for Waiting<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let engine = self.engine;
        engine.guarded(|| self.look(cx))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket()
            && self.engine.enter().is_ok()
        {
            self.engine.state().wait.cancel(self.level, ticket);
        }
    }
}

/// An append from a task. Nothing happens before the first poll; after it was framed, dropping the
/// future leaves the record in the log and only forgets the wait.
pub(crate) struct AppendFuture<'a, S, F> {
    source: S,
    /// For the last of the records.
    waiting: Waiting<'a>,
    /// The first of the records; `ZERO` until they were framed.
    first: Lsn,
    requested: Option<Durability>,
    /// Makes of the records' LSNs what the caller wants.
    outcome: F,
}

impl<'a, S: Source, F> AppendFuture<'a, S, F> {
    pub(crate) fn new(
        engine: &'a Engine,
        source: S,
        requested: Option<Durability>,
        outcome: F,
    ) -> Self {
        let waiting = Waiting::new(engine, Level::Durable, Lsn::ZERO);
        AppendFuture { source, waiting, first: Lsn::ZERO, requested, outcome }
    }

    /// Frames the records; ready if they are acknowledged with that. Otherwise the task was put among those
    /// who wait for a commit, or, if there was no room, for a write.
    fn frame(&mut self, cx: &Context<'_>) -> Result<Poll<()>> {
        let mut memory = EncodeMemory::default();
        let engine = self.waiting.engine;
        let mut body = self.source.encode(&mut memory, engine.layout.limits)?;
        let (waiting, first) = (&mut self.waiting, &mut self.first);
        engine.guarded(|| waiting.place(&mut body, self.requested, first, cx))
    }
}

impl Engine {
    /// Takes the role for this level, if tasks commit in place and nobody writes, rotates or truncates.
    fn leads_in_place(&self, st: &mut State, level: Level) -> bool {
        self.settings.commit_in_place
            && is_free(&self.writer)
            && match level {
                Level::Written => st.agenda.take(Role::Write),
                Level::Durable => st.agenda.take_wanted_sync(),
                Level::Followed => false,
            }
    }

    /// Does on a task's thread what the driver would do. Nobody is waited for: those who would come may
    /// need this very thread.
    fn lead_in_place(&self, mut st: MutexGuard<'_, State>, level: Level) -> Result<()> {
        if level == Level::Written {
            self.wake_driver(&mut st);
            return self.lead_write(st);
        }
        drop(st);
        self.lead_at_once()
    }
}

// Nothing in here is pinned structurally.
impl<S, F> Unpin for AppendFuture<'_, S, F> {}

impl<S: Source, T, F: Fn(LsnRange) -> T> Future for AppendFuture<'_, S, F> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let acknowledged = if self.first == Lsn::ZERO {
            self.frame(cx)?.map(Ok)
        } else {
            Pin::new(&mut self.waiting).poll(cx)
        };
        let range = LsnRange { first: self.first, last: self.waiting.lsn };
        acknowledged.map_ok(|()| (self.outcome)(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RawCodec;
    use crate::engine::One;

    #[test]
    fn futures_are_small() {
        fn of_one<F>(_: F) -> usize {
            size_of::<AppendFuture<'_, One<'_, RawCodec>, F>>()
        }
        let size = of_one(|range: LsnRange| range.last);
        assert!(size <= 72, "{size}");
        assert!(size_of::<Waiting<'_>>() <= 32, "{}", size_of::<Waiting<'_>>());
    }
}
