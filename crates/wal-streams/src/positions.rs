//! What is remembered of one stream in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use wal_core::Lsn;

use crate::id::StreamId;
use crate::index::{Index, IndexedFrame};
use crate::marks::Marks;

/// One stream, and the lock under which its records are placed.
///
/// The lock is held while a frame is encoded and copied into the shared log's buffer, never while somebody
/// waits for a sync. Producers of one stream take turns there, those of different streams do not.
#[derive(Debug)]
pub(crate) struct StreamState {
    pub(crate) id: StreamId,
    positions: Mutex<Positions>,
}

impl StreamState {
    pub(crate) fn new(id: StreamId, positions: Positions) -> Self {
        StreamState { id, positions: Mutex::new(positions) }
    }

    /// The lock. A panic in a storage poisons the shared log; what is remembered here stays right, as it
    /// changes only after a record was placed.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Positions> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where one stream stands: all that must not be forgotten of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) stream: StreamId,
    pub(crate) start: Lsn,
    pub(crate) next: Lsn,
}

/// Where a stream stands, and how its records are found.
#[derive(Debug)]
pub(crate) struct Positions {
    /// Records before this one were truncated.
    pub(crate) start: Lsn,
    /// The LSN of the next record.
    pub(crate) next: Lsn,
    /// The shared log's LSN of the record that says where the stream starts.
    pub(crate) start_said_at: Lsn,
    pub(crate) index: Index,
    pub(crate) marks: Marks,
}

impl Positions {
    /// A stream without records.
    pub(crate) const fn new() -> Self {
        Positions {
            start: Lsn::FIRST,
            next: Lsn::FIRST,
            start_said_at: Lsn::ZERO,
            index: Index::new(),
            marks: Marks::new(Lsn::ZERO),
        }
    }

    /// Whether the stream ever had a record.
    pub(crate) fn exists(&self) -> bool {
        self.next > Lsn::FIRST
    }

    pub(crate) fn standing(&self, stream: StreamId) -> Standing {
        Standing { stream, start: self.start, next: self.next }
    }

    /// Takes note of a frame that was placed, with `count` records.
    pub(crate) fn placed(&mut self, frame: IndexedFrame, count: u64, shared_durable: Lsn) {
        self.index.add(frame);
        self.next = frame.lsn.advance(count);
        self.marks.add(self.next.prev(), frame.shared.advance(count - 1), shared_durable);
    }

    /// Records before `start` are gone.
    pub(crate) fn truncate_before(&mut self, start: Lsn) {
        self.start = start;
        if start == self.next {
            self.index.clear();
        } else {
            self.index.truncate_before(start);
        }
    }
}
