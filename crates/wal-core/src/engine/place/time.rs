//! The time of an append, without reading the clocks each time.

use std::time::Duration;

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
}

impl LogTime {
    /// The monotonic time. It may be a microsecond old.
    #[inline]
    pub(crate) fn now(&mut self, clock: &dyn Clock) -> Duration {
        clock.monotonic_since(&mut self.recent)
    }

    /// The time of day. The clock is read again after [`TIME_OF_DAY`], in between time is added up.
    #[inline]
    pub(crate) fn wall(&mut self, clock: &dyn Clock, now: Duration) -> Timestamp {
        match self.anchor {
            Some((at, wall)) if now.saturating_sub(at) < TIME_OF_DAY => {
                let passed = now.saturating_sub(at).as_micros() as u64;
                Timestamp::from_micros(wall.as_micros().saturating_add(passed))
            }
            _ => {
                let wall = clock.wall();
                self.anchor = Some((now, wall));
                wall
            }
        }
    }
}
