//! Several owners of one log, in every order of their calls: what holds if the lock does not.
//!
//! Each owner is a thread with a log of its own, in one directory of the model file system, whose lock is granted to
//! everybody. One thread runs at a time, and stops before each call of the file system. A search makes the calls in every
//! order. In the end every record that was acknowledged as durable must be there, with its LSN.
//!
//! | file | idea |
//! | --- | --- |
//! | `turns` | one owner runs at a time; which calls have to do with each other |
//! | `file_system` | the model, whose calls wait for their turn |
//! | `observed` | what each owner has seen: the same states are told by it |
//! | `search` | every order, but for those that give the same; or random ones |
//! | `list` | the scenarios that there are |
//! | `scenario` | what the owners do, and what must be true in the end |

mod file_system;
mod list;
mod observed;
mod scenario;
mod search;
mod turns;

pub use scenario::{Act, Grain, Scenario};

use search::{Ended, Search};

/// What a search of a scenario came to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Orders {
    /// Orders that were run to their end.
    pub whole: u64,
    /// Orders that were left off, because they give the same as one before.
    pub known: u64,
    /// Different states in which the orders ended: the disk, and what each owner has seen.
    pub ends: u64,
    /// Different states on the way; none of random orders.
    pub states: u64,
    /// Whether every order was run.
    pub exhaustive: bool,
    /// What was wrong first, and in which order: a letter for each call says which owner made it.
    pub failure: Option<(String, String)>,
}

impl Scenario {
    /// Runs the owners in every order, or in as many as `most` says.
    #[must_use]
    pub fn search(&self, most: u64) -> Orders {
        self.go(Search::default(), most)
    }

    /// Runs the owners in so many random orders.
    #[must_use]
    pub fn sample(&self, seed: u64, orders: u64) -> Orders {
        self.go(Search::random(seed), orders)
    }

    /// Runs one order again, as a failure tells it: a letter for each call.
    #[must_use]
    pub fn replay(&self, order: &str) -> Orders {
        self.go(Search::following(order), 1)
    }

    fn go(&self, mut search: Search, most: u64) -> Orders {
        let orders = self.go_on(&mut search, most);
        Orders { ends: search.ends().len() as u64, states: search.states(), ..orders }
    }

    fn go_on(&self, search: &mut Search, most: u64) -> Orders {
        let mut orders = Orders::default();
        loop {
            let (ended, failure) = self.run(search);
            match ended {
                Ended::Whole => orders.whole += 1,
                Ended::Known => orders.known += 1,
            }
            if let Some(failure) = failure {
                orders.failure = Some((failure, search.order()));
                return orders;
            }
            if orders.whole + orders.known >= most {
                return orders;
            }
            if !search.next() {
                orders.exhaustive = true;
                return orders;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The proof of the proof: what is left off for the sake of known states leads nowhere else.
    #[test]
    fn remembered_states_hide_no_end() {
        let scenario = Scenario::all().remove(0);
        let (mut all, mut few) = (Search::forgetful(), Search::default());
        let orders = scenario.go_on(&mut all, u64::MAX);
        let fewer = scenario.go_on(&mut few, u64::MAX);
        assert!(orders.exhaustive && fewer.exhaustive);
        assert!(fewer.whole < orders.whole, "{fewer:?} {orders:?}");
        assert!(all.ends().len() > 1);
        assert_eq!(all.ends(), few.ends());
    }
}
