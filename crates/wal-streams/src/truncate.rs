//! Truncation of a stream, and of the shared log behind it.
//!
//! A stream is truncated by a record that says where it starts. That record, and the numbers of a stream
//! whose records are all gone, would be forgotten with the segment they are in. So the shared log is
//! truncated in this order:
//!
//! 1. `snapshot`: where the shared log ends now, then for each stream where it starts, what its next LSN
//!    is, and what it still needs. What is placed meanwhile lies behind the end that was taken first.
//! 2. All that is written as one checkpoint record, and made durable.
//! 3. Only then the shared log is truncated up to the oldest record that any stream needs, or up to the
//!    end that was taken first. The checkpoint lies behind both.
//!
//! A crash before 3 leaves all records and perhaps a checkpoint that says nothing new. A crash within 3 is
//! the shared log's own business: its truncation happened or did not. Streams are looked at one after the
//! other: a checkpoint is not a moment of all of them, but what each entry says is true from then on.

use std::sync::PoisonError;

use wal_core::{Durability, Error, Lsn, Result};

use crate::layout;
use crate::positions::{Standing, StreamState};
use crate::shared::{Freed, Shared};

/// Says durably that the stream starts at `lsn`, or at its end if that is earlier.
pub(crate) fn stream(shared: &Shared, state: &StreamState, lsn: Lsn) -> Result<Lsn> {
    let mut at = state.lock();
    let wrap = |error: Error| {
        Error::new(error.kind(), "truncate stream")
            .with_lsn(lsn)
            .with_detail(format!("stream {}", state.id))
            .with_source(error)
    };
    let start = lsn.min(at.next);
    if start <= at.start {
        // Somebody else may have truncated and still wait for it to be durable.
        let (start, said_at) = (at.start, at.start_said_at);
        drop(at);
        return shared.wal.wait_durable(said_at).map(|()| start).map_err(wrap);
    }
    let record = layout::start(state.id, start);
    let submitted = shared.wal.submit_with(&record, Durability::Durable).map_err(wrap)?;
    shared.add_record(&record);
    at.start_said_at = submitted.range().last;
    at.truncate_before(start);
    drop(at);
    submitted.wait().map(|_| start).map_err(wrap)
}

/// What the shared log has to keep.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Nothing before this LSN of the shared log is needed.
    pub(crate) needed: Lsn,
    /// How many bytes of frames lie in front of it.
    pub(crate) at: u64,
    /// What has to be known of the streams that ever had a record.
    pub(crate) standings: Vec<Standing>,
}

/// Looks at each stream in turn.
pub(crate) fn snapshot(shared: &Shared) -> Snapshot {
    let mut snapshot =
        Snapshot { needed: shared.wal.next_lsn(), at: shared.bytes(), standings: Vec::new() };
    for state in shared.states() {
        let positions = state.lock();
        if !positions.exists() {
            continue;
        }
        snapshot.standings.push(positions.standing(state.id));
        if let Some(frame) = positions.index.first()
            && frame.shared < snapshot.needed
        {
            (snapshot.needed, snapshot.at) = (frame.shared, frame.at);
        }
    }
    snapshot
}

/// Gives back what no stream needs, if it is at least `worth` bytes; returns where the shared log
/// starts.
pub(crate) fn reclaim(shared: &Shared, worth: u64) -> Result<Lsn> {
    let mut freed = shared.freed.lock().unwrap_or_else(PoisonError::into_inner);
    let snapshot = snapshot(shared);
    let begins = shared.wal.first_lsn();
    let only_checkpoint = snapshot.needed == freed.upto;
    let bytes = snapshot.at.saturating_sub(freed.bytes);
    if snapshot.needed <= begins || only_checkpoint || bytes < worth {
        return Ok(begins);
    }
    give_back(shared, &snapshot, &mut freed)
}

/// The checkpoint, and only then the truncation.
pub(crate) fn give_back(shared: &Shared, snapshot: &Snapshot, freed: &mut Freed) -> Result<Lsn> {
    let wrap = |error: Error| {
        Error::new(error.kind(), "reclaim shared log").with_lsn(snapshot.needed).with_source(error)
    };
    let checkpoint = layout::checkpoint(&snapshot.standings);
    let at = shared.wal.append_with(&checkpoint, Durability::Durable).map_err(wrap)?;
    shared.add_record(&checkpoint);
    let start = shared.wal.truncate_before(snapshot.needed).map_err(wrap)?;
    *freed = Freed { bytes: snapshot.at, upto: at.next() };
    Ok(start)
}
