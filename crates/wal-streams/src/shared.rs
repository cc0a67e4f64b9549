//! What all handles of an open log share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use wal_core::format::record_overhead;
use wal_core::{Lsn, Wal};

use crate::id::StreamId;
use crate::inventory::Inventory;
use crate::positions::{Positions, StreamState};
use crate::settings::Settings;

/// The log, its streams, and how much of it is held.
pub(crate) struct Shared {
    pub(crate) wal: Wal,
    pub(crate) settings: Settings,
    pub(crate) states: RwLock<BTreeMap<StreamId, Arc<StreamState>>>,
    /// The shared log's next LSN when it was opened from a closing checkpoint. As long as it is that, the
    /// checkpoint is still the last record.
    pub(crate) closing_end: Lsn,
    /// Bytes of frames placed, those found at opening included. Counted beside the shared log's own
    /// lock, so two frames placed at the same time may be counted in the other order.
    bytes: AtomicU64,
    /// How much of it was given back; locked while the shared log is truncated.
    pub(crate) freed: Mutex<Freed>,
}

/// What was given back since the log was opened.
#[derive(Debug, Default)]
pub(crate) struct Freed {
    pub(crate) bytes: u64,
    /// Behind the checkpoint that was written for it: to free that alone would need another one.
    pub(crate) upto: Lsn,
}

impl Shared {
    pub(crate) fn new(
        wal: Wal,
        settings: Settings,
        inventory: Inventory,
        closing_end: Lsn,
    ) -> Self {
        let Inventory { streams, bytes } = inventory;
        let states = streams.into_iter().map(|(id, at)| (id, Arc::new(StreamState::new(id, at))));
        Shared {
            settings,
            states: RwLock::new(states.collect()),
            closing_end,
            wal,
            bytes: AtomicU64::new(bytes),
            freed: Mutex::default(),
        }
    }

    pub(crate) fn states(&self) -> Vec<Arc<StreamState>> {
        let states = self.states.read().unwrap_or_else(PoisonError::into_inner);
        states.values().cloned().collect()
    }

    pub(crate) fn state(&self, id: StreamId) -> Arc<StreamState> {
        let found = self.states.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        found.unwrap_or_else(|| {
            let mut states = self.states.write().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(StreamState::new(id, Positions::new()));
            states.entry(id).or_insert_with(new).clone()
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts a frame; returns how many bytes lie in front of it.
    pub(crate) fn add_bytes(&self, bytes: u64) -> u64 {
        self.bytes.fetch_add(bytes, Ordering::Relaxed)
    }

    /// Counts a frame of one record.
    pub(crate) fn add_record(&self, record: &[u8]) {
        self.add_bytes(record.len() as u64 + record_overhead(1));
    }
}
