//! How much of the shared log is held, and by whom.

use wal_core::Lsn;

use crate::id::StreamId;
use crate::positions::StreamState;
use crate::shared::Shared;

/// Where one stream stands, and how much of the shared log it keeps from being freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStats {
    /// The stream.
    pub id: StreamId,
    /// Its first record; the next one if it is empty.
    pub first_lsn: Lsn,
    /// The LSN of its next record.
    pub next_lsn: Lsn,
    /// It needs the shared log from this LSN of the shared log on; `None` if it is empty. May lie up to
    /// 64 KiB in front of the exact place, more for a stream with more than 256 MiB of the shared log.
    pub pins_from: Option<Lsn>,
    /// So many bytes of frames, of all streams, from there to the end of the shared log.
    pub pins_bytes: u64,
}

impl StreamStats {
    pub(crate) fn of(shared: &Shared, state: &StreamState) -> Self {
        let positions = state.lock();
        let oldest = positions.index.first();
        StreamStats {
            id: state.id,
            first_lsn: positions.start,
            next_lsn: positions.next,
            pins_from: oldest.map(|frame| frame.shared),
            pins_bytes: oldest.map_or(0, |frame| shared.bytes().saturating_sub(frame.at)),
        }
    }

    /// How many records it holds.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.next_lsn.since(self.first_lsn)
    }
}

/// The shared log and all streams that exist.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Counters of the shared log since it was opened: records of all streams, writes, syncs.
    pub log: wal_core::Stats,
    /// The first LSN of the shared log.
    pub first_lsn: Lsn,
    /// The next LSN of the shared log.
    pub next_lsn: Lsn,
    /// Bytes of frames in the shared log.
    pub bytes: u64,
    /// Each stream, ascending.
    pub streams: Vec<StreamStats>,
}

impl Stats {
    /// The stream that keeps most of the shared log from being freed; none if all are empty.
    #[must_use]
    pub fn oldest(&self) -> Option<&StreamStats> {
        let holding = self.streams.iter().filter(|stream| stream.pins_from.is_some());
        holding.min_by_key(|stream| stream.pins_from)
    }
}
