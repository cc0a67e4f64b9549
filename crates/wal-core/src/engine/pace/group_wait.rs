//! Group wait: a sync costs for one record what it costs for a hundred.
//!
//! The callers that a commit wakes append again within microseconds. A leader that begins at once leaves them
//! behind. From then on two halves of the callers take turns, and each pays for a sync of its own. So a leader
//! that follows a commit waits for the callers that were seen lately: for no longer than a part of what a sync
//! takes, and only while they keep coming. A caller that is alone waits for nobody.
//!
//! PostgreSQL has the same idea as two settings, `commit_delay` and `commit_siblings`.

use std::time::Duration;

use super::Pace;
use crate::Clock;

/// How many callers commit together.
#[derive(Clone, Copy, Default)]
pub(crate) struct GroupSize(u64);

impl GroupSize {
    /// A commit woke `woken` callers beside its leader, while `left` others came to wait for the next one.
    pub(crate) fn saw(&mut self, pace: &Pace, woken: u64, left: u64) {
        // A caller that stays away is forgotten after some commits.
        let forgotten = self.0.div_ceil(pace.group_forget_part.max(1));
        self.0 = (1 + woken + left).max(self.0 - forgotten);
    }

    /// Waits until the callers are there that are expected, or are no more worth waiting for.
    ///
    /// `gathered` counts those that are there. The leader is one of the group and may not be among them.
    pub(crate) fn wait(
        self,
        pace: &Pace,
        clock: &dyn Clock,
        sync_cost: Duration,
        gathered: impl Fn() -> u64,
    ) {
        let expected = self.0;
        if pace.group_wait.is_zero() || expected > pace.group_largest {
            return;
        }
        let mut there = gathered();
        if there + 1 >= expected {
            return;
        }
        let started = clock.monotonic();
        let longest = (sync_cost / pace.group_sync_part.max(1)).min(pace.group_wait);
        let mut grew = started;
        loop {
            std::thread::yield_now();
            let now = clock.monotonic();
            let present = gathered();
            if present > there {
                (there, grew) = (present, now);
            }
            let waited = now.saturating_sub(started);
            let idle = now.saturating_sub(grew);
            if there + 1 >= expected
                || waited >= longest
                || idle >= longest / pace.group_idle_part.max(1)
            {
                return;
            }
        }
    }
}

#[cfg(all(test, not(any(wal_loom, wal_shuttle))))]
mod tests {
    use super::super::ticking::Ticking;
    use super::*;

    fn of(callers: u64) -> GroupSize {
        GroupSize(callers)
    }

    /// For how long a leader waits that expects 16 callers, if nobody comes, and a sync takes a millisecond.
    fn waited(pace: &Pace) -> u128 {
        let clock = Ticking::default();
        of(16).wait(pace, &clock, Duration::from_millis(1), || 0);
        clock.passed().as_micros()
    }

    #[test]
    fn a_leader_that_nobody_joins_waits_for_a_part_of_a_part_of_a_sync() {
        let mut pace = Pace::default();
        let half = 1000 / 2;
        assert_eq!(waited(&pace), half / 4);
        pace.group_idle_part = 1;
        assert_eq!(waited(&pace), half);
        pace.group_sync_part = 4;
        assert_eq!(waited(&pace), half / 2);
        pace.group_wait = Duration::from_micros(100);
        assert_eq!(waited(&pace), 100);
        assert_eq!(waited(&Pace::OFF), 0);
    }

    #[test]
    fn a_leader_goes_on_as_soon_as_those_are_there_that_it_expects() {
        let (pace, clock) = (Pace::default(), Ticking::default());
        of(16).wait(&pace, &clock, Duration::from_millis(1), || 15);
        of(pace.group_largest + 1).wait(&pace, &clock, Duration::from_millis(1), || 0);
        assert_eq!(clock.passed(), Duration::ZERO);
    }

    #[test]
    fn callers_that_stay_away_are_forgotten_part_by_part() {
        let (mut pace, mut group) = (Pace::default(), of(16));
        group.saw(&pace, 3, 0);
        assert_eq!(group.0, 14);
        pace.group_forget_part = 2;
        group.saw(&pace, 3, 0);
        assert_eq!(group.0, 7);
        group.saw(&pace, 8, 2);
        assert_eq!(group.0, 11, "those who come are expected at once");
    }

    /// For how long a leader waits, in microseconds, that expects so many callers, while one comes every so often.
    fn waited_for_one_every(micros: u128, expected: u64) -> u128 {
        let clock = Ticking::default();
        let come = || (clock.passed().as_micros() / micros) as u64;
        of(expected).wait(&Pace::default(), &clock, Duration::from_millis(1), come);
        clock.passed().as_micros()
    }

    #[test]
    fn a_leader_waits_as_long_as_callers_keep_coming_that_it_expects() {
        assert_eq!(waited_for_one_every(100, 4), 300, "three beside the leader");
        assert_eq!(waited_for_one_every(100, 2), 100, "one");
        assert_eq!(waited_for_one_every(100, 1), 0, "it is alone");
        assert_eq!(waited_for_one_every(100, 16), 500, "half a sync");
        assert_eq!(waited_for_one_every(200, 16), 1000 / 2 / 4, "too long for the first one");
        let largest = Pace::default().group_largest;
        assert_eq!(waited_for_one_every(2, largest), 2 * 250, "no group is larger");
    }
}
