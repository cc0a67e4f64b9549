//! Leading a commit: write what was framed, sync it, publish how far that reached, wake, hand over.
//!
//! The one rule that everything hangs on: **the mark that a sync publishes was taken before its write
//! began**. Whatever is appended while the write or the sync is in flight waits for the next one.

use std::sync::Arc;
use std::time::Duration;

use super::cohort::CommitNumber;
use super::flush::Purpose;
use super::state::{Mark, State};
use super::waiters::{Level, Outcome, Slot, Wakes, Who, wake_all};
use super::{Engine, PanicGuard};
use crate::sync::{MutexGuard, Ordering, lock};
use crate::{Durability, Error, ErrorKind, Event, Lsn, Result, SyncWhen, Trigger};

impl Engine {
    /// Makes everything durable that was appended before this call. Called in the syncing role.
    fn commit(&self) -> Result<(Mark, Duration)> {
        let (segment, flushed) = {
            let mut w = lock(&self.writer);
            let flushed = self.flush(&mut w, Purpose::Sync)?;
            (w.segment(), flushed)
        };
        let mark = flushed.mark;
        let started = self.clock.monotonic();
        if let Some((segment, name)) = segment
            && !flushed.durable
            && self.durable_lsn() < mark.lsn
        {
            let _alone = lock(&self.syncer);
            let _guard = PanicGuard(self);
            // Never sync again after a failure: the next Ok would prove nothing.
            self.check("sync")?;
            segment.sync().wait().map_err(|e| self.fail(e.segment(name).lsn(mark.lsn)))?;
            let elapsed = self.clock.monotonic().saturating_sub(started);
            self.emit_synced(mark.lsn, elapsed);
        }
        Ok((mark, self.clock.monotonic().saturating_sub(started)))
    }

    /// Commits for everybody who comes in time. Called in the syncing role.
    pub(super) fn lead(&self) -> Result<()> {
        let _guard = PanicGuard(self);
        self.await_company();
        self.lead_at_once()
    }

    /// Commits, publishes, and passes the syncing role on. Called in the syncing role.
    pub(super) fn lead_at_once(&self) -> Result<()> {
        let _guard = PanicGuard(self);
        let outcome = self.commit();
        // Declared before the lock is taken: also if the strategy panics, the lock is released first,
        // then those who are covered are woken, then everybody else is told of the failure.
        let mut wakes = Wakes::take();
        let mut landed = None;
        let mut st = self.state();
        let successor = match &outcome {
            Ok((mark, elapsed)) if !self.has_failed() => {
                self.publish_durable(&mut st, *mark, *elapsed, &mut wakes.0);
                let woken = st.commits.aboard() + wakes.0.len() as u64;
                landed = st.commits.land(&self.cohorts);
                let left = st.gathered();
                st.crowd.seen(woken, left);
                self.ask_strategy(&mut st, Trigger::Synced);
                self.hand_over_sync(&mut st)
            }
            _ => {
                st.in_flight = None;
                st.syncing = false;
                None
            }
        };
        drop(st);
        // The next commit starts before anybody else is told.
        match successor {
            Some(Successor::Cohort(commit)) => self.cohorts.appoint(commit),
            Some(Successor::Thread(slot)) => Who::Thread(slot).wake(Outcome::Lead),
            None => {}
        }
        if let Some(commit) = landed {
            self.cohorts.wake(commit);
        }
        drop(wakes);
        outcome?;
        self.check("append")
    }

    /// Everything up to `mark` is durable: says so, and collects those who waited for it.
    fn publish_durable(&self, st: &mut State, mark: Mark, elapsed: Duration, wakes: &mut Vec<Who>) {
        let committed = mark.records.saturating_sub(st.durable.records);
        st.in_flight = None;
        self.advance_durable(st, mark, wakes);
        st.last_sync_end = self.clock.monotonic();
        if committed > 0 {
            st.sync_cost =
                if st.sync_cost.is_zero() { elapsed } else { (st.sync_cost * 7 + elapsed) / 8 };
            let n = committed as f64;
            st.records_per_sync =
                if st.records_per_sync == 0.0 { n } else { (st.records_per_sync * 3.0 + n) / 4.0 };
        }
    }

    pub(super) fn advance_durable(&self, st: &mut State, mark: Mark, wakes: &mut Vec<Who>) {
        if mark.records > st.durable.records {
            st.durable = mark;
            self.progress.durable.store(mark.lsn.get(), Ordering::Release);
        }
        if let Some(commit) = st.commits.overtaken(st.durable.lsn, &self.cohorts) {
            self.cohorts.wake(commit);
        }
        st.waiters.durable.take(st.durable.lsn, wakes);
        st.waiters.followers.take(st.durable.lsn, wakes);
    }

    /// Counts a sync and tells the observer.
    pub(super) fn emit_synced(&self, upto: Lsn, elapsed: Duration) {
        {
            let mut st = self.state();
            st.stats.syncs += 1;
            st.stats.sync_time += elapsed;
        }
        self.emit(&Event::Synced { upto, elapsed });
    }

    /// Asks the strategy about the tail that is left, outside an append.
    pub(super) fn ask_strategy(&self, st: &mut State, trigger: Trigger) {
        if st.appended.records == st.durable.records {
            return;
        }
        let now = self.clock.monotonic();
        let decision = self.strategy.decide(&st.view(trigger, Durability::Strategy, now));
        schedule_sync(st, decision.sync, now);
        if st.is_awaited() {
            self.promise_sync(st);
        }
    }

    /// Finds who commits next. The syncing role stays taken if a thread does.
    fn hand_over_sync(&self, st: &mut MutexGuard<'_, State>) -> Option<Successor> {
        if st.sync_wanted {
            let cohort = st.commits.choose().map(Successor::Cohort);
            let thread = || st.waiters.durable.take_leader().map(Successor::Thread);
            if let Some(successor) = cohort.or_else(thread) {
                return Some(successor);
            }
        }
        st.syncing = false;
        if st.sync_wanted || st.sync_at.is_some() {
            self.kick_driver(st);
        }
        None
    }

    /// Waits on the calling thread; it may come to lead.
    pub(super) fn wait(&self, mut st: MutexGuard<'_, State>, lsn: Lsn) -> Result<()> {
        if lsn <= st.appended.lsn {
            return self.wait_for_commit(st, lsn);
        }
        let slot = Slot::of_this_thread();
        st.waiters.push(Level::Durable, lsn, Who::Thread(slot.clone()));
        drop(st);
        match slot.wait() {
            Outcome::Done => Ok(()),
            Outcome::Lead => self.lead(),
            Outcome::Failed => Err(self.refusal("wait for commit").unwrap_or_else(closed)),
        }
    }

    /// Waits for the commit that covers `lsn`, which was appended; this thread may come to lead it.
    fn wait_for_commit(&self, mut st: MutexGuard<'_, State>, lsn: Lsn) -> Result<()> {
        let in_flight = st.in_flight.as_ref().is_some_and(|sync| lsn <= sync.mark.lsn);
        let flying = if in_flight { st.commits.join_flying() } else { None };
        let commit = flying.unwrap_or_else(|| st.commits.join_next(lsn));
        drop(st);
        match self.cohorts.wait(commit) {
            Outcome::Lead => self.lead(),
            // Not even a mistake in counting commits may acknowledge what is not durable.
            _ if lsn <= self.durable_lsn() => Ok(()),
            _ => Err(self.refusal("wait for commit").unwrap_or_else(closed)),
        }
    }

    /// Makes everything durable that was appended before this call.
    pub(crate) fn sync(&self) -> Result<Lsn> {
        let mut st = self.live("sync")?;
        let target = st.appended;
        if st.durable.records >= target.records {
            return Ok(target.lsn);
        }
        st.sync_wanted = true;
        self.lead_or_wait(st, target.lsn)?;
        Ok(target.lsn)
    }

    /// Commits everything, seals the segment, lets go of the storage. The first caller does it.
    pub(crate) fn close(&self) -> Result<()> {
        self.check("close")?;
        let mut w = lock(&self.writer);
        // Whoever closed the log before us may have failed.
        self.check("close")?;
        {
            let mut st = self.state();
            if st.closed {
                return Ok(());
            }
            st.closed = true;
        }
        self.flush(&mut w, Purpose::Write)?;
        self.seal_active(&mut w)?;
        let mut wakes = Vec::new();
        let (last_lsn, mut in_vain) = {
            let mut st = self.state();
            let mark = st.appended;
            self.advance_durable(&mut st, mark, &mut wakes);
            st.sync_wanted = false;
            st.sync_at = None;
            // Those who are left wait for records that will never be appended.
            let mut in_vain = Vec::new();
            st.waiters.take_all(&mut in_vain);
            self.cohorts.end(false);
            (st.last_lsn, in_vain)
        };
        wake_all(&mut wakes, Outcome::Done);
        wake_all(&mut in_vain, Outcome::Failed);
        self.release();
        drop(w);
        self.emit(&Event::Closed { last_lsn });
        Ok(())
    }
}

/// Who commits next.
enum Successor {
    /// One of the threads that wait for this commit.
    Cohort(CommitNumber),
    /// A thread that waits for a record by its number.
    Thread(Arc<Slot>),
}

/// Remembers when the pending records are to be synced.
pub(super) fn schedule_sync(st: &mut State, when: SyncWhen, now: Duration) {
    match when {
        SyncWhen::Now | SyncWhen::Within(Duration::ZERO) => st.sync_wanted = true,
        SyncWhen::Within(wait) => {
            let at = now.saturating_add(wait);
            st.sync_at = Some(st.sync_at.map_or(at, |old| old.min(at)));
        }
        SyncWhen::OnRequest => {}
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "append").detail("the log was closed")
}
