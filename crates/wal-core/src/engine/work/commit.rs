//! Leading a commit: write what was framed, sync it, publish how far that reached, wake, hand over.
//!
//! The one rule on which everything rests: **what a sync publishes was captured before its write began**. What is
//! appended while the write or the sync is in flight waits for the next one.

use std::time::Duration;

use super::super::Engine;
use super::super::agenda::Role;
use super::super::failure::PanicGuard;
use super::super::progress::Captured;
use super::super::state::State;
use super::super::wait::{CommitNumber, Level, Outcome, Successor, Waiter, Wakes};
use super::flush::Purpose;
use crate::sync::{MutexGuard, lock};
use crate::{Event, Lsn, Result, Trigger};

impl Engine {
    /// Makes everything durable that was appended before this call.
    pub(crate) fn sync(&self) -> Result<Lsn> {
        let mut st = self.live("sync")?;
        let target = st.progress.appended();
        if st.progress.all_durable() {
            return Ok(target);
        }
        st.agenda.want_sync();
        self.lead_or_wait(st, target)?;
        Ok(target)
    }

    /// Waits on the calling thread until `lsn` is durable; it need not have been appended yet.
    pub(crate) fn wait_durable(&self, lsn: Lsn) -> Result<()> {
        while !self.has_reached(Level::Durable, lsn) {
            let mut st = self.live(Level::Durable.op())?;
            if self.has_reached(Level::Durable, lsn) {
                break;
            }
            if lsn <= st.progress.appended() {
                st.agenda.want_sync();
            }
            self.lead_or_wait(st, lsn)?;
        }
        Ok(())
    }

    /// Commits on this thread if a sync is wanted and nobody is at it; otherwise waits for the one who is.
    pub(super) fn lead_or_wait(&self, mut st: MutexGuard<'_, State>, lsn: Lsn) -> Result<()> {
        if st.agenda.take_wanted_sync() {
            drop(st);
            return self.lead();
        }
        self.wake_driver(&mut st);
        if lsn <= st.progress.appended() {
            self.wait_in_group(st, lsn)
        } else {
            self.wait_in_queue(st, lsn)
        }
    }

    /// Waits for the commit that covers `lsn`, which was appended; this thread may come to lead it.
    fn wait_in_group(&self, st: MutexGuard<'_, State>, lsn: Lsn) -> Result<()> {
        let _guard = PanicGuard::of(self);
        // Declared behind the guard, so that the lock is let go of before it.
        let mut st = st;
        st.assert_promised(Level::Durable, lsn);
        let in_flight = st.progress.in_flight_covers(lsn);
        let commit = st.wait.join_group(lsn, in_flight);
        drop(st);
        match self.groups.wait(commit) {
            Outcome::Lead => self.lead(),
            // Not even a mistake in counting commits may acknowledge what is not durable.
            _ if lsn <= self.durable_lsn() => Ok(()),
            _ => Err(self.wait_ended(Level::Durable.op())),
        }
    }

    /// Waits for a record that is yet to be appended; this thread may come to lead its commit.
    fn wait_in_queue(&self, st: MutexGuard<'_, State>, lsn: Lsn) -> Result<()> {
        match self.sleep_in_queue(st, Level::Durable, lsn) {
            Outcome::Done => Ok(()),
            Outcome::Lead => self.lead(),
            Outcome::Failed => Err(self.wait_ended(Level::Durable.op())),
        }
    }

    /// Commits for everybody who comes in time. Called by the syncer.
    pub(super) fn lead(&self) -> Result<()> {
        let _guard = PanicGuard::of(self);
        let (group, sync_cost) = {
            let st = self.state();
            (st.seen.group, st.progress.sync_cost())
        };
        group.wait(&self.pace, &*self.clock, sync_cost, || self.state().wait.gathered());
        self.lead_at_once()
    }

    /// Commits, publishes, and passes the role of the syncer on. Called by the syncer.
    pub(super) fn lead_at_once(&self) -> Result<()> {
        let _guard = PanicGuard::of(self);
        let outcome = self.commit();
        // Declared before the lock is taken: also if the strategy panics, the lock is released first,
        // then those who are covered are woken, then everybody else is told of the failure.
        let mut wakes = Wakes::take();
        let mut complete = None;
        let mut successor = None;
        let mut st = self.state();
        let outcome = match outcome {
            Ok((captured, took)) if !self.has_failed() => {
                complete = self.publish_synced(&mut st, captured, took, &mut wakes);
                self.ask_strategy(&mut st, Trigger::Synced);
                successor = self.hand_over(&mut st);
                Ok(())
            }
            outcome => {
                st.progress.give_up_sync();
                st.agenda.give_back(Role::Sync);
                outcome.map(|_| ())
            }
        };
        drop(st);
        // The next commit starts before anybody else is told.
        match successor {
            Some(Successor::Group(commit)) => self.groups.appoint(commit),
            Some(Successor::Thread(slot)) => Waiter::Thread(slot).wake(Outcome::Lead),
            None => {}
        }
        if let Some(commit) = complete {
            self.groups.wake(commit);
        }
        drop(wakes);
        outcome?;
        self.check("commit")
    }

    /// Makes everything durable that was appended before this call, and tells how long that took. Called by the
    /// syncer.
    fn commit(&self) -> Result<(Captured, Duration)> {
        let (segment, flushed) = {
            let mut w = lock(&self.writer);
            let flushed = self.flush(&mut w, Purpose::Sync)?;
            (w.segment(), flushed)
        };
        let captured = flushed.captured;
        let started = self.clock.monotonic();
        let name = segment.as_ref().map(|(_, name)| *name);
        if let Some((segment, name)) = segment
            && !flushed.durable
            && self.durable_lsn() < captured.lsn()
        {
            let _alone = lock(&self.syncer);
            let _guard = PanicGuard::of(self);
            // Never sync again after a failure: the next Ok would prove nothing.
            self.check("sync")?;
            segment
                .sync()
                .wait()
                .map_err(|e| self.fail(e.with_segment(name).with_lsn(captured.lsn())))?;
            let elapsed = self.clock.monotonic().saturating_sub(started);
            self.count_sync(captured.lsn(), elapsed);
        }
        // Nobody is told of a sync before this.
        if self.durable_lsn() < captured.lsn() {
            self.confirm_written(name)?;
        }
        Ok((captured, self.clock.monotonic().saturating_sub(started)))
    }

    /// Everything captured is durable: says so, and collects those who waited for it. Returns the commit whose
    /// group is to be woken.
    fn publish_synced(
        &self,
        st: &mut State,
        captured: Captured,
        took: Duration,
        wakes: &mut Wakes,
    ) -> Option<CommitNumber> {
        st.progress.publish_synced(captured, took, self.clock.monotonic(), &self.reached);
        self.collect_durable(st, &mut wakes.0);
        let woken = st.wait.covered() + wakes.0.len() as u64;
        let complete = st.wait.complete_commit(&self.groups);
        st.seen.group.saw(&self.pace, woken, st.wait.gathered());
        st.seen.idle.woke(woken > 0);
        complete
    }

    /// Collects those who wait for what is durable.
    pub(super) fn collect_durable(&self, st: &mut State, wakes: &mut Vec<Waiter>) {
        st.wait.take_durable(st.progress.durable(), &self.groups, wakes);
    }

    /// Asks the strategy about the tail that is left, outside an append.
    pub(super) fn ask_strategy(&self, st: &mut State, trigger: Trigger) {
        if st.progress.all_durable() {
            return;
        }
        let now = self.clock.monotonic();
        let decision = self.strategy.decide(&st.view(trigger, None, now));
        st.agenda.plan_sync(decision.sync, now);
        st.promise_awaited_sync();
    }

    /// Finds the next leader. A thread gets the role of the syncer; without one the role is free.
    fn hand_over(&self, st: &mut State) -> Option<Successor> {
        if st.agenda.is_sync_wanted()
            && let Some(successor) = st.wait.choose_leader()
        {
            return Some(successor);
        }
        st.agenda.give_back(Role::Sync);
        if st.agenda.is_sync_planned() {
            self.wake_driver(st);
        }
        None
    }

    /// Counts a sync and tells the observer.
    pub(super) fn count_sync(&self, upto: Lsn, elapsed: Duration) {
        {
            let mut st = self.state();
            st.stats.syncs += 1;
            st.stats.sync_time += elapsed;
        }
        self.emit(&Event::Synced { upto, elapsed });
    }
}
