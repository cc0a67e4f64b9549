//! Random workloads.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use wal_core::Durability;

use crate::simulation::{LiveFault, OwnershipLoss, Step, Workload};
use crate::{Call, Rng, SyncFault};

/// Any workload, for tests of one's own with proptest: short ones and long ones, on small segments
/// and on one so large that syncs can be slow, with and without faults while the log runs.
pub fn any_workload() -> impl Strategy<Value = Workload> {
    let tight = vec(prop_oneof![20 => usual(), 1 => fault()], 1..40)
        .prop_map(|steps| Workload::new(Workload::TIGHT, steps));
    let calm = vec(usual(), 1..60).prop_map(|steps| Workload::new(Workload::TIGHT, steps));
    let roomy = vec(prop_oneof![6 => usual(), 1 => slow()], 1..25)
        .prop_map(|steps| Workload::new(Workload::ROOMY, steps));
    prop_oneof![2 => calm, 2 => tight, 1 => roomy]
}

/// The workload of a seed.
pub(crate) fn workload(seed: u64) -> Workload {
    let mut bytes = [0; 32];
    let mut rng = Rng::new(seed);
    bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&rng.next().to_le_bytes()));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tree = any_workload().new_tree(&mut runner).expect("nothing is filtered out");
    tree.current()
}

fn micros(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_micros)
}

fn append() -> impl Strategy<Value = Step> {
    let durability = prop_oneof![
        12 => Just(None),
        1 => Just(Some(Durability::Buffered)),
        1 => Just(Some(Durability::Written)),
        2 => Just(Some(Durability::Durable)),
    ];
    let count = prop_oneof![4 => Just(1u32), 1 => 2u32..6];
    let len = prop_oneof![6 => 0u32..60, 1 => 60u32..900];
    (count, len, durability).prop_map(|(count, len, durability)| {
        // A batch stays below the least size of a segment.
        Step::Append { count, len: len.min(3000 / count), durability }
    })
}

fn usual() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => append(),
        4 => micros(1..4000).prop_map(Step::Wait),
        2 => micros(1..4000).prop_map(Step::Starve),
        2 => Just(Step::Drive),
        2 => Just(Step::Sync),
        1 => (0u32..=1000).prop_map(Step::Before),
        1 => (0u32..=1000).prop_map(Step::After),
        1 => Just(Step::Close),
        1 => Just(Step::Drop),
        1 => Just(Step::Kill),
        1 => prop_oneof![
            1 => Just(Step::Intrude),
            1 => (-5_000_000i64..5_000_000).prop_map(Step::Jump),
        ],
    ]
}

fn slow() -> impl Strategy<Value = Step> {
    let beside = prop_oneof![
        3 => append(),
        1 => micros(1..4000).prop_map(Step::Starve),
        1 => micros(1..4000).prop_map(Step::Wait),
    ];
    vec(beside, 0..12).prop_map(Step::Slow)
}

fn fault() -> impl Strategy<Value = Step> {
    let call = prop_oneof![
        Just(Call::Create),
        Just(Call::Open),
        Just(Call::Read),
        Just(Call::Write),
        Just(Call::SetLen),
        Just(Call::Sync),
        Just(Call::SyncDir),
        Just(Call::Rename),
        Just(Call::Remove),
    ];
    let sync = prop_oneof![
        Just(SyncFault::MarkedClean),
        Just(SyncFault::StillDirty),
        Just(SyncFault::ReadOnly),
        (0u64..1000).prop_map(SyncFault::Reverted),
        (0u64..1000).prop_map(SyncFault::RevertedWhenEvicted),
    ];
    prop_oneof![
        (1u32..100).prop_map(LiveFault::ShortWrites),
        (1u32..100).prop_map(LiveFault::ShortReads),
        (2u32..5).prop_map(LiveFault::Interrupts),
        (0u32..3000).prop_map(LiveFault::NoSpace),
        call.clone().prop_map(LiveFault::Fail),
        call.prop_map(LiveFault::FailForGood),
        sync.prop_map(LiveFault::SyncFails),
        prop_oneof![
            Just(OwnershipLoss::Lock),
            Just(OwnershipLoss::SecondOwner),
            Just(OwnershipLoss::Segment),
            Just(OwnershipLoss::Fork),
        ]
        .prop_map(LiveFault::Lost),
    ]
    .prop_map(Step::Fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_workload() {
        assert_eq!(workload(5), workload(5));
        assert_ne!(workload(5), workload(6));
    }

    proptest! {
        #[test]
        fn the_text_of_a_workload_gives_it_back(workload in any_workload()) {
            prop_assert_eq!(workload.to_string().parse::<Workload>().unwrap(), workload);
        }
    }
}
