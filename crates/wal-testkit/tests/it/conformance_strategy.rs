//! The shipped strategies keep their contract, and wrong ones are told what is wrong with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wal_core::{Claim, Decision, Loss, SyncStrategy, SyncWhen, TailView};
use wal_sync::{Adaptive, Always, Batch, GroupCommit, Interval, Os, Policy};
use wal_testkit::conformance::Breach;
use wal_testkit::conformance::strategy::*;
use wal_testkit::{StorageUnderTest, strategy_conformance};

fn policy(text: &str) -> Policy {
    text.parse().unwrap()
}

/// One storage for each: `cargo xtask faults` explores all of these strategies on all storages.
fn one() -> Vec<StorageUnderTest> {
    StorageUnderTest::shipped().into_iter().take(1).collect()
}

strategy_conformance!(always, Always::new());
strategy_conformance!(group, GroupCommit::new(), on: one());
strategy_conformance!(group_with_bounds, policy("group:1ms,8"), on: one());
strategy_conformance!(batch, policy("batch:8,400,3ms"), on: one());
strategy_conformance!(batch_of_one, Batch::of_records(1).unwrap(), on: one());
strategy_conformance!(interval, Interval::new(std::time::Duration::from_millis(2)).unwrap(), on: one());
strategy_conformance!(os, Os::new(), on: one());
strategy_conformance!(adaptive, Adaptive::new(), on: one());
strategy_conformance!(boxed, Box::new(policy("batch:4")) as Box<dyn SyncStrategy>, on: one());
strategy_conformance!(shared, Arc::new(policy("batch:4")) as Arc<dyn SyncStrategy>, on: one());

/// A strategy out of two functions.
struct Wrong {
    claim: Claim,
    decide: fn(&TailView) -> Decision,
}

impl SyncStrategy for Wrong {
    fn name(&self) -> String {
        "wrong".into()
    }
    fn claim(&self) -> Claim {
        self.claim
    }
    fn decide(&self, tail: &TailView) -> Decision {
        (self.decide)(tail)
    }
}

fn wrong(strategy: Wrong) -> Proof {
    Proof::on(strategy, one())
}

fn message<T: std::fmt::Debug>(outcome: Result<T, Breach>) -> String {
    outcome.unwrap_err().to_string()
}

fn at_most(records: u64) -> Claim {
    Claim::written(Loss::UNBOUNDED.records(records))
}

/// The mistake of the trait's documentation: the sync in flight is forgotten.
#[test]
fn a_claim_that_is_too_good_is_told_with_the_steps_that_break_it() {
    let proof = wrong(Wrong {
        claim: at_most(9),
        decide: |tail| match tail.pending_records >= 10 {
            true => Decision::durable(SyncWhen::Now),
            false => Decision::written(SyncWhen::OnRequest),
        },
    });
    let message = message(no_crash_takes_more_than_the_claim(&proof));
    println!("{message}");
    for part in [
        "the strategy wrong breaks its contract",
        "promised: no crash takes more of the acknowledged records than `claim` says",
        "acknowledged records",
        "the claim is: at most 9 records",
        "a slow sync begins",
        "the power fails before change",
    ] {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
}

#[test]
fn acknowledging_before_the_sync_is_told() {
    let proof =
        wrong(Wrong { claim: Claim::NOTHING_LOST, decide: |_| Decision::written(SyncWhen::Now) });
    let message = message(no_crash_takes_more_than_the_claim(&proof));
    println!("{message}");
    assert!(message.contains("the claim is: nothing"), "{message}");
    assert!(message.contains("LSN 1 acknowledged"), "{message}");
}

#[test]
fn a_claim_that_is_too_modest_is_told() {
    let proof = wrong(Wrong {
        claim: at_most(20),
        decide: |tail| match tail.records >= 10 {
            true => Decision::durable(SyncWhen::Now),
            false => Decision::written(SyncWhen::OnRequest),
        },
    });
    assert!(no_crash_takes_more_than_the_claim(&proof).is_ok());
    let message = message(some_crash_takes_all_that_is_claimed(&proof));
    assert!(message.contains("20 records claimed, 9 lost at most"), "{message}");
}

/// What the log is told once is not what it would be told for a large tail.
#[test]
fn a_fixed_decision_that_is_not_fixed_is_told() {
    struct Fixed;
    impl SyncStrategy for Fixed {
        fn name(&self) -> String {
            "fixed".into()
        }
        fn claim(&self) -> Claim {
            at_most(8)
        }
        fn decide(&self, tail: &TailView) -> Decision {
            match tail.records > 8 {
                true => Decision::durable(SyncWhen::Now),
                false => Decision::written(SyncWhen::OnRequest),
            }
        }
        fn fixed_decision(&self) -> Option<Decision> {
            Some(Decision::written(SyncWhen::OnRequest))
        }
    }
    let proof = Proof::on(Fixed, one());
    let told = message(a_fixed_decision_is_the_one_that_is_made(&proof));
    assert!(told.contains("is what `decide` says to every append"), "{told}");
    let told = message(no_crash_takes_more_than_the_claim(&proof));
    assert!(told.contains("the claim is: at most 8 records"), "{told}");
}

#[test]
fn a_strategy_that_remembers_is_told() {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let proof = wrong(Wrong {
        claim: Claim::NOTHING_LOST,
        decide: |_| match CALLS.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Decision::durable(SyncWhen::Now),
            _ => Decision::durable(SyncWhen::OnRequest),
        },
    });
    let message = message(the_decision_depends_on_the_view_alone(&proof));
    assert!(message.contains("for the same view"), "{message}");
}

#[test]
fn a_panic_for_some_view_is_told() {
    let proof = wrong(Wrong {
        claim: Claim::NOTHING_LOST,
        decide: |tail| {
            assert!(tail.records < 1 << 39, "too many");
            Decision::durable(SyncWhen::Now)
        },
    });
    assert!(message(no_view_makes_it_panic(&proof)).contains("it does for TailView"));
}

#[test]
fn a_contradictory_claim_is_told() {
    let proof = wrong(Wrong {
        claim: Claim::new(Loss::UNBOUNDED, Loss::NOTHING),
        decide: |_| Decision::durable(SyncWhen::Now),
    });
    let message = message(the_claim_does_not_contradict_itself(&proof));
    assert!(message.contains("a process crash takes unbounded, a power loss nothing"), "{message}");
}

#[test]
fn a_proof_is_of_all_storages_that_it_is_given() {
    let states = |storages| Proof::on(policy("batch:4"), storages).states();
    let two = || StorageUnderTest::shipped().into_iter().skip(1).take(2).collect::<Vec<_>>();
    let each: Vec<_> = two().into_iter().map(|storage| states(vec![storage])).collect();
    assert_eq!(states(two()), each.iter().sum::<u64>());
    assert!(each.iter().all(|states| *states > 1500), "{each:?}");
}
