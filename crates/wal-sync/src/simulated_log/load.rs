//! What happens to the simulated log, and what is checked.

use std::time::Duration;

use proptest::prelude::*;
use wal_core::Durability;

/// One append, of one record or a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Append {
    pub(super) gap: Duration,
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) requested: Option<Durability>,
}

impl Append {
    /// One record of one byte, so long after the append before.
    pub(crate) fn after_us(gap: u64) -> Self {
        let gap = Duration::from_micros(gap);
        Append { gap, records: 1, bytes: 1, requested: None }
    }

    pub(crate) fn records(mut self, records: u64) -> Self {
        self.records = records;
        self
    }

    pub(crate) fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    pub(crate) fn requesting(mut self, requested: impl Into<Option<Durability>>) -> Self {
        self.requested = requested.into();
        self
    }
}

/// What happens to the log. Both lists of times are used in a circle.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) appends: Vec<Append>,
    /// How long syncs take.
    pub(crate) sync_us: Vec<u64>,
    /// How late timers fire.
    pub(crate) late_us: Vec<u64>,
}

impl Default for Load {
    fn default() -> Self {
        Load { appends: Vec::new(), sync_us: vec![100], late_us: vec![0] }
    }
}

/// Appends in bursts and with pauses, syncs from free to a fifth of a second, bad timers.
pub(crate) fn any_load() -> impl Strategy<Value = Load> {
    let gap = prop_oneof![Just(0u64), 1u64..50, 100u64..5000, 10_000u64..100_000];
    let requested = prop_oneof![
        20 => Just(None),
        1 => Just(Some(Durability::Durable)),
        1 => Just(Some(Durability::Written)),
        1 => Just(Some(Durability::Buffered)),
    ];
    let records = prop_oneof![10 => Just(1u64), 1 => 2u64..60];
    let append =
        (gap, records, 0u64..20, requested).prop_map(|(gap, records, bytes, requested)| {
            Append::after_us(gap).records(records).bytes(bytes * records).requesting(requested)
        });
    let sync = prop_oneof![0u64..100, 100u64..5000, 20_000u64..200_000];
    let late = prop_oneof![Just(vec![0]), prop::collection::vec(0u64..20_000, 1..8)];
    (prop::collection::vec(append, 0..150), prop::collection::vec(sync, 1..8), late)
        .prop_map(|(appends, sync_us, late_us)| Load { appends, sync_us, late_us })
}

/// What is checked besides the claim, which always is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checks {
    pub(super) all_durable: bool,
    pub(super) idle_age: Option<Duration>,
}

impl Checks {
    /// When nothing happens any more everything is durable, on its own.
    pub(crate) fn all_durable() -> Self {
        Checks { all_durable: true, ..Checks::default() }
    }

    /// While no sync is in flight, and timers are on time, no record gets older than this.
    pub(crate) fn idle_age(mut self, age: Duration) -> Self {
        self.idle_age = Some(age);
        self
    }
}
