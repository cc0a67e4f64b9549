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

/// A larger difference between the two clocks says that the time of day was set.
const STEP: Duration = Duration::from_secs(10);

/// Under the short lock, so that times do not go back from one thread to the next.
#[derive(Default)]
pub(crate) struct LogTime {
    recent: Recent,
    /// The time of day at a monotonic time; spares most readings of the former.
    anchor: Option<(Duration, Timestamp)>,
    /// What the log clock said at a monotonic time: when the log was opened.
    opened: (Duration, u64),
    /// By how many microseconds the time of day was set since somebody was told.
    set_by: i64,
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
        let mut time = LogTime::default();
        let mut log_time = 0;
        if let Some((before, then)) = known {
            let now = clock.wall();
            log_time = log_clock((before, then), now, tolerance);
            time.notice(now.micros_since(then), log_time.saturating_sub(before));
        }
        time.opened = (clock.monotonic(), log_time);
        time
    }

    /// Compares how far the time of day and the other clock went.
    fn notice(&mut self, passed: i64, lived: u64) {
        let by = passed.saturating_sub_unsigned(lived);
        if by.unsigned_abs() > STEP.as_micros() as u64 {
            self.set_by = self.set_by.saturating_add(by);
        }
    }

    /// By how many microseconds the time of day was set since the last call; `None` if it was not.
    #[inline]
    pub(crate) fn take_step(&mut self) -> Option<i64> {
        match self.set_by {
            0 => None,
            _ => Some(std::mem::take(&mut self.set_by)),
        }
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
            before => {
                let wall = clock.wall();
                // Not `now`: the thread may have lost its processor since that was read.
                let now = clock.monotonic();
                if let Some((at, then)) = before {
                    self.notice(wall.micros_since(then), now.saturating_sub(at).as_micros() as u64);
                }
                self.anchor = Some((now, wall));
                wall
            }
        }
    }
}
