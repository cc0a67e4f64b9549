//! What takes the log away from its owner: each must be noticed before anybody is acknowledged.

use std::path::{Path, PathBuf};

use wal_core::{Durability, ErrorKind};
use wal_fs::FileSystem;

use super::opening;
use super::world::World;
use super::{OwnershipLoss, SimulatedClock};
use crate::promise::{Crash, Event, FaultKind, Violation, oracle};
use crate::{FaultFs, ModelFs};

/// Where the shipped storages under test keep the log.
const DIR: &str = "/log";

/// The name under which a segment is for a while.
const ASIDE: &str = "/log/aside";

fn unfenced(what: impl Into<String>) -> Violation {
    Violation::new("fence", what)
}

impl World<'_> {
    /// Takes the log away. Nothing happens to a storage that does not tell its owners apart: it promises nothing then.
    pub(super) fn lose(&mut self, how: OwnershipLoss) -> Result<(), Violation> {
        let disk = self.below.disk().clone();
        if !names(&disk).iter().any(|name| starts_with(name, "OWNER-")) {
            return Ok(());
        }
        match how {
            OwnershipLoss::Lock => {
                self.note_loss();
                self.remove_lock(&disk)
            }
            OwnershipLoss::SecondOwner => {
                self.note_loss();
                self.remove_lock(&disk)?;
                self.second_owner(&disk)
            }
            OwnershipLoss::Segment => self.rename_segment(&disk),
            OwnershipLoss::Fork => self.fork(&disk),
        }
    }

    fn note_loss(&mut self) {
        self.actor().note(Event::Befell(FaultKind::OwnershipLost));
        self.actor().note(Event::OwnershipLost);
        self.below.excuse();
    }

    fn remove_lock(&self, disk: &ModelFs) -> Result<(), Violation> {
        let removed = disk.remove_file(&Path::new(DIR).join("LOCK"));
        removed.map_err(|e| unfenced(format!("the lock cannot be removed: {e}")))
    }

    /// Another opener reads the log, and finds everything that was promised.
    fn second_owner(&self, disk: &ModelFs) -> Result<(), Violation> {
        let fs = FaultFs::new(disk.clone());
        let clock = SimulatedClock::new();
        let refused = |e| unfenced(format!("a second opener is refused: {e}"));
        let storage = self.subject.storage.open(fs).map_err(refused)?;
        if self.subject.storage.maps_files() {
            // It must not cut a file that is mapped: the system would kill the first owner. See `MmapStorage`.
            return storage.lock().wait().map(drop).map_err(refused);
        }
        let opened = opening::open(self.subject, self.segment_size, storage, &clock);
        let opened = opened.map_err(refused)?;
        let claim = self.subject.strategy.claim();
        let next = opened.log.next_lsn();
        oracle::records(&self.knowledge(), &claim, Crash::Power, &opened.found, next).map(drop)
    }

    /// The newest segment has another name for a while. No append is acknowledged as durable meanwhile.
    fn rename_segment(&mut self, disk: &ModelFs) -> Result<(), Violation> {
        // So that the newest segment is the log's own.
        self.actor().append(1, 5, Some(Durability::Durable));
        self.actor().drive()?;
        let newest = names(disk).into_iter().filter(|path| is_segment(path)).max();
        let Some(newest) = newest.filter(|_| !self.is_poisoned()) else { return Ok(()) };
        self.note_loss();
        self.actor().note(Event::Away(true));
        let rename = |from: &Path, to: &Path| {
            disk.rename_new(from, to).map_err(|e| unfenced(format!("a rename fails: {e}")))
        };
        rename(&newest, Path::new(ASIDE))?;
        let durable = self.actor().log.blocking().durable_lsn();
        self.actor().append(1, 6, Some(Durability::Durable));
        self.actor().drive()?;
        let reported = self.actor().log.blocking().durable_lsn();
        rename(Path::new(ASIDE), &newest)?;
        disk.sync_dir(Path::new(DIR)).map_err(|e| unfenced(format!("a sync fails: {e}")))?;
        self.actor().note(Event::Away(false));
        match reported > durable {
            true => Err(unfenced(format!(
                "LSN {reported} was called durable in a segment that had lost its name"
            ))),
            false => Ok(()),
        }
    }

    /// A child of the process calls the log, and is refused. The parent goes on.
    fn fork(&self, disk: &ModelFs) -> Result<(), Violation> {
        self.actor().note(Event::Befell(FaultKind::OwnershipLost));
        let log = self.actor().log.blocking();
        let next = log.next_lsn();
        disk.set_forked(true);
        let buffered = log.append_with(b"child", Durability::Buffered).map(drop);
        let calls = [
            ("an append", buffered),
            ("a durable append", log.append_with(b"child", Durability::Durable).map(drop)),
            ("a sync", log.sync().map(drop)),
            ("a truncation", log.truncate_before(next).map(drop)),
            ("closing", log.close()),
        ];
        disk.set_forked(false);
        for (what, outcome) in calls {
            match outcome {
                Err(error) if error.kind() == ErrorKind::LostOwnership => {}
                // The log had failed before, or was closed.
                Err(_) if self.is_poisoned() || self.below.is_broken() => {}
                outcome => {
                    return Err(unfenced(format!("{what} in a forked process: {outcome:?}")));
                }
            }
        }
        Ok(())
    }
}

fn names(disk: &ModelFs) -> Vec<PathBuf> {
    let entries = disk.read_dir(Path::new(DIR)).unwrap_or_default();
    entries.into_iter().map(|entry| Path::new(DIR).join(entry.name)).collect()
}

fn starts_with(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "wal")
}
