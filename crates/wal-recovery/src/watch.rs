//! What reads for long: how far it is, how long it may take, and how much memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wal_core::{Clock, Error, ErrorKind, Result, SystemClock, Timestamp};

use crate::memory::Memory;

/// How far a scan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Progress {
    /// Segments that are done.
    pub segments_done: u64,
    /// Segments in all.
    pub segments: u64,
    /// Bytes that are done, those of sealed segments that were not read in full included.
    pub bytes_done: u64,
    /// Bytes in all, preallocated ones included.
    pub bytes: u64,
    /// Records seen so far.
    pub records: u64,
}

pub(crate) type Callback = Box<dyn FnMut(&Progress) + Send>;

/// A clock, and how long something may take by it.
pub(crate) struct TimeLimit {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limit: Option<Duration>,
}

impl Default for TimeLimit {
    /// The operating system's clock, and no limit.
    fn default() -> Self {
        TimeLimit { clock: Arc::new(SystemClock::new()), limit: None }
    }
}

/// Watches over a scan, from all of its threads.
pub(crate) struct Watch {
    clock: Arc<dyn Clock>,
    started: Duration,
    memory: Memory,
    state: Mutex<State>,
}

struct State {
    limit: Option<Duration>,
    progress: Progress,
    callback: Option<Callback>,
}

impl Watch {
    /// Bytes between two calls of the callback, and two looks at the clock.
    pub(crate) const STEP: u64 = 256 * 1024;

    pub(crate) fn new(time: TimeLimit, memory: Memory, callback: Option<Callback>) -> Self {
        let TimeLimit { clock, limit } = time;
        let started = clock.monotonic();
        let state = State { limit, progress: Progress::default(), callback };
        Watch { clock, started, memory, state: Mutex::new(state) }
    }

    /// One that watches nothing.
    pub(crate) fn idle() -> Self {
        Watch::new(TimeLimit::default(), Memory::default(), None)
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A scan of this much begins.
    pub(crate) fn begin(&self, segments: usize, bytes: u64) -> Result<()> {
        self.tell(|p| *p = Progress { segments: segments as u64, bytes, ..Progress::default() })
    }

    /// This much more was read.
    pub(crate) fn advance(&self, bytes: u64, records: u64) -> Result<()> {
        self.tell(|p| {
            p.bytes_done = (p.bytes_done + bytes).min(p.bytes);
            p.records += records;
        })
    }

    /// One more segment is done.
    pub(crate) fn segment_done(&self) -> Result<()> {
        self.tell(|p| p.segments_done += 1)
    }

    /// Looks at the clock.
    pub(crate) fn check(&self) -> Result<()> {
        self.tell(|_| {})
    }

    /// From now on something is changed: no stopping and no telling any more.
    pub(crate) fn disarm(&self) {
        let mut state = self.state();
        state.limit = None;
        state.callback = None;
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }

    /// What time it is.
    pub(crate) fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) -> Result<()> {
        let mut state = self.state();
        change(&mut state.progress);
        let progress = state.progress;
        if let Some(callback) = &mut state.callback {
            callback(&progress);
        }
        let Some(limit) = state.limit else { return Ok(()) };
        let elapsed = self.elapsed();
        if elapsed <= limit {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TimedOut, "scan log").with_detail(format!(
            "{elapsed:?} have passed, allowed are {limit:?}; {} of {} segments and {} of {} bytes \
             were done, nothing was changed",
            progress.segments_done, progress.segments, progress.bytes_done, progress.bytes
        )))
    }
}
