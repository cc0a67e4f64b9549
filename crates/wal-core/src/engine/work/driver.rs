//! The driver: does what is due at a deadline, and what callers that cannot block ask for.
//!
//! It has no logic of its own. [`Engine::step`] does one thing that is due and says when it wants to be
//! called again; a thread, a simulated clock or a model checker can call it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::super::Engine;
use super::super::agenda::{Call, Job};
use super::super::failure::PanicGuard;
use super::super::pace::IdleSpin;
use super::super::state::State;
use crate::sync::{AtomicBool, Mutex, Ordering, lock, thread};
use crate::{Error, ErrorKind, Result, Trigger};

/// How the driver's thread is reached.
#[derive(Default)]
pub(in super::super) struct DriverLine {
    thread: OnceLock<thread::Thread>,
    /// The driver spins, and has something to do.
    called: AtomicBool,
}

impl DriverLine {
    fn call(&self, how: Call) {
        match how {
            Call::Word => self.called.store(true, Ordering::Release),
            Call::Unpark => {
                if let Some(thread) = self.thread.get() {
                    thread.unpark();
                }
            }
        }
    }
}

/// What [`Wal::drive`](crate::Wal::drive) found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a program that drives has to know every answer")]
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
        let _guard = PanicGuard::of(self);
        let now = self.clock.monotonic();
        let mut st = self.state();
        if let Some(job) = st.agenda.pop_job() {
            drop(st);
            job(self);
            return Drive::Worked;
        }
        let is_over = self.has_failed() || st.agenda.is_closed();
        if !is_over {
            if st.agenda.is_sync_due(now) {
                self.ask_strategy(&mut st, Trigger::Deadline);
            }
            st.agenda.note_due_write(now);
            // A failure is kept in the engine and told to everybody who waits.
            if st.agenda.take_wanted_sync() {
                drop(st);
                let _ = self.lead();
                return Drive::Worked;
            }
            if st.agenda.take_wanted_write() {
                let _ = self.lead_write(st);
                return Drive::Worked;
            }
        }
        st.agenda.driver_sleeps(is_over).map_or(Drive::Idle, Drive::Until)
    }

    /// Calls the driver if it rests and there is something that it does not know of.
    #[inline]
    pub(super) fn wake_driver(&self, st: &mut State) {
        if let Some(how) = st.agenda.call_driver() {
            self.driver.call(how);
        }
    }

    /// Hands a job to the driver.
    /// A driver that has ended drops the job, and the caller that waits for its outcome is told.
    pub(crate) fn hand_to_driver(&self, job: Job) {
        let mut st = self.state();
        if !st.agenda.is_stopped() {
            st.agenda.push_job(job);
            self.wake_driver(&mut st);
        }
    }

    /// Runs a job that takes long on a thread of its own, so that the driver goes on committing. Where the program
    /// drives the log, there is no thread but the program's: the job waits for it.
    pub(crate) fn run_beside_driver(engine: &Arc<Engine>, job: Job) {
        if engine.driver.thread.get().is_none() {
            return engine.hand_to_driver(job);
        }
        let job = Arc::new(Mutex::new(Some(job)));
        let (own, taken) = (engine.clone(), job.clone());
        let thread = thread::Builder::new().name("wal-truncate".into()).spawn(move || {
            let job = lock(&taken).take();
            if let Some(job) = job {
                job(&own);
            }
        });
        // Too many threads: then appends wait for it.
        if thread.is_err()
            && let Some(job) = lock(&job).take()
        {
            engine.hand_to_driver(job);
        }
    }

    fn run(&self) {
        /// However the driver ends, also by a panic: nobody may wait for it any more.
        struct Ended<'a>(&'a Engine);
        impl Drop for Ended<'_> {
            fn drop(&mut self) {
                let mut st = self.0.state();
                st.agenda.stop();
                let jobs = st.agenda.take_jobs();
                drop(st);
                drop(jobs);
            }
        }
        let _ended = Ended(self);
        let mut worked = false;
        loop {
            let step = self.step();
            if step != Drive::Worked && self.state().agenda.is_stopped() {
                return;
            }
            match step {
                Drive::Worked => {
                    worked = true;
                    continue;
                }
                // Then looks again, and says that it falls asleep.
                _ if std::mem::take(&mut worked) => self.idle_spin(),
                Drive::Idle => thread::park(),
                Drive::Until(at) => self.park_until(at),
            }
            // Only here: somebody else may call `step` while this thread sleeps, and must not keep others
            // from waking it.
            self.state().agenda.driver_works();
        }
    }

    /// Stays awake for a moment if somebody may come back soon.
    fn idle_spin(&self) {
        let sync_cost = {
            let mut st = self.state();
            if !st.seen.idle.expects_somebody(&self.pace) || st.agenda.has_work() {
                return;
            }
            self.driver.called.store(false, Ordering::Relaxed);
            st.agenda.driver_spins();
            st.progress.sync_cost()
        };
        let is_called = || self.driver.called.load(Ordering::Acquire);
        IdleSpin::spin(&self.pace, &*self.clock, sync_cost, is_called);
    }

    #[cfg(not(any(wal_loom, wal_shuttle)))]
    fn park_until(&self, at: Duration) {
        let wait = at.saturating_sub(self.clock.monotonic());
        if !wait.is_zero() {
            // A simulated clock need not agree with the time that passes here.
            thread::park_timeout(wait.min(Duration::from_secs(1)));
        }
    }

    /// No time passes in a model.
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
            let _ = driven.driver.thread.set(thread::current());
            driven.run();
        });
        let thread = spawn.map_err(|e| {
            Error::new(ErrorKind::Io, "open log")
                .with_detail("cannot start the driver thread")
                .with_source(e)
        })?;
        let _ = engine.driver.thread.set(thread.thread().clone());
        Ok(Driver { engine, thread: Some(thread) })
    }
}

impl Drop for Driver {
    /// Ends the thread. What was acknowledged from memory is handed over; if a sync was due by some
    /// deadline it is made now, since nobody will be there to make it then.
    fn drop(&mut self) {
        // In a forked process there is no such thread, nor any of the storage, and a lock that one of them had is never
        // free. Nothing here is this process's own, so nothing is let go of.
        if self.engine.fence.check_process().is_err() {
            std::mem::forget((self.engine.clone(), self.thread.take()));
            return;
        }
        /// Also if a storage panics in the last write: followers are told, and the storage's lock is let go of.
        struct End<'a>(&'a Engine);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.abandon();
                self.0.release();
            }
        }
        {
            let mut st = self.engine.state();
            st.agenda.stop();
            self.engine.wake_driver(&mut st);
        }
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
        // A truncation that a task asked for may be under way, on a thread of its own. One that comes later finds the
        // log closed.
        let _alone = lock(&self.engine.truncation);
        let _end = End(&self.engine);
        if !self.engine.has_failed() && !self.engine.state().agenda.is_closed() {
            let _ = self.engine.write_out();
            let is_planned = self.engine.state().agenda.is_sync_planned();
            if is_planned {
                let _ = self.engine.sync();
            }
        }
    }
}
