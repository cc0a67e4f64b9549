//! Every shipped strategy on every shipped storage, explored a little. `cargo xtask faults` does the same
//! at length.

use wal_sync::Policy;
use wal_testkit::{Explorer, StorageUnderTest, Subject};

const POLICIES: &[&str] = &[
    "always",
    "group",
    "group:1ms,8",
    "batch:8,400,3ms",
    "batch:1",
    "interval:2ms",
    "os",
    "adaptive",
];

#[test]
fn every_shipped_strategy_keeps_its_claim_on_every_shipped_storage() {
    for storage in StorageUnderTest::shipped() {
        for policy in POLICIES {
            let subject = Subject::new(policy.parse::<Policy>().unwrap())
                .spelled(*policy)
                .on(storage.clone());
            let outcome = Explorer::new(subject).states(3000).run();
            if let Some(failure) = &outcome.failure {
                panic!("{policy} on {}:\n{failure}", storage.name());
            }
            println!("{policy} on {}: {outcome:?}", storage.name());
            assert!(outcome.holds(), "{policy} on {}: {:?}", storage.name(), outcome.tightness());
        }
    }
}
