//! What happened, as an observer outside sees it, and what is known at any moment of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use wal_core::{Durability, LsnRange};

use super::FaultKind;

/// Something that an observer outside learns.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Records were handed to the log, as one batch that begins at this LSN.
    Submitted {
        first: u64,
        records: Vec<Bytes>,
        requested: Option<Durability>,
        at: Duration,
    },
    /// Their append returned.
    Acknowledged(LsnRange),
    /// The log reported this durable position.
    Durable(u64),
    /// A sync began / ended: what is appended between belongs to the next one.
    SyncBegan,
    SyncEnded,
    /// `truncate_before` was asked for / returned.
    BeforeAsked(u64),
    BeforeDone(u64),
    /// `truncate_after(kept)` was asked for when `last` was the last LSN / returned.
    AfterAsked {
        kept: u64,
        last: u64,
    },
    AfterDone,
    /// A sync is going to fail, and the cache will lose what it was to cover: until the log is opened
    /// again, the death of the process may take more than its memory.
    CacheFails,
    /// Something took the log away from its owner: until it is opened again, only what is durable is promised to survive.
    OwnershipLost,
    /// A segment is under another name, where nobody looks for it, or back.
    Away(bool),
    /// Something befell the log that states are counted by.
    Befell(FaultKind),
    /// The log was opened again within the workload, with exactly these records.
    Reopened {
        found: Vec<u64>,
    },
}

/// What came back of a log: LSNs and bytes, ascending.
pub(crate) type Found = Vec<(u64, Bytes)>;

/// What is known of one record.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) bytes: Bytes,
    /// The batch it belongs to.
    pub(crate) batch: (u64, u64),
    pub(crate) requested: Option<Durability>,
    pub(crate) at: Duration,
    pub(crate) acknowledged: bool,
    /// Submitted after the sync in flight had begun.
    pub(crate) beside_sync: bool,
}

/// What is known of a log at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knowledge {
    pub(crate) records: BTreeMap<u64, Known>,
    /// Records that an opening within the workload did not find any more: truncated, or lost unacknowledged.
    gone: Vec<(u64, Bytes)>,
    /// The highest durable position that the log ever reported.
    pub(crate) durable: u64,
    /// `truncate_before`: acknowledged, asked for.
    pub(crate) start_done: u64,
    pub(crate) start_asked: u64,
    /// `truncate_after`: kept up to .0, void up to .1, acknowledged or not.
    pub(crate) cuts: Vec<(u64, u64, bool)>,
    pub(crate) sync_in_flight: bool,
    pub(crate) cache_fails: bool,
    pub(crate) owner_lost: bool,
    pub(crate) away: bool,
    /// What befell the log so far.
    pub(crate) befell: BTreeSet<FaultKind>,
}

impl Knowledge {
    /// Learns of one more event.
    pub(crate) fn learn(&mut self, event: &Event) {
        match event {
            Event::Submitted { first, records, requested, at } => {
                let batch = (*first, first + records.len() as u64 - 1);
                for (lsn, bytes) in (*first..).zip(records) {
                    let known = Known {
                        bytes: bytes.clone(),
                        batch,
                        requested: *requested,
                        at: *at,
                        acknowledged: false,
                        beside_sync: self.sync_in_flight,
                    };
                    self.records.insert(lsn, known);
                }
            }
            Event::Acknowledged(range) => {
                for (_, known) in self.records.range_mut(range.first.get()..=range.last.get()) {
                    known.acknowledged = true;
                }
            }
            Event::Durable(lsn) => self.durable = self.durable.max(*lsn),
            Event::SyncBegan => {
                self.befell.insert(FaultKind::SlowSync);
                self.set_sync(true);
            }
            Event::SyncEnded => self.set_sync(false),
            Event::BeforeAsked(lsn) => self.start_asked = self.start_asked.max(*lsn),
            Event::BeforeDone(lsn) => self.start_done = self.start_done.max(*lsn),
            Event::AfterAsked { kept, last } => self.cuts.push((*kept, *last, false)),
            Event::AfterDone => {
                if let Some(cut) = self.cuts.last_mut() {
                    cut.2 = true;
                }
            }
            Event::CacheFails => self.cache_fails = true,
            Event::OwnershipLost => self.owner_lost = true,
            Event::Away(away) => self.away = *away,
            Event::Befell(kind) => {
                self.befell.insert(*kind);
            }
            Event::Reopened { found } => {
                (self.cache_fails, self.owner_lost) = (false, false);
                let gone = &mut self.gone;
                self.records.retain(|lsn, known| {
                    let is_there = found.binary_search(lsn).is_ok();
                    if !is_there {
                        gone.push((*lsn, known.bytes.clone()));
                    }
                    is_there
                });
                if found.first().is_some_and(|lsn| *lsn < self.start_asked) {
                    self.start_asked = self.start_done;
                }
                // A truncation that was not acknowledged has happened by now, or it never will.
                self.cuts.retain(|&(kept, last, done)| {
                    let next = found.partition_point(|lsn| *lsn <= kept);
                    done || found.get(next).is_none_or(|lsn| *lsn > last)
                });
                self.set_sync(false);
            }
        }
    }

    fn set_sync(&mut self, in_flight: bool) {
        self.sync_in_flight = in_flight;
        self.records.values_mut().for_each(|known| known.beside_sync = false);
    }

    /// Whether this is a record that an opening did not find any more.
    pub(crate) fn is_gone(&self, lsn: u64, bytes: &Bytes) -> bool {
        !self.records.contains_key(&lsn)
            && self.gone.iter().any(|gone| gone == &(lsn, bytes.clone()))
    }

    /// Whether the record may be missing because somebody asked for its truncation.
    pub(crate) fn may_be_truncated(&self, lsn: u64) -> bool {
        lsn < self.start_asked || self.is_cut_off(lsn)
    }

    /// Whether the record may be missing because of a truncation at the back.
    pub(crate) fn is_cut_off(&self, lsn: u64) -> bool {
        self.cuts.iter().any(|&(kept, last, _)| kept < lsn && lsn <= last)
    }
}
