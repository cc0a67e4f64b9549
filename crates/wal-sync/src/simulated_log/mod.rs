//! A discrete-event simulation of the log, for tests: what does a strategy lose, at worst?
//!
//! Time is a number. Appends come at given moments, syncs take given times, timers fire late by
//! given times. After every event the simulation looks at what a loss of power at this moment would
//! take: every record that was acknowledged and is not durable, the ones in the sync in flight
//! included. Nothing changes between two events, so this is a crash at every moment.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::test_runner::TestCaseError;
use wal_core::{Durability, SyncStrategy, SyncWhen, TailView, Trigger};

mod load;
mod writers;

pub(crate) use load::{Append, Checks, Load, any_load};
pub(crate) use writers::{Writers, run_writers};

/// What a loss of power took at the worst moments; each number has its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Worst {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Time from the first to the last append among the lost records that the sync in flight
    /// covers.
    pub(crate) covered_span: Duration,
    /// The same for the lost records that came after it began.
    pub(crate) pending_span: Duration,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) syncs: u64,
    pub(crate) worst: Worst,
}

/// An append that is not durable yet.
#[derive(Clone, Copy, Debug)]
struct Entry {
    writer: usize,
    at: Duration,
    records: u64,
    bytes: u64,
    acknowledged: bool,
    /// The caller asked for less than the strategy, so the claim does not speak of it.
    outside_claim: bool,
}

struct Log<'a> {
    strategy: &'a dyn SyncStrategy,
    checks: Checks,
    load: &'a Load,
    now: Duration,
    tail: VecDeque<Entry>,
    /// How many of `tail` the sync in flight covers, when it began, when it ends.
    flight: Option<(usize, Duration, Duration)>,
    sync_wanted: bool,
    /// The deadline, and when its timer really fires.
    deadline: Option<(Duration, Duration)>,
    timers: usize,
    last_sync_end: Duration,
    sync_cost: Duration,
    records_per_sync: f64,
    report: Report,
    /// Writers whose append the last event made durable or acknowledged.
    released: Vec<usize>,
}

impl<'a> Log<'a> {
    fn new(strategy: &'a dyn SyncStrategy, load: &'a Load, checks: Checks) -> Self {
        Log {
            strategy,
            checks,
            load,
            now: Duration::ZERO,
            tail: VecDeque::new(),
            flight: None,
            sync_wanted: false,
            deadline: None,
            timers: 0,
            last_sync_end: Duration::ZERO,
            sync_cost: Duration::ZERO,
            records_per_sync: 0.0,
            report: Report::default(),
            released: Vec::new(),
        }
    }

    fn covered(&self) -> usize {
        self.flight.map_or(0, |(covered, ..)| covered)
    }

    fn view(&self, trigger: Trigger, requested: Option<Durability>) -> TailView {
        let pending = self.tail.range(self.covered()..);
        let mut view = TailView::empty(trigger);
        view.requested = requested;
        view.records = self.tail.iter().map(|e| e.records).sum();
        view.bytes = self.tail.iter().map(|e| e.bytes).sum();
        view.pending_records = pending.clone().map(|e| e.records).sum();
        view.pending_bytes = pending.clone().map(|e| e.bytes).sum();
        view.pending_age = pending.clone().next().map_or(Duration::ZERO, |e| self.now - e.at);
        view.in_flight = self.flight.map(|(_, begun, _)| self.now - begun);
        view.since_last_sync = self.now - self.last_sync_end;
        view.waiting = self.tail.iter().filter(|e| !e.acknowledged).count() as u64;
        view.waiting -= u64::from(trigger == Trigger::Append);
        view.sync_cost = self.sync_cost;
        view.records_per_sync = self.records_per_sync;
        view
    }

    fn act(&mut self, when: SyncWhen) {
        match when {
            SyncWhen::Now => self.sync_wanted = true,
            SyncWhen::Within(wait) => {
                let deadline = self.now + wait;
                if self.deadline.is_none_or(|(earlier, _)| deadline < earlier) {
                    let late = circle(&self.load.late_us, self.timers);
                    self.timers += 1;
                    self.deadline = Some((deadline, deadline + late));
                }
            }
            SyncWhen::OnRequest => {}
        }
        if self.sync_wanted && self.flight.is_none() && !self.tail.is_empty() {
            let takes = circle(&self.load.sync_us, self.report.syncs as usize);
            self.flight = Some((self.tail.len(), self.now, self.now + takes));
            self.report.syncs += 1;
            self.sync_wanted = false;
            self.deadline = None;
        }
    }

    fn append(&mut self, writer: usize, append: &Append) -> Result<(), String> {
        let Append { records, bytes, requested, .. } = *append;
        let outside_claim = requested.is_some_and(|asked| asked < Durability::Durable);
        let at = self.now;
        let acknowledged = false;
        self.tail.push_back(Entry { writer, at, records, bytes, acknowledged, outside_claim });
        let decision = self.strategy.decide(&self.view(Trigger::Append, requested));
        let (mut level, mut sync) = (decision.acknowledge, decision.sync);
        match requested {
            None => {}
            Some(Durability::Durable) if level < Durability::Durable => {
                (level, sync) = (Durability::Durable, SyncWhen::Now);
            }
            Some(asked) => level = asked,
        }
        if level < Durability::Durable {
            self.tail.back_mut().expect("just pushed").acknowledged = true;
            self.released.push(writer);
        }
        self.act(sync);
        self.crash()
    }

    fn next_event(&self) -> Option<Duration> {
        let sync = self.flight.map(|(.., end)| end);
        let timer = self.deadline.map(|(_, fires)| fires);
        sync.into_iter().chain(timer).min()
    }

    fn event(&mut self) -> Result<(), String> {
        let trigger = if self.flight.is_some_and(|(.., end)| end <= self.now) {
            let (covered, begun, end) = self.flight.take().expect("in flight");
            let done: Vec<Entry> = self.tail.drain(..covered).collect();
            self.released.extend(done.iter().filter(|e| !e.acknowledged).map(|e| e.writer));
            let records: u64 = done.iter().map(|e| e.records).sum();
            let first = self.records_per_sync == 0.0;
            let average = |old: f64, new: f64, weight: f64| {
                if first { new } else { old + (new - old) * weight }
            };
            // The weights that the log uses.
            self.records_per_sync = average(self.records_per_sync, records as f64, 0.25);
            let cost = (end - begun).as_secs_f64();
            let cost = average(self.sync_cost.as_secs_f64(), cost, 0.125);
            self.sync_cost = Duration::from_secs_f64(cost);
            self.last_sync_end = self.now;
            Trigger::Synced
        } else {
            self.deadline = None;
            Trigger::Deadline
        };
        if !self.tail.is_empty() {
            let view = self.view(trigger, None);
            self.act(self.strategy.decide(&view).sync);
        }
        self.crash()
    }

    /// Lets time pass until `until`, or until nothing happens any more if that is `MAX`. Appends of
    /// that very moment come after its events.
    fn run_until(&mut self, until: Duration) -> Result<(), String> {
        let mut spent = 0;
        while let Some(next) = self.next_event().filter(|next| *next <= until) {
            self.pass(next)?;
            self.event()?;
            spent += 1;
            if spent > 10_000 {
                return Err("it goes round in circles without an append".into());
            }
        }
        if until < Duration::MAX { self.pass(until) } else { Ok(()) }
    }

    fn pass(&mut self, until: Duration) -> Result<(), String> {
        self.now = until.max(self.now);
        let punctual = self.load.late_us.iter().all(|late| *late == 0);
        if let Some(limit) = self.checks.idle_age.filter(|_| punctual && self.flight.is_none()) {
            let age = self.view(Trigger::Deadline, None).pending_age;
            if age > limit {
                return Err(format!("a record is {age:?} old on an idle log, limit {limit:?}"));
            }
        }
        Ok(())
    }

    /// The power fails now: is the loss within the claim?
    fn crash(&mut self) -> Result<(), String> {
        let at_risk = |range: std::ops::Range<usize>| {
            self.tail.range(range).filter(|e| e.acknowledged && !e.outside_claim)
        };
        let span = |range: std::ops::Range<usize>| {
            let first = at_risk(range.clone()).next()?;
            Some(at_risk(range).next_back()?.at - first.at)
        };
        let all = 0..self.tail.len();
        let records = at_risk(all.clone()).map(|e| e.records).sum::<u64>();
        let bytes = at_risk(all.clone()).map(|e| e.bytes).sum::<u64>();
        let covered_span = span(0..self.covered());
        let pending_span = span(self.covered()..self.tail.len());
        let claim = self.strategy.claim().power_loss;
        let beyond = |what: &str, found: u64, bound: Option<u64>| match bound {
            Some(bound) if found > bound => Err(format!(
                "{} loses {found} {what} at {:?}, claim {bound}",
                self.strategy.name(),
                self.now
            )),
            _ => Ok(()),
        };
        beyond("records", records, claim.records)?;
        beyond("bytes", bytes, claim.bytes)?;
        for span in [covered_span, pending_span].into_iter().flatten() {
            // Half open: at the age `window` the sync has begun.
            if claim.window.is_some_and(|window| span >= window) {
                return Err(format!("lost records span {span:?}, claim {:?}", claim.window));
            }
        }
        let worst = &mut self.report.worst;
        worst.records = worst.records.max(records);
        worst.bytes = worst.bytes.max(bytes);
        worst.covered_span = worst.covered_span.max(covered_span.unwrap_or_default());
        worst.pending_span = worst.pending_span.max(pending_span.unwrap_or_default());
        Ok(())
    }

    /// Nothing is appended any more.
    fn finish(mut self) -> Result<Report, String> {
        self.run_until(Duration::MAX)?;
        let waiting = self.tail.iter().filter(|e| !e.acknowledged).count();
        if waiting > 0 {
            return Err(format!("{waiting} callers wait for ever"));
        }
        if self.checks.all_durable && !self.tail.is_empty() {
            return Err(format!("{} appends of an idle log are never synced", self.tail.len()));
        }
        Ok(self.report)
    }
}

fn circle(times_us: &[u64], turn: usize) -> Duration {
    Duration::from_micros(times_us[turn % times_us.len()])
}

/// Runs `load`; an error says which claim or check broke.
pub(crate) fn run(
    strategy: &dyn SyncStrategy,
    load: &Load,
    checks: Checks,
) -> Result<Report, String> {
    let mut log = Log::new(strategy, load, checks);
    for append in &load.appends {
        log.run_until(log.now + append.gap)?;
        log.append(0, append)?;
    }
    log.finish()
}

/// The same for property tests.
pub(crate) fn check(
    strategy: &dyn SyncStrategy,
    load: &Load,
    checks: Checks,
) -> Result<(), TestCaseError> {
    run(strategy, load, checks).map(|_| ()).map_err(TestCaseError::fail)
}
