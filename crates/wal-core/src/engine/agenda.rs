//! What is to be done, by when, and by whom.
//!
//! This type owns the roles. **A role has one holder**: taking one that is taken fails, and giving back one that
//! nobody has is a mistake that is asserted. Together with [`Progress`](super::progress::Progress) it answers
//! whether a sync is wanted, planned or in flight, which must be so whenever a caller waits for one.

use std::collections::VecDeque;
use std::time::Duration;

use super::Engine;
use crate::SyncWhen;

/// Work that a task hands to the driver, because it may block.
pub(crate) type Job = Box<dyn FnOnce(&Engine) + Send>;

/// What the driver does while it has nothing to do.
#[derive(Clone, Copy)]
enum Rest {
    /// It is at work.
    None,
    /// It stays awake for a moment, and wants to be called.
    Spins,
    /// It sleeps, until then at the latest, and wants to be woken.
    SleepsUntil(Duration),
}

/// How the driver is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// It spins on a word.
    Word,
    /// It sleeps.
    Unpark,
}

/// A task that one thread at a time does for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Commits: writes and syncs.
    Sync,
    /// Writes.
    Write,
}

/// Under the short lock.
pub(super) struct Agenda {
    sync_at: Option<Duration>,
    write_at: Option<Duration>,
    rest: Rest,
    /// By [`Role`].
    taken: [bool; 2],
    /// No role: the next who takes the buffer keeps the promise, and that need not be the one who gave it.
    room_promised: bool,
    sync_wanted: bool,
    write_wanted: bool,
    life: Life,
    stopped: bool,
    jobs: VecDeque<Job>,
}

/// Whether records may be appended, and will become durable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    /// Nothing is appended any more. What was is about to become durable.
    Closing,
    /// Nothing more will happen.
    Over,
}

impl Agenda {
    pub(super) fn new() -> Self {
        Agenda {
            sync_at: None,
            write_at: None,
            rest: Rest::None,
            taken: [false; 2],
            room_promised: false,
            sync_wanted: false,
            write_wanted: false,
            life: Life::Open,
            stopped: false,
            jobs: VecDeque::new(),
        }
    }

    // What is wanted.

    /// A sync is to begin as soon as no other is in flight.
    pub(super) fn want_sync(&mut self) {
        self.sync_wanted = true;
    }

    /// The buffer is to be written.
    pub(super) fn want_write(&mut self) {
        self.write_wanted = true;
    }

    /// The buffer is to be written then at the latest.
    #[inline]
    pub(super) fn want_write_by(&mut self, at: Duration) {
        self.write_at.get_or_insert(at);
    }

    /// Remembers when a strategy wants the pending records to be synced. An earlier time is kept.
    #[inline]
    pub(super) fn plan_sync(&mut self, when: SyncWhen, now: Duration) {
        match when {
            SyncWhen::Now | SyncWhen::Within(Duration::ZERO) => self.sync_wanted = true,
            SyncWhen::Within(wait) => {
                let at = now.saturating_add(wait);
                self.sync_at = Some(self.sync_at.map_or(at, |old| old.min(at)));
            }
            SyncWhen::OnRequest => {}
        }
    }

    pub(super) fn is_write_wanted(&self) -> bool {
        self.write_wanted
    }

    pub(super) fn is_sync_wanted(&self) -> bool {
        self.sync_wanted
    }

    /// Whether a write is wanted at once or by a deadline, or somebody has the role.
    pub(super) fn is_write_planned(&self) -> bool {
        self.write_wanted || self.write_at.is_some() || self.has(Role::Write)
    }

    /// Whether a sync is wanted at once or by a deadline.
    pub(super) fn is_sync_planned(&self) -> bool {
        self.sync_wanted || self.sync_at.is_some()
    }

    pub(super) fn has_sync_deadline(&self) -> bool {
        self.sync_at.is_some()
    }

    /// Promises that the full buffer is about to be taken; false if somebody else has, and it was not taken since.
    pub(super) fn promise_room(&mut self) -> bool {
        !std::mem::replace(&mut self.room_promised, true)
    }

    /// Whether the promised room is yet to be made.
    pub(super) fn is_room_promised(&self) -> bool {
        self.room_promised
    }

    /// The buffer was taken to be written: wishes for a write are fulfilled, and there is room.
    pub(super) fn begin_write(&mut self) {
        self.write_wanted = false;
        self.write_at = None;
        self.room_promised = false;
    }

    /// The same, and a sync follows: what wanted one wants no other.
    pub(super) fn begin_sync(&mut self) {
        assert!(self.has(Role::Sync), "only the syncer begins a sync");
        self.begin_write();
        self.forget_syncs();
    }

    /// Everything is durable.
    pub(super) fn forget_syncs(&mut self) {
        self.sync_wanted = false;
        self.sync_at = None;
    }

    // Deadlines.

    /// Whether the deadline for a sync has come. It is then forgotten.
    pub(super) fn is_sync_due(&mut self, now: Duration) -> bool {
        self.sync_at.take_if(|at| *at <= now).is_some()
    }

    /// If the deadline for a write has come, the write is wanted now.
    pub(super) fn note_due_write(&mut self, now: Duration) {
        self.write_wanted |= self.write_at.take_if(|at| *at <= now).is_some();
    }

    /// The next moment at which the driver has something to do.
    fn next_deadline(&self) -> Option<Duration> {
        match (self.sync_at, self.write_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    // Roles.

    pub(super) fn has(&self, role: Role) -> bool {
        self.taken[role as usize]
    }

    /// Takes a role, unless somebody has it.
    pub(super) fn take(&mut self, role: Role) -> bool {
        !std::mem::replace(&mut self.taken[role as usize], true)
    }

    /// Takes the role of who syncs, unless somebody has it or no sync is wanted.
    pub(super) fn take_wanted_sync(&mut self) -> bool {
        self.sync_wanted && self.take(Role::Sync)
    }

    /// Takes the role of who writes, unless somebody has it or no write is wanted.
    pub(super) fn take_wanted_write(&mut self) -> bool {
        self.write_wanted && self.take(Role::Write)
    }

    /// Gives a role back.
    pub(super) fn give_back(&mut self, role: Role) {
        let had = std::mem::replace(&mut self.taken[role as usize], false);
        assert!(had, "nobody had the role {role:?}");
    }

    // The driver.

    pub(super) fn push_job(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    pub(super) fn pop_job(&mut self) -> Option<Job> {
        self.jobs.pop_front()
    }

    /// Whether there is something for the driver to do at once.
    pub(super) fn has_work(&self) -> bool {
        (self.sync_wanted && !self.has(Role::Sync))
            || (self.write_wanted && !self.has(Role::Write))
            || !self.jobs.is_empty()
            || self.stopped
    }

    /// The driver stays awake and is called by a word.
    pub(super) fn driver_spins(&mut self) {
        self.rest = Rest::Spins;
    }

    /// The driver is about to sleep until something is due, or until it is called. Returns when that is; nothing
    /// is ever due again once the log `is_over`.
    pub(super) fn driver_sleeps(&mut self, is_over: bool) -> Option<Duration> {
        let until = if is_over { None } else { self.next_deadline() };
        self.rest = Rest::SleepsUntil(until.unwrap_or(Duration::MAX));
        until
    }

    pub(super) fn driver_works(&mut self) {
        self.rest = Rest::None;
    }

    /// How to call the driver, if it rests and there is something that it does not know of. It is called once.
    #[inline]
    pub(super) fn call_driver(&mut self) -> Option<Call> {
        let call = match self.rest {
            Rest::Spins if self.has_work() => Call::Word,
            Rest::SleepsUntil(until)
                if self.has_work() || self.next_deadline().is_some_and(|at| at < until) =>
            {
                Call::Unpark
            }
            Rest::None | Rest::Spins | Rest::SleepsUntil(_) => return None,
        };
        self.rest = Rest::None;
        Some(call)
    }

    // The end.

    /// No more appends; false if the log was closed before.
    pub(super) fn begin_close(&mut self) -> bool {
        let is_first = self.life == Life::Open;
        if is_first {
            self.life = Life::Closing;
        }
        is_first
    }

    /// Nothing more will happen: the log was closed, or its last handle is gone.
    pub(super) fn end(&mut self) {
        self.life = Life::Over;
    }

    /// Whether nothing can be appended any more.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.life != Life::Open
    }

    /// Whether nothing more will become durable.
    pub(super) fn is_over(&self) -> bool {
        self.life == Life::Over
    }

    /// The driver is to end.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What nobody will do any more.
    pub(super) fn take_jobs(&mut self) -> VecDeque<Job> {
        std::mem::take(&mut self.jobs)
    }
}

#[cfg(all(test, not(any(wal_loom, wal_shuttle))))]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_role_has_one_holder() {
        let mut agenda = Agenda::new();
        assert!(!agenda.take_wanted_sync(), "nobody wants one");
        agenda.want_sync();
        assert!(agenda.take_wanted_sync() && !agenda.take_wanted_sync());
        assert!(agenda.take(Role::Write), "another role");
        agenda.give_back(Role::Sync);
        assert!(agenda.take(Role::Sync));
    }

    #[test]
    fn room_is_promised_once_until_somebody_takes_the_buffer() {
        let mut agenda = Agenda::new();
        assert!(agenda.promise_room() && !agenda.promise_room());
        agenda.begin_write();
        assert!(!agenda.is_room_promised() && agenda.promise_room());
    }

    #[test]
    #[should_panic(expected = "nobody had the role Write")]
    fn a_role_that_nobody_has_is_not_given_back() {
        Agenda::new().give_back(Role::Write);
    }

    #[test]
    #[should_panic(expected = "only the syncer begins a sync")]
    fn a_sync_is_begun_in_its_role() {
        Agenda::new().begin_sync();
    }

    #[test]
    fn the_earliest_deadline_is_kept_and_comes_once() {
        let mut agenda = Agenda::new();
        agenda.plan_sync(SyncWhen::Within(ms(5)), ms(10));
        agenda.plan_sync(SyncWhen::Within(ms(9)), ms(11));
        agenda.want_write_by(ms(30));
        agenda.want_write_by(ms(20));
        assert_eq!(agenda.driver_sleeps(false), Some(ms(15)));
        assert!(!agenda.is_sync_due(ms(14)) && agenda.is_sync_due(ms(15)));
        assert!(!agenda.is_sync_due(ms(15)));
        assert_eq!(agenda.driver_sleeps(false), Some(ms(30)));
        agenda.note_due_write(ms(30));
        assert!(agenda.take_wanted_write());
    }

    #[test]
    fn a_driver_that_sleeps_is_called_once_and_for_news_alone() {
        let mut agenda = Agenda::new();
        agenda.want_write_by(ms(20));
        assert_eq!(agenda.driver_sleeps(false), Some(ms(20)));
        assert_eq!(agenda.call_driver(), None);
        agenda.plan_sync(SyncWhen::Within(ms(1)), ms(2));
        assert_eq!(agenda.call_driver(), Some(Call::Unpark));
        assert_eq!(agenda.call_driver(), None);
        agenda.driver_spins();
        assert_eq!(agenda.call_driver(), None);
        agenda.want_sync();
        assert_eq!(agenda.call_driver(), Some(Call::Word));
    }

    #[test]
    fn the_driver_has_work_that_is_wanted_and_that_nobody_does() {
        for role in [Role::Sync, Role::Write] {
            let mut agenda = Agenda::new();
            assert!(!agenda.has_work() && !agenda.is_sync_wanted() && !agenda.is_write_wanted());
            match role {
                Role::Sync => agenda.want_sync(),
                Role::Write => agenda.want_write(),
            }
            let wanted = (agenda.is_sync_wanted(), agenda.is_write_wanted());
            assert_eq!(wanted, (role == Role::Sync, role == Role::Write));
            assert!(agenda.has_work() && agenda.take(role) && !agenda.has_work());
            agenda.give_back(role);
            assert!(agenda.has_work());
        }
        let mut agenda = Agenda::new();
        agenda.push_job(Box::new(|_| ()));
        assert!(agenda.has_work() && agenda.pop_job().is_some() && !agenda.has_work());
        agenda.push_job(Box::new(|_| ()));
        assert_eq!(agenda.take_jobs().len(), 1, "whoever waits for it has to be told");
        assert!(!agenda.has_work());
        agenda.stop();
        assert!(agenda.has_work(), "it has to end");
    }

    #[test]
    fn a_driver_at_work_is_not_called() {
        let mut agenda = Agenda::new();
        assert_eq!(agenda.driver_sleeps(false), None);
        agenda.driver_works();
        agenda.want_sync();
        assert_eq!(agenda.call_driver(), None, "it looks before it rests");
    }

    #[test]
    fn a_log_is_closed_before_it_is_over() {
        let mut agenda = Agenda::new();
        assert!(!agenda.is_closed() && !agenda.is_over());
        assert!(agenda.begin_close() && !agenda.begin_close());
        assert!(agenda.is_closed() && !agenda.is_over());
        agenda.end();
        assert!(agenda.is_closed() && agenda.is_over());
    }
}
