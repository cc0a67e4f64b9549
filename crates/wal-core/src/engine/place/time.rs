//! The time of an append, without reading the clocks each time; and the log clock.
//!
//! The time of day may be set. What is decided by age must not depend on that, so there is a second time: the *log
//! clock* counts for how long a log has lived. It goes on with the monotonic clock while the log is open, and from
//! one opening to the next with the time of day, unless that was set.

use std::time::Duration;

use crate::format::log_clock;
use crate::{Clock, Recent, Timestamp};

/// The time of day is read again after so long; in between, the time that passed is added up. So a time of day that
/// was set meanwhile is seen so much later.
const TIME_OF_DAY: Duration = Duration::from_millis(20);

/// Under the short lock, so that times do not go back from one thread to the next.
#[derive(Default)]
pub(crate) struct LogTime {
    recent: Recent,
    /// The time of day at a monotonic time; spares most readings of the former.
    anchor: Option<(Duration, Timestamp)>,
    /// What the log clock said at a monotonic time: when the log was opened.
    opened: (Duration, u64),
}

/// A moment, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The time of day.
    pub(crate) wall: Timestamp,
    /// The log clock, in microseconds.
    pub(crate) log_time: u64,
}

impl LogTime {
    /// The log clock goes on from what it said last, at which time of day: by the time that has passed since then, if
    /// that is plausible. Otherwise the time of day was set meanwhile, and it goes on as if none had passed.
    pub(crate) fn resumed(
        clock: &dyn Clock,
        known: Option<(u64, Timestamp)>,
        tolerance: Duration,
    ) -> Self {
        let log_time = known.map_or(0, |known| log_clock(known, clock.wall(), tolerance));
        LogTime { opened: (clock.monotonic(), log_time), ..LogTime::default() }
    }

    /// This moment.
    #[inline]
    pub(crate) fn moment(&mut self, clock: &dyn Clock, now: Duration) -> Moment {
        let (opened, log_time) = self.opened;
        let passed = now.saturating_sub(opened).as_micros() as u64;
        Moment { wall: self.wall(clock, now), log_time: log_time.saturating_add(passed) }
    }

    /// The monotonic time. It may be a microsecond old.
    #[inline]
    pub(crate) fn now(&mut self, clock: &dyn Clock) -> Duration {
        clock.monotonic_since(&mut self.recent)
    }

    /// The time of day. The clock is read again after [`TIME_OF_DAY`], in between time is added up.
    #[inline]
    fn wall(&mut self, clock: &dyn Clock, now: Duration) -> Timestamp {
        match self.anchor {
            Some((at, wall)) if now.saturating_sub(at) < TIME_OF_DAY => {
                let passed = now.saturating_sub(at).as_micros() as u64;
                Timestamp::from_micros(wall.as_micros().saturating_add(passed))
            }
            _ => {
                let wall = clock.wall();
                // Not `now`: the thread may have lost its processor since that was read.
                self.anchor = Some((clock.monotonic(), wall));
                wall
            }
        }
    }
}
