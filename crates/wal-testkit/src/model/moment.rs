//! The state of disk and cache at one moment, from which any number of crashes can be made.

use std::fmt;

use super::crash::{Atom, CrashPolicy, Fate};
use super::disk::Disk;
use super::{ATOM_BYTES, ModelFs};

/// Disk and cache of a [`ModelFs`] at one moment. Cheap to keep: unchanged bytes are shared.
#[derive(Clone)]
pub struct Moment(pub(super) Disk);

impl Moment {
    /// Every change that a power loss at this moment may take, in the order in which
    /// [`crash_with`](Self::crash_with) asks, with writes split at multiples of `atom_bytes`.
    #[must_use]
    pub fn pending(&self, atom_bytes: u64) -> Vec<Atom> {
        let mut atoms = Vec::new();
        if self.has_pending() {
            // Whatever is answered here does not change what is asked next.
            let _ = self.0.crash(atom_bytes, &mut |atom| {
                atoms.push(atom.clone());
                Fate::Dropped
            });
        }
        atoms
    }

    /// Whether a power loss would take anything.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.0.has_pending()
    }

    /// The name by which a file is known at this moment, or may be after a power loss, for messages.
    #[must_use]
    pub fn name_of(&self, node: u64) -> String {
        self.0.name_of(node).unwrap_or_else(|| format!("file {node}, which has no name"))
    }

    /// What a power loss leaves, as a file system of its own: everything in it is durable, nothing
    /// is locked.
    #[must_use]
    pub fn crash(&self, policy: CrashPolicy) -> ModelFs {
        let mut chooser = policy.chooser();
        self.crash_with(ATOM_BYTES, &mut chooser)
    }

    /// The same, with the fate of every pending change chosen by the caller, and with writes split
    /// at multiples of `atom_bytes`.
    ///
    /// The choices are asked for in a fixed order: by node, within it by time, within a write by
    /// offset. So a recorded list of fates replays a crash.
    ///
    /// # Panics
    /// If `atom_bytes` is 0.
    #[must_use]
    pub fn crash_with(&self, atom_bytes: u64, choose: &mut dyn FnMut(&Atom) -> Fate) -> ModelFs {
        assert!(atom_bytes > 0, "an atom has at least one byte");
        ModelFs::over(self.0.crash(atom_bytes, choose))
    }

    /// What the death of the process leaves: its memory is gone. What it wrote is still in the cache, and
    /// not yet on the disk: a power loss after it may take it.
    #[must_use]
    pub fn process_crash(&self) -> ModelFs {
        ModelFs::over(self.0.clone()).process_crash()
    }

    /// What is there once the cache was written back, with nothing pending.
    #[must_use]
    pub fn written_back(&self) -> ModelFs {
        ModelFs::over(self.0.written_back())
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moment").field("seq", &self.0.seq).finish_non_exhaustive()
    }
}
