//! How many states were examined, and how far that is.

use std::sync::Mutex;
use std::time::Duration;

use wal_tool::number::grouped;
use wal_tool::progress::Progress as Shown;

/// What is to be done before it is over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    /// Jobs that end.
    Jobs(usize),
    /// Time that passes.
    Time(Duration),
}

/// The progress of one part of the work, on standard error.
pub(super) struct Progress {
    what: &'static str,
    length: Length,
    shown: Shown,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    states: u64,
    jobs: usize,
}

impl Progress {
    pub(super) fn new(what: &'static str, length: Length) -> Self {
        let steps = match length {
            Length::Jobs(jobs) => jobs as u64,
            Length::Time(time) => time.as_millis() as u64,
        };
        let shown = Shown::new(steps, "{prefix} {wide_bar} {elapsed}, {msg}", what);
        Progress { what, length, shown, state: Mutex::default() }
    }

    /// How long it has been.
    pub(super) fn elapsed(&self) -> Duration {
        self.shown.elapsed()
    }

    /// So many states more were examined.
    pub(super) fn states(&self, more: u64) {
        self.change(|state| state.states += more);
    }

    /// One job more has ended.
    pub(super) fn job_done(&self) {
        self.change(|state| state.jobs += 1);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().expect("nothing panics while it is held");
        change(&mut state);
        let now = self.elapsed();
        self.shown.reach(match self.length {
            Length::Jobs(_) => state.jobs as u64,
            Length::Time(_) => now.as_millis() as u64,
        });
        self.shown.tell(
            || told(&state, now),
            || {
                let place = match self.length {
                    Length::Jobs(jobs) => format!("{} of {jobs}", state.jobs),
                    Length::Time(time) => format!("{} s of {} s", now.as_secs(), time.as_secs()),
                };
                format!("{}: {place}, {}", self.what, told(&state, now))
            },
        );
    }
}

fn told(state: &State, time: Duration) -> String {
    let rate = state.states as f64 / time.as_secs_f64().max(1e-3);
    format!("{} states, {}/s", grouped(state.states), grouped(rate as u64))
}
