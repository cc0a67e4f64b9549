//! Looking on: threads that wait for what takes less time than falling asleep.
//!
//! A write to the page cache takes a microsecond. Falling asleep takes longer, being woken longer still, and
//! whoever is woken drives another thread from its processor, perhaps the one that writes. So threads look on
//! for a moment before they fall asleep, unless writes were seen to take longer than that.

use std::time::Duration;

/// How many of the writes that were timed lately took long, more than did not.
#[derive(Default)]
pub(crate) struct Patience(u8);

impl Patience {
    /// One write of so many is timed.
    const ONE_OF: u64 = 64;
    /// What is not worth looking on for.
    const LONG: Duration = Duration::from_micros(8);
    /// So many more say that the device is slow, and not that a thread lost its processor while it wrote.
    const SLOW: u8 = 3;
    const MOST: u8 = 6;
    /// Turns of a loop, of which one takes 15 to 50 ns.
    const TURNS: u32 = 200;

    /// Whether the write with this number is to be timed.
    pub(super) fn times(number: u64) -> bool {
        number.is_multiple_of(Self::ONE_OF)
    }

    /// A write took so long.
    pub(super) fn saw(&mut self, write: Duration) {
        self.0 =
            if write < Self::LONG { self.0.saturating_sub(1) } else { self.0 + 1 }.min(Self::MOST);
    }

    /// How often whoever waits for a write is to look before falling asleep.
    pub(super) fn turns(&self) -> u32 {
        // A model checker knows no moments.
        if cfg!(any(wal_loom, wal_shuttle)) || self.0 >= Self::SLOW { 0 } else { Self::TURNS }
    }
}

/// Returns when `done`, or after so many turns.
pub(super) fn look_on(turns: u32, done: impl Fn() -> bool) {
    for _ in 0..turns {
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
    fn nobody_looks_on_where_the_device_is_slow() {
        let mut patience = Patience::default();
        let (quick, slow) = (Duration::from_micros(1), Duration::from_micros(60));
        assert_eq!(patience.turns(), Patience::TURNS);
        for _ in 0..1000 {
            patience.saw(slow);
        }
        assert_eq!(patience.turns(), 0);
        for _ in 0..Patience::MOST {
            patience.saw(quick);
        }
        assert_eq!(patience.turns(), Patience::TURNS, "it has become quick");
        for _ in 0..1000 {
            patience.saw(slow);
            patience.saw(slow);
            assert_eq!(
                patience.turns(),
                Patience::TURNS,
                "now and then a thread loses its processor"
            );
            patience.saw(quick);
            patience.saw(quick);
        }
    }

    #[test]
    fn who_looks_on_stops_when_it_has_happened() {
        let looks = std::cell::Cell::new(0);
        let third = || {
            looks.set(looks.get() + 1);
            looks.get() == 3
        };
        look_on(100, third);
        assert_eq!(looks.replace(10), 3);
        look_on(7, third);
        assert_eq!(looks.get(), 17);
    }
}
