//! Opens a log under test, as a new process would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wal_core::format::LogId;
use wal_core::{Event as LogEvent, LogStorage, Lsn, Result, Settings, Wal};
use wal_recovery::{Mode, Recovery, Verify};

use super::{SimulatedClock, Subject};
use crate::promise::Found;

/// The identity of every log under test: the same seed must give the same bytes.
const LOG_ID: LogId = LogId(*b"simulated log 16");

/// So little that an end of some KiB is moved in several pieces, and enough for the largest record of a workload.
const MEMORY: u64 = 8 << 20;

/// A log that was recovered, opened and read.
pub(crate) struct Opened {
    pub(crate) log: Wal,
    /// All its records.
    pub(crate) found: Found,
    /// Whether the log said since that it failed.
    pub(crate) poisoned: Arc<AtomicBool>,
}

/// Recovers the log of a subject, opens it, and reads everything.
pub(crate) fn open(
    subject: &Subject,
    segment_size: u64,
    storage: Arc<dyn LogStorage>,
    clock: &SimulatedClock,
) -> Result<Opened> {
    open_by(Mode::TornTail, subject, segment_size, storage, clock)
}

/// The same, with a recovery in another mode. One that repairs reads every byte.
pub(crate) fn open_by(
    mode: Mode,
    subject: &Subject,
    segment_size: u64,
    storage: Arc<dyn LogStorage>,
    clock: &SimulatedClock,
) -> Result<Opened> {
    let verify = if mode == Mode::TornTail { Verify::Footers } else { Verify::All };
    let recovery = Recovery::new(storage).threads(1).clock(clock.clone()).log_id(LOG_ID);
    let recovery = recovery.memory_limit(MEMORY).mode(mode).verify(verify);
    let (recovered, _) = recovery.run()?;
    let poisoned = Arc::new(AtomicBool::new(false));
    let observed = poisoned.clone();
    let log = Wal::builder(subject.strategy.clone())
        .settings(Settings::default().segment_size(segment_size).buffer_bytes(4 << 20))
        .clock(clock.clone())
        .on_event(move |event| {
            if matches!(event, LogEvent::Poisoned { .. }) {
                observed.store(true, Ordering::Relaxed);
            }
        })
        .manual_driver()
        .open(recovered)?;
    let found =
        log.iter(Lsn::ZERO)?.map(|e| e.map(|e| (e.lsn.get(), e.record))).collect::<Result<_>>()?;
    Ok(Opened { log, found, poisoned })
}
