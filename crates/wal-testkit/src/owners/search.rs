//! Every order of the owners' calls, but for those that give the same.
//!
//! An execution is a list of decisions: which owner makes the next call. The search runs one execution after the other,
//! each from the beginning, and changes the last decision that has an alternative left. Two calls of different owners that
//! have nothing to do with each other give the same in either order. *Sleep sets* spare the second order: an owner
//! sleeps behind a decision for another one if its call was tried there already, until some call is made that its call
//! depends on (Godefroid, *Partial-Order Methods for the Verification of Concurrent Systems*, 1996). So each order that
//! differs is run to its end exactly once.

use super::turns::{Footprint, Turns, are_independent};

/// A point at which it is decided who makes the next call.
struct Decision {
    /// What each owner waits to do.
    pending: Vec<Option<Footprint>>,
    /// Owners whose call need not be tried here.
    asleep: Vec<bool>,
    chosen: usize,
}

impl Decision {
    /// Who sleeps behind this decision.
    fn asleep_behind(&self) -> Vec<bool> {
        let call = self.pending[self.chosen].as_ref().expect("one that waits was chosen");
        let sleeps = |owner: usize| match &self.pending[owner] {
            Some(other) => self.asleep[owner] && are_independent(call, other),
            None => false,
        };
        (0..self.pending.len()).map(|owner| owner != self.chosen && sleeps(owner)).collect()
    }
}

/// The first owner that waits and is awake.
fn awake(pending: &[Option<Footprint>], asleep: &[bool]) -> Option<usize> {
    (0..pending.len()).find(|&owner| pending[owner].is_some() && !asleep[owner])
}

/// The search, and how far it is.
#[derive(Default)]
pub(super) struct Search {
    decisions: Vec<Decision>,
    /// Where the decisions of random executions come from.
    random: Option<crate::Rng>,
    /// Who made each call of the present execution.
    order: Vec<usize>,
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All owners are done.
    Whole,
    /// What would come gives the same as an execution before.
    Known,
}

impl Search {
    /// Draws its executions at random instead of trying all of them.
    pub(super) fn random(seed: u64) -> Self {
        Search { random: Some(crate::Rng::new(seed)), ..Search::default() }
    }

    /// Runs the owners to their end.
    pub(super) fn run(&mut self, turns: &Turns) -> Ended {
        let mut ended = Ended::Whole;
        self.order.clear();
        loop {
            let pending = turns.pending();
            let waiting: Vec<usize> =
                (0..pending.len()).filter(|&owner| pending[owner].is_some()).collect();
            if waiting.is_empty() {
                return ended;
            }
            let owner = if let Some(random) = &mut self.random {
                waiting[random.below(waiting.len() as u64) as usize]
            } else if ended == Ended::Known {
                // Only to let the threads end.
                waiting[0]
            } else {
                match self.decide(self.order.len(), pending) {
                    Some(owner) => owner,
                    None => {
                        ended = Ended::Known;
                        waiting[0]
                    }
                }
            };
            self.order.push(owner);
            turns.let_go(owner);
        }
    }

    /// Who makes the call number `at`; `None` if whatever comes is known.
    fn decide(&mut self, at: usize, pending: Vec<Option<Footprint>>) -> Option<usize> {
        if let Some(known) = self.decisions.get(at) {
            assert!(known.pending == pending, "an execution goes as it went before");
            return Some(known.chosen);
        }
        let asleep = match at.checked_sub(1).map(|before| &self.decisions[before]) {
            Some(before) => before.asleep_behind(),
            None => vec![false; pending.len()],
        };
        let chosen = awake(&pending, &asleep)?;
        self.decisions.push(Decision { pending, asleep, chosen });
        Some(chosen)
    }

    /// Goes on to the next execution; whether there is one.
    pub(super) fn next(&mut self) -> bool {
        if self.random.is_some() {
            return true;
        }
        while let Some(last) = self.decisions.last_mut() {
            last.asleep[last.chosen] = true;
            if let Some(chosen) = awake(&last.pending, &last.asleep) {
                last.chosen = chosen;
                return true;
            }
            self.decisions.pop();
        }
        false
    }

    /// Who made each call of the present execution, as a text: a letter for each owner.
    pub(super) fn order(&self) -> String {
        self.order.iter().map(|&owner| char::from(b'a' + owner as u8)).collect()
    }
}
