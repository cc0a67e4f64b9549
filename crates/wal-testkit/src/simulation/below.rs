//! What a log under test stands on: a disk that remembers, and the faults that are in force on it.

use super::{LiveFault, Tested};
use crate::{Call, FaultFs, ModelFs, SyncFault};

/// Why a log may accept nothing more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// A call failed that was made to fail.
    Call,
    /// A sync failed, and what it was to cover may be lost.
    Sync,
}

/// A disk, and the faults on it.
pub(super) struct Below {
    disk: ModelFs,
    fs: Tested,
    /// The faults that were set since the log was opened, if they excuse a failure.
    broken: Option<Broken>,
    /// How many syncs had failed when the log was opened.
    failed_before: u64,
}

impl Below {
    /// An empty disk, which remembers its state before every change.
    pub(super) fn new() -> Self {
        let disk = ModelFs::new();
        disk.record_moments();
        Below { fs: FaultFs::new(disk.clone()), disk, broken: None, failed_before: 0 }
    }

    pub(super) fn disk(&self) -> &ModelFs {
        &self.disk
    }

    /// The file system as the next process finds it, under the faults in force.
    pub(super) fn mount(&mut self) -> Tested {
        self.fs = self.fs.over(self.disk.clone());
        self.fs.clone()
    }

    /// The process dies; the cache survives.
    pub(super) fn process_dies(&mut self) {
        self.disk = self.disk.process_crash();
    }

    /// Why the log may refuse its service; `None` if nothing excuses it.
    pub(super) fn broken(&self) -> Option<Broken> {
        self.broken
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// The log may refuse its service from now on.
    pub(super) fn excuse(&mut self) {
        self.broken.get_or_insert(Broken::Call);
    }

    /// Whether a sync failed since the log was opened.
    pub(super) fn sync_failed(&self) -> bool {
        self.disk.failed_syncs() > self.failed_before
    }

    /// The log was opened: the syncs that failed before are past.
    pub(super) fn opened(&mut self) {
        self.failed_before = self.disk.failed_syncs();
    }

    /// Lets a fault strike from now on.
    pub(super) fn strike(&mut self, fault: LiveFault) {
        let excuse = match fault {
            // What every program must cope with is no excuse.
            LiveFault::ShortWrites(_) | LiveFault::ShortReads(_) | LiveFault::Interrupts(_) => None,
            LiveFault::SyncFails(_) | LiveFault::FailForGood(Call::Sync) => Some(Broken::Sync),
            _ => Some(Broken::Call),
        };
        if self.broken != Some(Broken::Sync) {
            self.broken = excuse.or(self.broken);
        }
        let faults = self.fs.faults();
        match fault {
            LiveFault::ShortWrites(n) => faults.short_writes(Some(n as usize)),
            LiveFault::ShortReads(n) => faults.short_reads(Some(n as usize)),
            LiveFault::Interrupts(n) => faults.interrupt_every(Some(u64::from(n))),
            LiveFault::NoSpace(left) => {
                self.disk.set_capacity(Some(self.disk.used_bytes() + u64::from(left)));
            }
            LiveFault::Fail(call) => faults.fail_once(call, 1, std::io::ErrorKind::Other),
            LiveFault::FailForGood(call) => faults.fail_from(call, 1, std::io::ErrorKind::Other),
            LiveFault::SyncFails(fault) => self.disk.fail_sync(1, fault),
            // By the world, which knows the log.
            LiveFault::Lost(_) => {}
        }
    }

    /// Ends all live faults, as a repaired device and a new mount would.
    pub(super) fn heal(&mut self) {
        self.fs.faults().clear();
        self.disk.remount();
        self.broken = None;
    }
}

/// Whether a sync that fails so takes bytes from the cache.
pub(super) fn empties_the_cache(fault: LiveFault) -> bool {
    matches!(
        fault,
        LiveFault::SyncFails(SyncFault::Reverted(_) | SyncFault::RevertedWhenEvicted(_))
    )
}
