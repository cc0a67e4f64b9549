//! Strategies with a mistake in them. The simulated log must find each, or it proves nothing.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use wal_core::{Claim, Decision, SyncStrategy, SyncWhen, TailView, Trigger};

use crate::simulated_log::{Append, Checks, Load, any_load, run};
use crate::{Adaptive, Batch, GroupCommit, Interval};

/// `inner`, with what it sees or says changed.
struct Wrong<S> {
    inner: S,
    see: fn(&mut TailView),
    say: fn(&TailView, &mut Decision),
}

#[deny(clippy::missing_trait_methods)]
impl<S: SyncStrategy> SyncStrategy for Wrong<S> {
    fn name(&self) -> String {
        format!("wrong {}", self.inner.name())
    }

    fn claim(&self) -> Claim {
        self.inner.claim()
    }

    fn decide(&self, tail: &TailView) -> Decision {
        let mut seen = *tail;
        (self.see)(&mut seen);
        let mut decision = self.inner.decide(&seen);
        (self.say)(tail, &mut decision);
        decision
    }

    /// None: what it says wrongly is to be asked each time.
    fn fixed_decision(&self) -> Option<Decision> {
        None
    }
}

fn unchanged<S>(inner: S) -> Wrong<S> {
    Wrong { inner, see: |_| (), say: |_, _| () }
}

/// The first complaint that random loads lead to, if any.
fn complaint(strategy: &dyn SyncStrategy, checks: Checks) -> Option<String> {
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let found = TestRunner::new_with_rng(config, rng).run(&any_load(), |load| {
        run(strategy, &load, checks).map(|_| ()).map_err(TestCaseError::fail)
    });
    match found {
        Ok(()) => None,
        Err(TestError::Fail(why, _)) => Some(why.to_string()),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

fn batch() -> Batch {
    Batch::from_bounds(Some(10), Some(150), Some(Duration::from_millis(2))).unwrap()
}

const ALL: fn() -> Checks = Checks::all_durable;

fn assert_found(strategy: &dyn SyncStrategy, checks: Checks, expected: &str) {
    let found = complaint(strategy, checks).expect("the mistake was not found");
    assert!(found.contains(expected), "{found}");
}

#[test]
fn the_originals_pass() {
    assert_eq!(complaint(&unchanged(batch()), ALL()), None);
    assert_eq!(complaint(&unchanged(GroupCommit::new()), ALL()), None);
    assert_eq!(complaint(&unchanged(Adaptive::new()), ALL()), None);
}

/// The mistake that the bounds exist for: forgetting the sync in flight.
#[test]
fn counting_only_the_pending_records_is_found() {
    let mut wrong = unchanged(Batch::of_records(10).unwrap());
    wrong.see = |tail| tail.records = tail.pending_records;
    assert_found(&wrong, Checks::default(), "records");
    let mut wrong = unchanged(Batch::of_bytes(150).unwrap());
    wrong.see = |tail| tail.bytes = tail.pending_bytes;
    assert_found(&wrong, Checks::default(), "bytes");
}

#[test]
fn an_off_by_one_is_found() {
    let mut wrong = unchanged(batch());
    wrong.see = |tail| tail.records -= 1;
    assert_found(&wrong, ALL(), "loses 10 records");
}

#[test]
fn acknowledging_the_append_that_fills_the_batch_is_found() {
    let mut wrong = unchanged(batch());
    wrong.say = |_, decision| *decision = Decision::written(decision.sync);
    assert_found(&wrong, ALL(), "claim");
}

#[test]
fn going_on_while_the_sync_is_overdue_is_found() {
    let mut wrong = unchanged(Interval::new(Duration::from_millis(2)).unwrap());
    wrong.say = |_, decision| *decision = Decision::written(decision.sync);
    assert_found(&wrong, ALL(), "lost records span");
}

#[test]
fn ignoring_the_deadline_is_found() {
    let mut wrong = unchanged(batch());
    wrong.say = |tail, decision| {
        if tail.trigger == Trigger::Deadline {
            decision.sync = SyncWhen::OnRequest;
        }
    };
    assert_found(&wrong, ALL(), "never synced");
}

#[test]
fn ignoring_the_end_of_a_sync_is_found() {
    let mut wrong = unchanged(GroupCommit::new().with_max_wait(Duration::from_millis(1)).unwrap());
    wrong.say = |tail, decision| {
        if tail.trigger != Trigger::Append || tail.in_flight.is_some() {
            decision.sync = SyncWhen::OnRequest;
        }
    };
    assert_found(&wrong, ALL(), "wait for ever");
}

#[test]
fn a_timer_that_always_starts_anew_is_found() {
    let mut wrong = unchanged(batch());
    wrong.see = |tail| tail.pending_age = Duration::ZERO;
    assert_found(&wrong, ALL(), "round in circles");
}

/// A claim that is true but too wide is a mistake as well: nothing ever reaches it.
#[test]
fn a_claim_that_is_too_wide_is_found() {
    struct TooWide(Batch);
    #[deny(clippy::missing_trait_methods)]
    impl SyncStrategy for TooWide {
        fn name(&self) -> String {
            self.0.name()
        }
        fn claim(&self) -> Claim {
            let mut claim = self.0.claim();
            claim.power_loss.records = claim.power_loss.records.map(|n| n + 1);
            claim
        }
        fn decide(&self, tail: &TailView) -> Decision {
            self.0.decide(tail)
        }
        fn fixed_decision(&self) -> Option<Decision> {
            self.0.fixed_decision()
        }
    }
    let wide = TooWide(Batch::of_records(10).unwrap());
    let load = Load {
        appends: vec![Append::after_us(1); 100],
        sync_us: vec![1_000_000],
        ..Load::default()
    };
    let worst = run(&wide, &load, Checks::default()).unwrap().worst;
    assert_ne!(Some(worst.records), wide.claim().power_loss.records);
}
