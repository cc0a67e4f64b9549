//! How far it is: a bar on a terminal, else a line now and then.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use wal_core::{Clock, SystemClock};

use crate::number::grouped;

/// Between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

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
    clock: SystemClock,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    states: u64,
    jobs: usize,
    told: Duration,
}

impl Progress {
    pub(super) fn new(what: &'static str, length: Length) -> Self {
        let bar = io::stderr().is_terminal().then(|| bar(what, length));
        Progress { what, length, clock: SystemClock::new(), bar, state: Mutex::default() }
    }

    /// How long it has been.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.monotonic()
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
        match &self.bar {
            Some(bar) => {
                bar.set_position(match self.length {
                    Length::Jobs(_) => state.jobs as u64,
                    Length::Time(_) => now.as_millis() as u64,
                });
                bar.set_message(told(&state, now));
            }
            None if now.saturating_sub(state.told) >= PAUSE => {
                state.told = now;
                let place = match self.length {
                    Length::Jobs(jobs) => format!("{} of {jobs}", state.jobs),
                    Length::Time(time) => format!("{} s of {} s", now.as_secs(), time.as_secs()),
                };
                eprintln!("{}: {place}, {}", self.what, told(&state, now));
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &'static str, length: Length) -> ProgressBar {
    let length = match length {
        Length::Jobs(jobs) => jobs as u64,
        Length::Time(time) => time.as_millis() as u64,
    };
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {elapsed}, {msg}")
        .expect("a valid template");
    ProgressBar::new(length).with_style(style).with_prefix(what)
}

fn told(state: &State, time: Duration) -> String {
    let rate = state.states as f64 / time.as_secs_f64().max(1e-3);
    format!("{} states, {}/s", grouped(state.states), grouped(rate as u64))
}
