//! Several owners of one log, under a lock that is granted to everybody.

use serde::Serialize;
use wal_testkit::{Orders, Scenario};

/// Which orders of the owners' calls are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owners {
    /// None.
    #[default]
    None,
    /// All of the first scenario, and random ones of the others. Some seconds.
    Some,
    /// All of every [countable](Scenario::countable) scenario, and random ones of the others. Minutes.
    All,
}

/// Random orders of a scenario of which not all are run.
const RANDOM: u64 = 400;

/// What became of a scenario.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Owned {
    /// Its name.
    pub scenario: &'static str,
    /// What each owner does.
    pub acts: String,
    /// Records in the log before.
    pub records: u64,
    /// Orders of the owners' calls that were run to their end.
    pub orders: u64,
    /// Orders that were left off, because they give the same as one before.
    pub left_off: u64,
    /// Different states on the way; none of random orders.
    pub states: u64,
    /// Different states in which the orders ended.
    pub ends: u64,
    /// Whether that was every order; otherwise they were drawn at random.
    pub all: bool,
    /// What was wrong, and in which order.
    pub failure: Option<String>,
}

impl Owned {
    /// How the orders were chosen.
    pub(super) fn how(&self) -> &'static str {
        if self.all { "all" } else { "at random" }
    }
}

/// The scenarios, if any are wanted.
pub(super) fn scenarios(which: Owners) -> Vec<Scenario> {
    if which == Owners::None { Vec::new() } else { Scenario::all() }
}

/// Runs the orders of one.
pub(super) fn run(which: Owners, at: usize, scenario: &Scenario, seed: u64) -> Owned {
    let every = match which {
        Owners::All => scenario.countable,
        _ => at == 0,
    };
    let orders = if every { scenario.search(u64::MAX) } else { scenario.sample(seed, RANDOM) };
    told(scenario, orders)
}

fn told(scenario: &Scenario, orders: Orders) -> Owned {
    Owned {
        scenario: scenario.name,
        acts: scenario.told(),
        records: scenario.records,
        orders: orders.whole,
        left_off: orders.known,
        states: orders.states,
        ends: orders.ends,
        all: orders.exhaustive,
        failure: orders.failure.map(|(what, order)| format!("{what}, in the order {order}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_off_and_what_was_wrong_is_told() {
        let scenario = Scenario::all().remove(0);
        let honest = run(Owners::Some, 1, &scenario, 3);
        assert_eq!((honest.orders, honest.all, honest.how()), (RANDOM, false, "at random"));
        assert_eq!((honest.acts.as_str(), honest.failure), ("open, append | open", None));
        let blind = run(Owners::Some, 0, &scenario.without_a_fence(), 3);
        assert!(blind.failure.is_some_and(|told| told.contains("in the order")));
    }
}
