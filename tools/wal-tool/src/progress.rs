//! How far a run is: a bar on a terminal, else a line now and then. All of it on standard error.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use wal_core::{Clock, SystemClock};

/// Between two lines where there is no terminal.
const PAUSE: Duration = Duration::from_secs(10);

/// The progress of a run. Its bar goes when it is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    clock: SystemClock,
    /// When the last line was printed.
    told: Mutex<Duration>,
}

impl Progress {
    /// Of so many steps. The template of the bar is one of `indicatif`, with `prefix` where it says so.
    ///
    /// # Panics
    /// If the template is not valid.
    pub fn new(steps: u64, template: &str, prefix: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(template).expect("a valid template");
            ProgressBar::new(steps).with_style(style).with_prefix(prefix)
        });
        Progress { bar, clock: SystemClock::new(), told: Mutex::default() }
    }

    /// How long it has been.
    pub fn elapsed(&self) -> Duration {
        self.clock.monotonic()
    }

    /// So many steps have ended since the beginning. Draws the bar, if there is one.
    pub fn reach(&self, steps: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(steps);
        }
    }

    /// Sets the message of the bar. Without one it prints a line, if the last was long enough ago.
    pub fn tell(&self, message: impl FnOnce() -> String, line: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(message());
            return;
        }
        let now = self.elapsed();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(*told) >= PAUSE {
            *told = now;
            eprintln!("{}", line());
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
