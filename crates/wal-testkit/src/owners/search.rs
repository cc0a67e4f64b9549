//! Every order of the owners' calls, but for those that give the same.
//!
//! An execution is a list of decisions: which owner makes the next call. The search runs one execution after the other,
//! each from the beginning, and changes the last decision that has an alternative left. Two calls of different owners that
//! have nothing to do with each other give the same in either order. *Sleep sets* spare the second order: an owner
//! sleeps behind a decision for another one if its call was tried there already, until some call is made that its call
//! depends on (Godefroid, *Partial-Order Methods for the Verification of Concurrent Systems*, 1996). So each order that
//! differs is run to its end at most once.
//!
//! Two orders that differ may come to the same state: the disk is the same, and each owner has seen the same. What comes
//! is then the same, too. So states are remembered, with who slept in them. In a state that is known, only those owners'
//! calls are tried that slept whenever it was reached before, and are awake now (the same book, on state spaces that are
//! stored).

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use super::turns::{Footprint, are_independent};

/// A point at which it is decided who makes the next call.
struct Decision {
    /// What each owner waits to do.
    pending: Vec<Option<Footprint>>,
    /// Owners whose call need not be tried here.
    asleep: Vec<bool>,
    /// Owners whose call was tried when this state was reached before.
    tried: Vec<bool>,
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

/// The first owner that waits, is awake and was not tried.
fn awake(pending: &[Option<Footprint>], asleep: &[bool], tried: &[bool]) -> Option<usize> {
    let is_awake = |&owner: &usize| pending[owner].is_some() && !asleep[owner] && !tried[owner];
    (0..pending.len()).find(is_awake)
}

/// The search, and how far it is.
#[derive(Default)]
pub(super) struct Search {
    decisions: Vec<Decision>,
    /// Where the decisions of random executions come from.
    random: Option<crate::Rng>,
    /// Who is to make each call, as far as it is said.
    follows: Vec<usize>,
    /// Who made each call of the present execution.
    order: Vec<usize>,
    ended: Ended,
    /// Every state that was reached, and who slept in it each time.
    known: HashMap<u64, Vec<bool>>,
    /// The states at the ends of whole executions.
    ends: BTreeSet<u64>,
    /// States are not remembered.
    forgets: bool,
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ended {
    /// All owners are done.
    #[default]
    Whole,
    /// What would come gives the same as an execution before.
    Known,
}

impl Search {
    /// Draws its executions at random instead of trying all of them.
    pub(super) fn random(seed: u64) -> Self {
        Search { random: Some(crate::Rng::new(seed)), ..Search::default() }
    }

    /// Runs one order, as [`order`](Self::order) tells it.
    pub(super) fn following(order: &str) -> Self {
        let owner = |letter: u8| usize::from(letter.wrapping_sub(b'a'));
        Search { follows: order.bytes().map(owner).collect(), ..Search::default() }
    }

    /// Forgets which states it has seen, and so also runs orders that lead through states that are known.
    #[cfg(test)]
    pub(super) fn forgetful() -> Self {
        Search { forgets: true, ..Search::default() }
    }

    /// The states in which executions have ended.
    pub(super) fn ends(&self) -> &BTreeSet<u64> {
        &self.ends
    }

    /// How many states it has seen.
    pub(super) fn states(&self) -> u64 {
        self.known.len() as u64
    }

    /// Begins an execution.
    pub(super) fn begin(&mut self) {
        self.order.clear();
        self.ended = Ended::Whole;
    }

    /// How the execution ended.
    pub(super) fn ended(&self) -> Ended {
        self.ended
    }

    /// Who makes the next call; `None` if all are done. `state` says where they are.
    pub(super) fn choose(
        &mut self,
        pending: Vec<Option<Footprint>>,
        state: &dyn Fn() -> u64,
    ) -> Option<usize> {
        let waits = |owner: &usize| pending[*owner].is_some();
        let waiting: Vec<usize> = (0..pending.len()).filter(waits).collect();
        let Some(&first) = waiting.first() else {
            if self.ended == Ended::Whole {
                self.ends.insert(state());
            }
            return None;
        };
        let is_told = !self.follows.is_empty();
        let told =
            self.follows.get(self.order.len()).copied().filter(|owner| waiting.contains(owner));
        let owner = if let Some(owner) = told {
            owner
        } else if let Some(random) = &mut self.random {
            waiting[random.below(waiting.len() as u64) as usize]
        } else if is_told || self.ended == Ended::Known {
            // Only to let the threads end.
            first
        } else {
            self.decide(self.order.len(), pending, state).unwrap_or_else(|| {
                self.ended = Ended::Known;
                first
            })
        };
        self.order.push(owner);
        Some(owner)
    }

    /// Who makes the call number `at`; `None` if whatever comes is known.
    fn decide(
        &mut self,
        at: usize,
        pending: Vec<Option<Footprint>>,
        state: &dyn Fn() -> u64,
    ) -> Option<usize> {
        if let Some(known) = self.decisions.get(at) {
            assert!(known.pending == pending, "an execution goes as it went before");
            return Some(known.chosen);
        }
        let mut asleep = match at.checked_sub(1).map(|before| &self.decisions[before]) {
            Some(before) => before.asleep_behind(),
            None => vec![false; pending.len()],
        };
        let mut tried = vec![false; pending.len()];
        if !self.forgets {
            match self.known.entry(state()) {
                Entry::Vacant(new) => drop(new.insert(asleep.clone())),
                Entry::Occupied(mut before) => {
                    for (owner, slept) in before.get_mut().iter_mut().enumerate() {
                        tried[owner] = !*slept;
                        *slept &= asleep[owner];
                        asleep[owner] = *slept;
                    }
                }
            }
        }
        let chosen = awake(&pending, &asleep, &tried)?;
        self.decisions.push(Decision { pending, asleep, tried, chosen });
        Some(chosen)
    }

    /// Goes on to the next execution; whether there is one.
    pub(super) fn next(&mut self) -> bool {
        if self.random.is_some() {
            return true;
        }
        while let Some(last) = self.decisions.last_mut() {
            last.asleep[last.chosen] = true;
            if let Some(chosen) = awake(&last.pending, &last.asleep, &last.tried) {
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
