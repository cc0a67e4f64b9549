//! A progress bar on standard error: only on a terminal, and only for what takes long.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wal_core::{Clock, SystemClock};
use wal_recovery::Progress;

/// Shorter work is over before anybody would have read the bar.
const PATIENCE: Duration = Duration::from_millis(400);

/// A callback for the scans of `wal-recovery` that draws a bar; `None` if nobody would see it.
pub(crate) fn bar(what: &'static str) -> Option<impl FnMut(&Progress) + Send + 'static> {
    if !io::stderr().is_terminal() {
        return None;
    }
    let clock = SystemClock::new();
    let bar = Cleared(hidden(what));
    Some(move |progress: &Progress| {
        let bar = &bar.0;
        bar.set_length(progress.bytes);
        bar.set_position(progress.bytes_done);
        bar.set_message(format!("{} records", progress.records));
        if bar.is_hidden() && clock.monotonic() >= PATIENCE {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
    })
}

/// Leaves no trace of the bar once the scan is over and has dropped its callback.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Measures from the start, and is not seen yet.
fn hidden(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {msg}, {eta} left",
    )
    .expect("a valid template");
    ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        .with_style(style)
        .with_prefix(what)
}
