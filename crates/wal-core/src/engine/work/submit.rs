//! Appending now, waiting later.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::super::Engine;
use super::super::failure::closed;
use super::super::place::{EncodeMemory, Source};
use super::super::wait::Level;
use super::append::AfterPlace;
use super::task::Waiting;
use crate::{Durability, Lsn, LsnRange, Result};

impl Engine {
    /// Appends, and tells what to wait for instead of waiting.
    pub(crate) fn submit(
        &self,
        source: &impl Source,
        requested: Option<Durability>,
    ) -> Result<Submitted<'_>> {
        // Callers may be tasks, or have a lock of their own.
        let may_back_off = false;
        let mut memory = EncodeMemory::default();
        let (mut st, next, range) =
            self.place_blocking(source, &mut memory, requested, may_back_off)?;
        let level = match next {
            AfterPlace::Acknowledged => {
                self.wake_driver(&mut st);
                None
            }
            AfterPlace::Wait(level) => Some(level),
        };
        Ok(Submitted { engine: self, range, level })
    }

    /// Waits for a record that was appended earlier, on the calling thread.
    fn wait_submitted(&self, level: Level, lsn: Lsn) -> Result<()> {
        if self.has_reached(level, lsn) {
            return Ok(());
        }
        self.enter()?;
        let mut st = self.state();
        // A log that was closed meanwhile made it durable.
        if self.has_reached(level, lsn) {
            return Ok(());
        }
        self.check(level.op())?;
        if st.agenda.is_closed() {
            return Err(closed(level.op()));
        }
        // While nobody waited, nobody had to see to it.
        if level == Level::Durable {
            st.promise_sync();
        }
        self.finish(st, AfterPlace::Wait(level), lsn)
    }
}

/// Records that are in the log, and whose acknowledgement is yet to be waited for.
///
/// Made by [`Wal::submit`](crate::Wal::submit): append several records, then wait for all of them, and
/// one commit covers them. Threads call [`wait`](Self::wait), tasks `.await` it. Dropping it forgets the
/// wait and nothing else: the records stay in the log, and become durable as the strategy says.
#[must_use = "the records are not acknowledged before this was waited for"]
pub struct Submitted<'a> {
    engine: &'a Engine,
    range: LsnRange,
    /// What is to be waited for; none if the strategy acknowledged at once.
    level: Option<Level>,
}

impl<'a> Submitted<'a> {
    /// The LSNs.
    #[must_use]
    pub fn range(&self) -> LsnRange {
        self.range
    }

    /// Waits, on the calling thread, until the records are as safe as was asked for when they were
    /// submitted. This thread may write and sync for everybody.
    ///
    /// # Errors
    /// `Poisoned` or the error itself if a write or sync failed: the records may or may not be there
    /// after the next recovery. `Closed` if the log was closed before they were written.
    pub fn wait(mut self) -> Result<LsnRange> {
        let range = self.range;
        match self.level.take() {
            Some(level) => self.engine.wait_submitted(level, range.last).map(|()| range),
            None => Ok(range),
        }
    }
}

impl fmt::Debug for Submitted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (range, level) = (&self.range, &self.level);
        f.debug_struct("Submitted").field("range", range).field("level", level).finish()
    }
}

impl Drop for Submitted<'_> {
    /// Nobody is going to lead for these records but the driver.
    fn drop(&mut self) {
        if let Some(level) =
            self.level.filter(|level| !self.engine.has_reached(*level, self.range.last))
        {
            let mut st = self.engine.state();
            if level == Level::Written {
                st.agenda.want_write();
            }
            self.engine.wake_driver(&mut st);
        }
    }
}

impl<'a> IntoFuture for Submitted<'a> {
    type Output = Result<LsnRange>;
    type IntoFuture = Acknowledged<'a>;

    /// What is dropped here hands the work to the driver, also if the future is never polled.
    fn into_future(self) -> Acknowledged<'a> {
        let waiting = self.level.map(|level| Waiting::new(self.engine, level, self.range.last));
        Acknowledged { range: self.range, waiting }
    }
}

/// The future of a [`Submitted`]. Cancel-safe: dropping it forgets the wait and nothing else.
#[must_use = "futures do nothing unless polled"]
pub struct Acknowledged<'a> {
    range: LsnRange,
    waiting: Option<Waiting<'a>>,
}

impl fmt::Debug for Acknowledged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acknowledged").field("range", &self.range).finish_non_exhaustive()
    }
}

impl Future for Acknowledged<'_> {
    type Output = Result<LsnRange>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let range = self.range;
        match &mut self.waiting {
            Some(waiting) => Pin::new(waiting).poll(cx).map(|outcome| outcome.map(|()| range)),
            None => Poll::Ready(Ok(range)),
        }
    }
}
