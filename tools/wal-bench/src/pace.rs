//! What each way of waiting brings: the log as it is, beside the log without it.
//!
//! On the loads that the bars are about, and on shapes that nobody tuned for: 37 bytes and 5 KiB, 3, 24 and 96
//! threads or tasks.

use wal_core::Durability;
use wal_load::Workload;

use super::bars::{Bar, Figure, Pick};
use super::cell::Cell;
use super::choice::Choice;
use super::measure::Kind;
use super::mechanism::Mechanism;
use super::ours::Ours;
use super::report::Bound::AtLeast;
use super::storages::Storage;
use super::suites::{STRIDE, Suite};

/// Bytes of a large record.
const LARGE: usize = 5 << 10;

impl Mechanism {
    /// The logs that it is for.
    fn logs(self, storage: &'static Storage) -> Vec<Ours> {
        let unsynced = |durability| Ours::unsynced(storage, durability);
        let written = || unsynced(Durability::Written);
        match self {
            Mechanism::BackOff if storage.durable => {
                vec![unsynced(Durability::Buffered), written()]
            }
            Mechanism::BackOff => vec![unsynced(Durability::Buffered)],
            Mechanism::Spin if storage.durable => vec![written()],
            Mechanism::GroupWait | Mechanism::IdleSpin if storage.durable => {
                vec![Ours::new(storage, "always")]
            }
            Mechanism::Spin | Mechanism::GroupWait | Mechanism::IdleSpin => Vec::new(),
        }
    }

    /// The loads that it is for, beginning with those of the bars.
    fn loads(self) -> Vec<Workload> {
        let threads = |counts: &[usize]| {
            let mut loads: Vec<_> =
                counts.iter().map(|count| Workload::threads(*count, 100)).collect();
            for record in [37, LARGE] {
                loads.extend([3, 24, 96].map(|count| Workload::threads(count, record)));
            }
            loads
        };
        let tasks = |shapes: &[(usize, usize)]| -> Vec<_> {
            shapes.iter().map(|(count, record)| Workload::tasks(*count, *record)).collect()
        };
        match self {
            Mechanism::BackOff | Mechanism::Spin => threads(&[2, 4]),
            // Tasks only in shapes of the idle spin: the log as it is was measured with those.
            Mechanism::GroupWait => {
                [threads(&[16, 64]), tasks(&[(16, 100), (64, 100), (24, LARGE)])].concat()
            }
            Mechanism::IdleSpin => [
                tasks(&[(1, 100), (16, 100), (64, 100)]),
                tasks(&[(3, 37), (24, 37), (96, 37), (3, LARGE), (24, LARGE)]),
            ]
            .concat(),
        }
    }
}

pub(super) fn pace(choice: &Choice) -> Suite {
    let (mut cells, mut bars) = (Vec::new(), Vec::new());
    for mechanism in Mechanism::ALL {
        for storage in choice.storages() {
            for log in mechanism.logs(storage) {
                for load in mechanism.loads() {
                    let without = log.clone().without(mechanism);
                    let pick = |log: &Ours| Pick::new(Kind::Ours, load).named(log.name());
                    let text = format!("{load}: {} / it{}", log.name(), mechanism.without());
                    let (with, baseline) = (pick(&log), pick(&without));
                    bars.push(Bar::ratio(text, Figure::Rate, AtLeast(1.0), with, baseline));
                    let stride = if log.is_unsynced() { STRIDE } else { 1 };
                    let cell = |log| Cell::ours(log, load).stride(stride);
                    let with = cell(log.clone());
                    if !cells.iter().any(|other: &Cell| other.is_same(&with)) {
                        cells.push(with);
                    }
                    cells.push(cell(without));
                }
            }
        }
    }
    Suite { name: "pace", title: "What each way of waiting brings", cells, bars }
}

#[cfg(test)]
mod tests {
    use wal_load::Writers;

    use super::*;

    #[test]
    fn what_tasks_wait_for_is_measured_with_small_and_large_records() {
        let tasks = |mechanism: Mechanism| -> Vec<_> {
            let loads = mechanism.loads().into_iter();
            loads.filter(|load| matches!(load.writers, Writers::Tasks(_))).collect()
        };
        let idle = tasks(Mechanism::IdleSpin);
        let group = tasks(Mechanism::GroupWait);
        for loads in [&idle, &group] {
            assert!(loads.iter().any(|load| load.record <= 100), "{loads:?}");
            assert!(loads.iter().any(|load| load.record == LARGE), "{loads:?}");
        }
        // They share the cells of the log as it is.
        assert!(group.iter().all(|load| idle.contains(load)), "{group:?}");
    }
}
