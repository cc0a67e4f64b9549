//! The driver: does what is due at a deadline, and what callers that cannot block ask for.
//!
//! It has no logic of its own. [`Engine::step`] does one thing that is due and says when it wants to be
//! called again; a thread, a simulated clock or a model checker can call it.

use std::sync::Arc;
use std::time::Duration;

use super::state::{Job, Rest, State};
use super::waiters::Level;
use super::{Engine, PanicGuard};
use crate::sync::{Ordering, thread};
use crate::{Error, ErrorKind, Result, Trigger};

/// What [`Wal::drive`](crate::Wal::drive) found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// Something was done; there may be more.
    Worked,
    /// Nothing is due before this time of the log's clock.
    Until(Duration),
    /// Nothing is due until somebody appends or asks; nothing ever again if the log was closed or
    /// failed.
    Idle,
}

impl Engine {
    /// Does one thing that is due.
    pub(crate) fn step(&self) -> Drive {
        let _guard = PanicGuard(self);
        let now = self.clock.monotonic();
        let mut st = self.state();
        if let Some(job) = st.jobs.pop_front() {
            drop(st);
            job(self);
            return Drive::Worked;
        }
        if !self.has_failed() && !st.closed {
            if st.sync_at.is_some_and(|at| at <= now) {
                st.sync_at = None;
                self.ask_strategy(&mut st, Trigger::Deadline);
            }
            if st.write_at.is_some_and(|at| at <= now) {
                st.write_at = None;
                st.write_wanted = true;
            }
            // A failure is kept in the engine and told to everybody who waits.
            if st.takes_role(Level::Durable) {
                drop(st);
                let _ = self.lead();
                return Drive::Worked;
            }
            if st.write_wanted && st.takes_role(Level::Written) {
                let _ = self.lead_write(st);
                return Drive::Worked;
            }
            if let Some(at) = st.next_deadline() {
                st.rest = Rest::SleepsUntil(at);
                return Drive::Until(at);
            }
        }
        st.rest = Rest::SleepsUntil(Duration::MAX);
        Drive::Idle
    }

    /// Calls the driver if it rests and there is something that it does not know of.
    pub(super) fn kick_driver(&self, st: &mut State) {
        match st.rest {
            Rest::Lingers if st.has_work() => self.called.store(true, Ordering::Release),
            Rest::SleepsUntil(until)
                if st.has_work() || st.next_deadline().is_some_and(|at| at < until) =>
            {
                if let Some(thread) = self.driver_thread.get() {
                    thread.unpark();
                }
            }
            Rest::None | Rest::Lingers | Rest::SleepsUntil(_) => return,
        }
        st.rest = Rest::None;
    }

    /// Hands a job to the driver.
    /// A driver that has ended drops the job, and whoever waits for its outcome is told.
    pub(crate) fn hand_to_driver(&self, job: Job) {
        let mut st = self.state();
        if !st.stop {
            st.jobs.push_back(job);
            self.kick_driver(&mut st);
        }
    }

    fn run(&self) {
        /// However the driver ends, also by a panic: nobody may wait for it any more.
        struct Ended<'a>(&'a Engine);
        impl Drop for Ended<'_> {
            fn drop(&mut self) {
                let mut st = self.0.state();
                st.stop = true;
                let jobs = std::mem::take(&mut st.jobs);
                drop(st);
                drop(jobs);
            }
        }
        let _ended = Ended(self);
        let mut worked = false;
        loop {
            let step = self.step();
            if step != Drive::Worked && self.state().stop {
                return;
            }
            match step {
                Drive::Worked => {
                    worked = true;
                    continue;
                }
                // Then looks again, and says that it falls asleep.
                _ if std::mem::take(&mut worked) => self.linger(),
                Drive::Idle => thread::park(),
                Drive::Until(at) => self.park_until(at),
            }
            // Only here: somebody else may call `step` while this thread sleeps, and must not keep others
            // from waking it.
            self.state().rest = Rest::None;
        }
    }

    #[cfg(not(any(wal_loom, wal_shuttle)))]
    fn park_until(&self, at: Duration) {
        let wait = at.saturating_sub(self.clock.monotonic());
        if !wait.is_zero() {
            // A simulated clock need not agree with the time that passes here.
            thread::park_timeout(wait.min(Duration::from_secs(1)));
        }
    }

    #[cfg(any(wal_loom, wal_shuttle))]
    fn park_until(&self, _: Duration) {
        thread::park();
    }
}

/// The thread that drives one log.
pub(crate) struct Driver {
    engine: Arc<Engine>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Driver {
    /// Starts a thread for `engine`, or leaves the driving to the caller.
    pub(crate) fn start(engine: Arc<Engine>, with_thread: bool) -> Result<Self> {
        if !with_thread {
            return Ok(Driver { engine, thread: None });
        }
        let driven = engine.clone();
        let spawn = thread::Builder::new().name("wal-driver".into()).spawn(move || {
            let _ = driven.driver_thread.set(thread::current());
            driven.run();
        });
        let thread = spawn.map_err(|e| {
            Error::new(ErrorKind::Io, "open log").detail("cannot start the driver thread").source(e)
        })?;
        let _ = engine.driver_thread.set(thread.thread().clone());
        Ok(Driver { engine, thread: Some(thread) })
    }
}

impl Drop for Driver {
    /// Ends the thread. What was acknowledged from memory is handed over; if a sync was due by some
    /// deadline it is made now, since nobody will be there to make it then.
    fn drop(&mut self) {
        {
            let mut st = self.engine.state();
            st.stop = true;
            self.engine.kick_driver(&mut st);
        }
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
        if !self.engine.has_failed() && !self.engine.state().closed {
            let _ = self.engine.write_out();
            let due = {
                let st = self.engine.state();
                st.sync_wanted || st.sync_at.is_some()
            };
            if due {
                let _ = self.engine.sync();
            }
        }
        self.engine.release();
    }
}
