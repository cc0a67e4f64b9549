//! The explorer itself: it finds nothing wrong with what is shipped, does the same for the same seed, and
//! its cases replay. `cargo xtask faults` explores every strategy on every storage.

use wal_fs::{DirectSettings, FileSettings};
use wal_sync::Policy;
use wal_testkit::{Case, Explorer, FaultKind, Outcome, StorageUnderTest, Subject};

fn explore(policy: &str, storage: StorageUnderTest, seed: u64) -> Outcome {
    let subject = Subject::new(policy.parse::<Policy>().unwrap()).spelled(policy).on(storage);
    Explorer::new(subject).seed(seed).states(1500).run()
}

#[test]
fn what_is_shipped_keeps_its_claim() {
    let policies = ["always", "batch:8,400,3ms", "os"];
    for (policy, storage) in policies.iter().zip(StorageUnderTest::shipped()) {
        let outcome = explore(policy, storage, 1);
        if let Some(failure) = &outcome.failure {
            panic!("{policy}:\n{failure}");
        }
        assert!(outcome.holds(), "{policy}: {:?}", outcome.tightness());
        assert!(outcome.states >= 1500 && outcome.recoveries >= outcome.states);
    }
}

/// On a device without powersafe overwrite: whatever becomes of the sectors that it writes. `cargo xtask faults` explores
/// all strategies there.
#[test]
fn padded_blocks_keep_the_claim_where_an_interrupted_write_ruins_all_that_it_touches() {
    let outcome = explore("batch:8,400,3ms", StorageUnderTest::direct_padded(), 3);
    if let Some(failure) = &outcome.failure {
        panic!("{failure}");
    }
    assert!(outcome.holds(), "{:?}", outcome.tightness());
    assert!(outcome.kinds[&FaultKind::TornSectors] > 100, "{:?}", outcome.kinds);
    assert_eq!(outcome.outside_claim, 0);
}

/// The same device takes durable records where a block is written again, and breaks every other storage as
/// well.
#[test]
fn a_rewritten_block_breaks_the_claim_on_such_a_device() {
    for storage in StorageUnderTest::shipped() {
        let name = storage.name().to_owned();
        let outcome = explore("always", storage.without_powersafe_overwrite(), 1);
        let failure = outcome.failure.unwrap_or_else(|| panic!("{name} keeps its claim"));
        if name == "direct" {
            // A record that was durable is gone; if another segment follows by then, the log is not opened.
            assert!(matches!(failure.violation.oracle.as_str(), "O3" | "O7"), "{failure}");
        }
    }
}

/// A storage of which one call is not to be believed makes two there, and keeps the claim. `cargo xtask faults` explores
/// all strategies there.
#[test]
fn where_a_write_through_may_stay_in_the_device_the_claim_is_kept_unless_it_is_believed() {
    let outcome = explore("batch:8,400,3ms", StorageUnderTest::direct_untried(), 4);
    if let Some(failure) = &outcome.failure {
        panic!("{failure}");
    }
    assert!(outcome.holds(), "{:?}", outcome.tightness());
    let blocks = DirectSettings::default().block_bytes(Some(512)).preallocate_bytes(1024);
    let through = FileSettings::default().preallocate_bytes(1024).write_through(true);
    let believed = [
        StorageUnderTest::direct("direct", blocks.trust_write_through(Some(true))),
        StorageUnderTest::files("file-through", through.trust_write_through(Some(true))),
    ];
    for storage in believed {
        let failure = explore("always", storage.with_lazy_write_through(), 1).failure.unwrap();
        assert_eq!(failure.violation.oracle, "O3", "{failure}");
    }
}

#[test]
fn the_same_seed_finds_the_same() {
    let run = |seed| {
        let outcome = explore("interval:2ms", StorageUnderTest::shipped().remove(0), seed);
        format!("{outcome:?}")
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

/// What the cache loses when a sync fails is no broken promise about the death of a process.
#[test]
fn a_failed_sync_that_empties_the_cache_breaks_no_claim() {
    let line = "os | file | - | segment 4096; append 1x8; bad-sync reverted:1; append 1x8; sync | process@14";
    let case: Case = line.parse().unwrap();
    assert_eq!(case.replay(&Subject::new(wal_sync::Os::new())), Ok(()));
}

/// An exploration of a storage with a reserve fills the disk, and finds the reserve whole when it does.
#[test]
fn the_disk_is_filled_while_the_reserve_is_whole() {
    for storage in StorageUnderTest::with_reserve() {
        let name = storage.name().to_owned();
        let outcome = explore("always", storage, 1);
        assert!(outcome.failure.is_none(), "{name}: {:?}", outcome.failure);
        assert!(outcome.full_disks > 100, "{name}: {} full disks", outcome.full_disks);
    }
}
