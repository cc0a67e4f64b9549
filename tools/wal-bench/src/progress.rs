//! How many measurements are left.

use std::cell::Cell;

use wal_tool::progress::Progress as Shown;

/// On standard error.
pub(super) struct Progress {
    shown: Shown,
    measured: Cell<usize>,
    all: usize,
}

impl Progress {
    /// Of so many measurements.
    pub(super) fn new(all: usize) -> Self {
        let style = "{wide_bar} {pos}/{len} {elapsed}, {eta} left\n{msg}";
        Progress { shown: Shown::new(all as u64, style, ""), measured: Cell::default(), all }
    }

    /// What is measured now. Nothing is drawn while it is measured.
    pub(super) fn tell(&self, suite: &str, who: &str, load: &str) {
        let message = || format!("{suite}: {who}, {load}");
        self.shown.tell(message, || {
            format!("{} of {}; {suite}: {who}, {load}", self.measured.get(), self.all)
        });
    }

    /// So many measurements more have ended, or are not needed.
    pub(super) fn measured(&self, more: usize) {
        self.measured.set(self.measured.get() + more);
        self.shown.reach(self.measured.get() as u64);
    }
}
