//! Spinning: threads that wait for what takes less time than falling asleep.
//!
//! A write to the page cache takes a microsecond. Falling asleep takes longer, being woken longer still, and the
//! thread that is woken drives another one from its processor, perhaps the one that writes. So threads spin for
//! a moment before they fall asleep, unless writes were seen to take longer than that.

use std::time::Duration;

use super::Pace;

/// Saturating score of the writes that were timed lately: +1 for one that took long, -1 for one that did not.
#[derive(Default)]
pub(crate) struct SpinScore(u8);

impl SpinScore {
    /// Whether the write with this number is to be timed.
    pub(crate) fn times(pace: &Pace, number: u64) -> bool {
        pace.spin_looks > 0 && number.is_multiple_of(pace.spin_sample)
    }

    /// A write took so long.
    pub(crate) fn saw(&mut self, pace: &Pace, write: Duration) {
        let score = if write < pace.spin_longest {
            self.0.saturating_sub(1)
        } else {
            self.0.saturating_add(1)
        };
        self.0 = score.min(pace.spin_slow_max);
    }

    /// How often a thread that waits for a write looks before it falls asleep.
    pub(crate) fn looks(&self, pace: &Pace) -> u32 {
        if self.0 >= pace.spin_slow_from { 0 } else { pace.spin_looks }
    }
}

/// Returns when `done`, or after so many looks.
pub(crate) fn spin(looks: u32, done: impl Fn() -> bool) {
    for _ in 0..looks {
        if done() {
            return;
        }
        std::hint::spin_loop();
    }
}

#[cfg(all(test, not(any(wal_loom, wal_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn nobody_spins_where_the_device_is_slow() {
        let (pace, mut score) = (Pace::default(), SpinScore::default());
        let (quick, slow) = (Duration::from_micros(1), Duration::from_micros(60));
        assert_eq!(score.looks(&pace), pace.spin_looks);
        for _ in 0..1000 {
            score.saw(&pace, slow);
        }
        assert_eq!(score.looks(&pace), 0);
        for _ in 0..pace.spin_slow_max {
            score.saw(&pace, quick);
        }
        assert_eq!(score.looks(&pace), pace.spin_looks, "it has become quick");
        for _ in 0..1000 {
            score.saw(&pace, slow);
            score.saw(&pace, slow);
            let looks = score.looks(&pace);
            assert_eq!(looks, pace.spin_looks, "now and then a thread loses its processor");
            score.saw(&pace, quick);
            score.saw(&pace, quick);
        }
    }

    #[test]
    fn spinning_stops_when_it_has_happened() {
        let looks = std::cell::Cell::new(0);
        let third = || {
            looks.set(looks.get() + 1);
            looks.get() == 3
        };
        spin(100, third);
        assert_eq!(looks.replace(10), 3);
        spin(7, third);
        assert_eq!(looks.get(), 17);
    }

    #[test]
    fn switched_off_it_neither_spins_nor_times() {
        assert_eq!(SpinScore::default().looks(&Pace::OFF), 0);
        assert!(!SpinScore::times(&Pace::OFF, 0));
    }

    #[test]
    fn one_write_of_so_many_is_timed() {
        let pace = Pace::default();
        let timed = (0..3 * pace.spin_sample).filter(|number| SpinScore::times(&pace, *number));
        assert_eq!(timed.collect::<Vec<_>>(), [0, pace.spin_sample, 2 * pace.spin_sample]);
    }

    #[test]
    fn a_write_of_just_the_longest_time_is_slow() {
        let (pace, mut score) = (Pace::default(), SpinScore::default());
        let longest = pace.spin_longest;
        (0..pace.spin_slow_from).for_each(|_| score.saw(&pace, longest));
        assert_eq!(score.looks(&pace), 0);
        score.saw(&pace, longest - Duration::from_nanos(1));
        assert_eq!(score.looks(&pace), pace.spin_looks);
    }
}
