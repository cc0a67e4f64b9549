//! The log engine: everything behind the handles.
//!
//! | file | idea |
//! | --- | --- |
//! | `body` | what a frame will hold, encoded outside the locks |
//! | `state` | what the short lock protects; framing |
//! | `append` | the way of one append on a thread |
//! | `task` | the way of one append from a task |
//! | `submit` | appending now, waiting later |
//! | `flush` | writing what was framed |
//! | `handover` | who writes, while others wait for that |
//! | `patience` | waiting awake for what does not take long |
//! | `buffer` | the memory in which frames are gathered and written |
//! | `commit` | leading: write, sync, publish, wake, hand over |
//! | `writer` | the segment being written; rotation and sealing |
//! | `company` | a leader waits for those who are about to append |
//! | `turns` | threads that need no commit keep out of each other's way |
//! | `cohort` | threads that wait for one commit, woken all at once |
//! | `waiters` | who waits, and how they are woken |
//! | `driver` | deadlines, and work for callers that cannot block |
//! | `truncate` | front and back |
//! | `segments` | what readers need to know |
//!
//! # Locks
//! Taken in this order, never the other way round: `writer`, `syncer`, `state`. `state` is held for a
//! few hundred nanoseconds and never during I/O. `writer` is held while bytes are handed to the
//! storage, `syncer` while a sync runs, so that records can be written beside a sync in flight.
//!
//! # Roles
//! `state.syncing` and `state.writing` say that some thread leads. Who finds the role taken waits. Who has
//! synced passes the role on, to one of the next cohort, to a thread in the queue or to the driver. Who has
//! written gives it up, and wakes the first thread in the queue, or the driver, to look; it is for whoever
//! comes first.
//! `state.makes_room` says that a thread that found the buffer full waits for `writer` to take it.

mod append;
mod body;
mod buffer;
mod cohort;
mod commit;
mod company;
mod driver;
mod flush;
mod handover;
mod patience;
mod segments;
mod state;
mod submit;
mod task;
mod truncate;
mod turns;
mod waiters;
mod writer;

use std::sync::{Arc, OnceLock};

pub(crate) use body::{Body, BodyBytes, KEEP};
pub(crate) use buffer::new_buffer;
pub use driver::Drive;
pub(crate) use driver::Driver;
pub(crate) use segments::{SegmentEntry, Segments};
use state::{Layout, State};
pub use submit::{Acknowledged, Submitted};
pub(crate) use task::{AppendFuture, Waiting};
use turns::Turns;
use writer::Writer;

use crate::format::{FRAME_HEADER_LEN, MAX_DATA_OFFSET, SEGMENT_HEADER_LEN};
use crate::recovered::Recovered;
use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, lock, thread};
use crate::{
    Capabilities, Clock, CodecId, Decision, Error, ErrorKind, Event, LogStorage, Lsn, Result,
    Settings, StorageLock, SyncStrategy,
};
use cohort::Cohorts;

/// Told of every [`Event`].
pub(crate) type Observer = Box<dyn Fn(&Event) + Send + Sync>;

/// How far the log is, readable without a lock.
struct Progress {
    written: AtomicU64,
    durable: AtomicU64,
    failed: AtomicBool,
}

/// Begins at a cache line.
#[repr(align(64))]
struct CacheAligned<T>(T);

/// One open log.
pub(crate) struct Engine {
    pub(crate) storage: Arc<dyn LogStorage>,
    capabilities: Capabilities,
    pub(crate) strategy: Box<dyn SyncStrategy>,
    /// What it says to every append, if that is always the same.
    fixed_decision: Option<Decision>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    layout: Layout,
    body_limit: u64,
    observer: Option<Observer>,
    state: CacheAligned<Mutex<State>>,
    turns: Turns,
    writer: Mutex<Writer>,
    syncer: Mutex<()>,
    cohorts: Cohorts,
    progress: Progress,
    failure: OnceLock<Error>,
    pub(crate) segments: Segments,
    storage_lock: Mutex<Option<StorageLock>>,
    driver_thread: OnceLock<thread::Thread>,
    /// The driver lingers, and has something to do.
    called: AtomicBool,
    waits_for_company: bool,
}

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) strategy: Box<dyn SyncStrategy>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) observer: Option<Observer>,
    pub(crate) codec: CodecId,
    /// Whether other threads run beside a leader.
    pub(crate) threads: bool,
}

impl Engine {
    pub(crate) fn new(recovered: Recovered, parts: Parts) -> Result<Self> {
        let Parts { strategy, clock, settings, observer, codec, threads } = parts;
        settings.validate()?;
        let capabilities = recovered.storage.capabilities();
        let alignment = capabilities.alignment.max(1);
        let data_offset = (SEGMENT_HEADER_LEN as u32).next_multiple_of(alignment);
        if data_offset > MAX_DATA_OFFSET {
            return Err(Error::new(ErrorKind::Invalid, "open log").detail(format!(
                "the storage's alignment is {alignment} bytes, allowed are 1 to {MAX_DATA_OFFSET}"
            )));
        }
        let padding = capabilities.padding.max(1);
        if !alignment.is_multiple_of(padding) {
            return Err(Error::new(ErrorKind::Invalid, "open log").detail(format!(
                "the storage's writes are to end at multiples of {padding} bytes, of which its alignment of \
                 {alignment} bytes is none"
            )));
        }
        let segment_size = match padding {
            1 => settings.segment_size,
            // The last place at which a write may end, with a blank behind it.
            _ => {
                (settings.segment_size - FRAME_HEADER_LEN as u64) / u64::from(padding)
                    * u64::from(padding)
            }
        };
        let body_limit = Settings { segment_size, ..settings.clone() }.body_limit(data_offset);
        if body_limit < u64::from(alignment) {
            return Err(Error::new(ErrorKind::Invalid, "open log").detail(format!(
                "segment_size {} is too small for the storage's alignment of {alignment} bytes",
                settings.segment_size
            )));
        }
        let layout = Layout {
            log_id: recovered.log_id,
            codec,
            data_offset,
            segment_size,
            buffer_bytes: settings.buffer_bytes as usize,
            padding,
        };
        let state = State::new(
            recovered.last_lsn,
            recovered.next_lsn,
            recovered.log_start,
            recovered.next_generation,
            recovered.last_time,
        );
        let segments = Segments::new(
            recovered.storage.clone(),
            settings.open_segments,
            recovered.segments.into_iter().map(SegmentEntry::recovered),
        );
        Ok(Engine {
            storage: recovered.storage,
            capabilities,
            fixed_decision: strategy.fixed_decision(),
            strategy,
            clock,
            settings,
            layout,
            body_limit,
            observer,
            progress: Progress {
                written: AtomicU64::new(state.written.lsn.get()),
                durable: AtomicU64::new(state.durable.lsn.get()),
                failed: AtomicBool::new(false),
            },
            state: CacheAligned(Mutex::new(state)),
            turns: Turns::default(),
            writer: Mutex::new(Writer::new()),
            syncer: Mutex::new(()),
            cohorts: Cohorts::new(),
            failure: OnceLock::new(),
            segments,
            storage_lock: Mutex::new(Some(recovered.lock)),
            driver_thread: OnceLock::new(),
            called: AtomicBool::new(false),
            // A model checker would try every number of rounds.
            waits_for_company: threads && cfg!(not(any(wal_loom, wal_shuttle))),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state.0)
    }

    pub(crate) fn log_id(&self) -> crate::format::LogId {
        self.layout.log_id
    }

    pub(crate) fn durable_lsn(&self) -> Lsn {
        Lsn::new(self.progress.durable.load(Ordering::Acquire))
    }

    pub(crate) fn written_lsn(&self) -> Lsn {
        Lsn::new(self.progress.written.load(Ordering::Acquire))
    }

    pub(crate) fn last_lsn(&self) -> Lsn {
        self.state().last_lsn
    }

    pub(crate) fn next_lsn(&self) -> Lsn {
        self.state().next_lsn
    }

    pub(crate) fn log_start(&self) -> Lsn {
        self.state().log_start
    }

    pub(crate) fn stats(&self) -> crate::Stats {
        let st = self.state();
        crate::Stats { records: st.appended.records, bytes: st.appended.bytes, ..st.stats }
    }

    pub(crate) fn emit(&self, event: &Event) {
        tracing::debug!(?event, "wal");
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }

    /// The error for a caller of a log that failed or was closed; `None` while it is fine.
    pub(crate) fn refusal(&self, op: &'static str) -> Option<Error> {
        if let Some(error) = self.failure.get() {
            return Some(error.poisoned(op));
        }
        self.state().closed.then(|| Error::new(ErrorKind::Closed, op))
    }

    /// Lets go of the storage's lock.
    fn release(&self) {
        drop(lock(&self.storage_lock).take());
    }

    fn has_failed(&self) -> bool {
        self.progress.failed.load(Ordering::Acquire)
    }

    fn check(&self, op: &'static str) -> Result<()> {
        match self.failure.get() {
            Some(error) if self.has_failed() => Err(error.poisoned(op)),
            _ => Ok(()),
        }
    }

    /// Poisons the log: after this nothing is acknowledged on this handle any more.
    fn fail(&self, error: Error) -> Error {
        let first = self.failure.set(error.clone()).is_ok();
        self.progress.failed.store(true, Ordering::Release);
        let mut wakes = Vec::new();
        {
            let mut st = self.state();
            st.waiters.take_all(&mut wakes);
            self.cohorts.end(true);
        }
        if first {
            tracing::error!(%error, "write-ahead log poisoned");
            self.emit(&Event::Poisoned { error: error.clone() });
        }
        waiters::wake_all(&mut wakes, waiters::Outcome::Failed);
        error
    }
}

/// Poisons the log if a storage or strategy panics: nobody knows what was done, and nobody may wait
/// forever. Declare it before taking any lock, so that it is dropped after the locks.
struct PanicGuard<'a>(&'a Engine);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .fail(Error::new(ErrorKind::Io, "commit").detail("a storage or strategy panicked"));
        }
    }
}
