//! Which strategies are explored on which storages.

use std::sync::Arc;

use wal_core::SyncStrategy;
use wal_sync::Policy;
use wal_testkit::{StorageUnderTest, Subject};

/// What is explored unless somebody names strategies.
const STRATEGIES: [&str; 8] = [
    "always",
    "group",
    "group:1ms,8",
    "batch:8,400,3ms",
    "batch:1",
    "interval:2ms",
    "os",
    "adaptive",
];

/// On the devices that are worse than is claimed by default: one ruins what it writes, one is lazy with a write-through.
/// The strategies differ in when they write, not in what. So of those that sync with every record, now and then, and
/// never, one of each.
const ON_OTHER_DEVICES: [&str; 3] = ["always", "batch:8,400,3ms", "os"];

/// A strategy, and how it is spelled.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) spelling: String,
    pub(super) strategy: Arc<dyn SyncStrategy>,
}

impl Named {
    fn shipped(spelling: &str) -> Self {
        let policy: Policy = spelling.parse().expect("a default is spelled well");
        Named { spelling: spelling.into(), strategy: Arc::new(policy) }
    }

    fn on(&self, storage: &StorageUnderTest) -> Subject {
        Subject::new(self.strategy.clone()).spelled(&self.spelling).on(storage.clone())
    }
}

/// Every strategy on every storage; all storages of a strategy stand together. Without names these are
/// the shipped ones.
pub(super) fn subjects(strategies: &[Named], storages: &[StorageUnderTest]) -> Vec<Subject> {
    let are_named = !strategies.is_empty();
    let strategies = match strategies {
        [] => STRATEGIES.map(Named::shipped).to_vec(),
        named => named.to_vec(),
    };
    let on_all = |strategy: Named| {
        let mut storages = storages.to_vec();
        if storages.is_empty() {
            storages = StorageUnderTest::shipped();
            if are_named || ON_OTHER_DEVICES.contains(&strategy.spelling.as_str()) {
                storages.extend(StorageUnderTest::on_other_devices());
                storages.extend(StorageUnderTest::with_reserve());
            }
        }
        storages.iter().map(|storage| strategy.on(storage)).collect::<Vec<_>>()
    };
    strategies.into_iter().flat_map(on_all).collect()
}
