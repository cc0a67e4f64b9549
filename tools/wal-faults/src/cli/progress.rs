//! How many states were examined, and how far that is, on standard error.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wal_faults::{Length, Progress};
use wal_tool::number::grouped;
use wal_tool::progress::Progress as Shown;

/// Shows what it is told.
pub(super) fn shown() -> impl Fn(Progress) + Send + Sync + 'static {
    let part: Mutex<Option<Part>> = Mutex::new(None);
    move |progress| {
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        match (progress, &mut *part) {
            (Progress::Begun { part: name, length }, part) => *part = Some(Part::new(name, length)),
            (Progress::States(more), Some(part)) => part.change(more, 0),
            (Progress::JobDone, Some(part)) => part.change(0, 1),
            _ => {}
        }
    }
}

/// One part of the work.
struct Part {
    name: &'static str,
    length: Length,
    shown: Shown,
    states: u64,
    jobs: usize,
}

impl Part {
    fn new(name: &'static str, length: Length) -> Self {
        let steps = match length {
            Length::Jobs(jobs) => jobs as u64,
            Length::Time(time) => time.as_millis() as u64,
        };
        let shown = Shown::new(steps, "{prefix} {wide_bar} {elapsed}, {msg}", name);
        Part { name, length, shown, states: 0, jobs: 0 }
    }

    fn change(&mut self, states: u64, jobs: usize) {
        self.states += states;
        self.jobs += jobs;
        let now = self.shown.elapsed();
        self.shown.reach(match self.length {
            Length::Jobs(_) => self.jobs as u64,
            Length::Time(_) => now.as_millis() as u64,
        });
        self.shown.tell(
            || self.told(now),
            || {
                let place = match self.length {
                    Length::Jobs(jobs) => format!("{} of {jobs}", self.jobs),
                    Length::Time(time) => format!("{} s of {} s", now.as_secs(), time.as_secs()),
                };
                format!("{}: {place}, {}", self.name, self.told(now))
            },
        );
    }

    fn told(&self, time: Duration) -> String {
        let rate = self.states as f64 / time.as_secs_f64().max(1e-3);
        format!("{} states, {}/s", grouped(self.states), grouped(rate as u64))
    }
}
