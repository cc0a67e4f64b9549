//! Which calls fail, and when.

use std::io;

/// Failures that wait for their turn.
#[derive(Debug)]
pub(crate) struct Rules<C>(Vec<Rule<C>>);

#[derive(Debug)]
struct Rule<C> {
    call: C,
    /// How many calls go well before.
    before: u64,
    for_good: bool,
    error: io::ErrorKind,
}

impl<C: PartialEq> Rules<C> {
    /// Lets the `nth` call from now fail, counted from 1, and with `for_good` all after it.
    ///
    /// # Panics
    /// If `nth` is 0.
    pub(crate) fn add(&mut self, call: C, nth: u64, error: io::ErrorKind, for_good: bool) {
        assert!(nth > 0, "calls are counted from 1");
        self.0.push(Rule { call, before: nth - 1, for_good, error });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts a call; `Err` if it is to fail.
    pub(crate) fn strike(&mut self, call: &C) -> io::Result<()> {
        let mut due = None;
        for (i, rule) in self.0.iter_mut().enumerate().filter(|(_, rule)| rule.call == *call) {
            match rule.before.checked_sub(1) {
                Some(before) => rule.before = before,
                None => due = due.or(Some(i)),
            }
        }
        let Some(i) = due else { return Ok(()) };
        let error = self.0[i].error;
        if !self.0[i].for_good {
            self.0.remove(i);
        }
        Err(io::Error::new(error, "injected fault"))
    }
}

impl<C> Default for Rules<C> {
    fn default() -> Self {
        Rules(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use io::ErrorKind::{Other, StorageFull};

    #[test]
    fn strikes_the_nth_call_once_or_for_good() {
        let mut rules = Rules::default();
        rules.add('a', 2, Other, false);
        rules.add('b', 1, StorageFull, true);
        rules.strike(&'a').unwrap();
        assert_eq!(rules.strike(&'a').unwrap_err().kind(), Other);
        rules.strike(&'a').unwrap();
        for _ in 0..3 {
            assert_eq!(rules.strike(&'b').unwrap_err().kind(), StorageFull);
        }
        rules.clear();
        rules.strike(&'b').unwrap();
    }
}
