//! The log engine: everything behind the handles.
//!
//! Owners, each with the invariants that it asserts. All but `segments`, `failure` and `ownership` are protected by the short
//! lock:
//!
//! | room | owns |
//! | --- | --- |
//! | `place` | LSNs, times and the buffer: where the next frame goes |
//! | `progress` | appended >= written >= durable; what a sync publishes was captured before it |
//! | `agenda` | what is to be done, by when, and by whom: a role has one holder |
//! | `wait` | callers that wait: each is taken exactly once |
//! | `state` | what the short lock guards: the four above, the fields that concern several of them, and fields behind which stands no promise (time of day, counters, observations of `pace`) |
//! | `meter` | averages of what syncs cost and cover, which strategies see |
//! | `segments` | what readers need to know |
//! | `failure` | the first failure, announced before anybody is woken |
//! | `ownership` | whether the log is still ours, asked before anybody is acknowledged |
//!
//! What is done with them is in `work`; how threads wait to be quicker, which changes nothing else, is in `pace`.
//!
//! # Locks
//! Taken in this order, never the other way round: `truncation`, `writer`, `syncer`, `state`. `state` is held for a
//! few hundred nanoseconds and never during I/O. `writer` is held while bytes are handed to the storage, `syncer` while
//! a sync runs, so that records can be written beside a sync in flight. `truncation` is held for a whole truncation, the
//! removal of segments included, so that others append meanwhile. Nobody who appends takes it.
//!
//! # Roles
//! | role | taken by | passed on | if nobody waits |
//! | --- | --- | --- | --- |
//! | syncer | a caller that waits for durability and finds it free, or the driver | to a thread of the next commit group, else to the first thread in the queue | free; the driver is called if a sync is planned |
//! | writer | a caller that waits for a write and finds it free, or the driver | never: it becomes free, and the first thread in the queue is woken to look | free |
//!
//! To take a full buffer is no role: the first thread that finds it full promises it, and whoever writes first keeps
//! the promise.

mod agenda;
mod failure;
mod meter;
mod ownership;
mod pace;
mod place;
mod progress;
mod segments;
mod state;
mod wait;
mod work;

use std::sync::Arc;

pub use pace::Pace;
pub(crate) use place::{Many, One};
pub(crate) use segments::{SegmentEntry, Segments};
pub use work::{Acknowledged, Drive, Submitted};
pub(crate) use work::{AppendFuture, Driver, Waiting};

use crate::format::{Footer, Layers};
use crate::recovered::{RecoveredParts, Span};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::{
    Capabilities, Clock, CodecId, Decision, Event, Fence, LogStorage, Lsn, Result, Settings,
    StorageLock, SyncStrategy,
};
use failure::Failure;
use pace::BackOff;
use place::{Layout, LogHeader, LogTime, Start};
use progress::Reached;
use state::State;
use wait::{CommitGroups, Level};
use work::{DriverLine, SegmentWriter};

/// Told of every [`Event`].
pub(crate) type Observer = Box<dyn Fn(&Event) + Send + Sync>;

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
    pace: Pace,
    layout: Layout,
    observer: Option<Observer>,
    state: CacheAligned<Mutex<State>>,
    back_off: BackOff,
    /// Held by whoever truncates, and by whoever lets go of the storage.
    truncation: Mutex<()>,
    writer: Mutex<SegmentWriter>,
    syncer: Mutex<()>,
    groups: CommitGroups,
    reached: Reached,
    failure: Failure,
    pub(crate) segments: Segments,
    storage_lock: Mutex<Option<StorageLock>>,
    fence: Arc<dyn Fence>,
    driver: DriverLine,
}

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) strategy: Box<dyn SyncStrategy>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) pace: Pace,
    pub(crate) observer: Option<Observer>,
    pub(crate) codec: CodecId,
    pub(crate) layers: Layers,
    /// The footer of the newest segment.
    pub(crate) last: Option<Footer>,
    /// Whether other threads run beside a leader.
    pub(crate) threads: bool,
}

impl Engine {
    pub(crate) fn new(recovered: RecoveredParts, span: Span, parts: Parts) -> Result<Self> {
        let Parts { strategy, clock, settings, pace, observer, codec, layers, last, threads } =
            parts;
        let capabilities = recovered.storage.capabilities();
        let newest = recovered.segments.last().map(|segment| &segment.header);
        let log = LogHeader {
            log_id: recovered.log_id,
            codec,
            layers,
            owner: recovered.lock.owner(),
            origin: newest.and_then(|header| header.origin),
        };
        let layout = Layout::new(log, &settings, &capabilities)?;
        let known = last.map(|footer| (footer.log_time, footer.time));
        let time = LogTime::resumed(&*clock, known, settings.clock_tolerance);
        let start = Start::of(span, recovered.next_generation);
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
            pace: if threads { pace } else { pace.on_one_thread() },
            layout,
            observer,
            state: CacheAligned(Mutex::new(State::new(&start, time))),
            back_off: BackOff::new(&pace),
            truncation: Mutex::new(()),
            writer: Mutex::new(SegmentWriter::new()),
            syncer: Mutex::new(()),
            groups: CommitGroups::new(),
            reached: Reached::new(start.last_lsn),
            failure: Failure::default(),
            segments,
            fence: recovered.lock.fence().clone(),
            storage_lock: Mutex::new(Some(recovered.lock)),
            driver: DriverLine::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state.0)
    }

    pub(crate) fn log_id(&self) -> crate::format::LogId {
        self.layout.header.log_id
    }

    pub(crate) fn durable_lsn(&self) -> Lsn {
        self.reached.durable()
    }

    pub(crate) fn written_lsn(&self) -> Lsn {
        self.reached.written()
    }

    pub(crate) fn last_lsn(&self) -> Lsn {
        self.state().placement.last_lsn()
    }

    pub(crate) fn next_lsn(&self) -> Lsn {
        self.state().placement.next_lsn()
    }

    pub(crate) fn log_start(&self) -> Lsn {
        self.state().placement.log_start()
    }

    /// What the strategy promises, as far as a storage of files keeps it.
    pub(crate) fn claim(&self) -> crate::Claim {
        let mut claim = self.strategy.claim();
        let Capabilities { survives_process_crash, survives_power_loss, .. } = self.capabilities;
        if survives_process_crash && !survives_power_loss {
            claim.power_loss = crate::Loss::UNBOUNDED;
        }
        claim
    }

    pub(crate) fn first_lsn(&self) -> Lsn {
        self.state().placement.first_lsn()
    }

    pub(crate) fn stats(&self) -> crate::Stats {
        self.state().stats()
    }

    pub(crate) fn emit(&self, event: &Event) {
        #[cfg(feature = "tracing")]
        tracing::debug!(?event, "wal");
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }

    /// Whether `lsn` has reached `level`; without a lock.
    fn has_reached(&self, level: Level, lsn: Lsn) -> bool {
        lsn <= match level {
            Level::Written => self.written_lsn(),
            Level::Durable | Level::Followed => self.durable_lsn(),
        }
    }

    /// Lets go of the storage's lock.
    fn release(&self) {
        drop(lock(&self.storage_lock).take());
    }
}
