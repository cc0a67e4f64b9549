//! How far it is: a bar on a terminal, else a line now and then.

use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use wal_core::{Clock, SystemClock};

/// Between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

/// On standard error.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    clock: SystemClock,
    told: Cell<Duration>,
    measured: Cell<usize>,
    all: usize,
}

impl Progress {
    /// Of so many measurements.
    pub(super) fn new(all: usize) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = "{wide_bar} {pos}/{len} {elapsed}, {eta} left\n{msg}";
            let style = ProgressStyle::with_template(style).expect("a valid template");
            ProgressBar::new(all as u64).with_style(style)
        });
        let (told, measured) = (Cell::default(), Cell::default());
        Progress { bar, clock: SystemClock::new(), told, measured, all }
    }

    /// What is measured now. Nothing is drawn while it is measured.
    pub(super) fn tell(&self, suite: &str, who: &str, load: &str) {
        let now = self.clock.monotonic();
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{suite}: {who}, {load}"));
        } else if now.saturating_sub(self.told.get()) >= PAUSE {
            self.told.set(now);
            eprintln!("{} of {}; {suite}: {who}, {load}", self.measured.get(), self.all);
        }
    }

    /// So many measurements more have ended, or are not needed.
    pub(super) fn measured(&self, more: usize) {
        self.measured.set(self.measured.get() + more);
        if let Some(bar) = &self.bar {
            bar.inc(more as u64);
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
