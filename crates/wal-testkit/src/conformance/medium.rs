//! `Medium`: what the kit must know about what a storage lives on.

use wal_core::{Capabilities, LogStorage};

use crate::CrashPolicy;

/// What a storage keeps one log on: a directory, a bucket, some memory. Each check gets a fresh, empty one.
///
/// Only [`open`](Self::open) is needed. Most of the others make more checks possible; a check whose
/// need is not met is skipped, visibly.
///
/// ```
/// use wal_core::MemoryStorage;
/// use wal_testkit::conformance::Medium;
///
/// #[derive(Default)]
/// struct Memory(MemoryStorage);
///
/// impl Medium for Memory {
///     type Storage = MemoryStorage;
///     fn open(&self) -> MemoryStorage {
///         self.0.clone()
///     }
/// }
/// ```
///
/// # Simulating a power loss
/// The checks of durability are the ones that matter most, and need two things of the medium below the
/// storage: that its power can be cut after so many calls, and that what a power loss leaves can be
/// opened. Files need only a file system that can do both: [`ModelFs`](crate::ModelFs) under
/// [`FaultFs`](crate::FaultFs) can, see the example of
/// [`storage_conformance!`](crate::storage_conformance).
pub trait Medium {
    /// The storage under test.
    type Storage: LogStorage;

    /// Opens the storage as another process would that comes to use the medium: nothing is shared with the
    /// storages opened before but the medium itself. These may be in use.
    fn open(&self) -> Self::Storage;

    /// Why nothing can be run here, if so: this system lacks what the storage is made of. Every check is
    /// skipped then. Asked before anything is opened.
    fn unavailable(&self) -> Option<String> {
        None
    }

    /// Opens the storage after every process that used the medium was killed: none of those opened before
    /// does anything any more, not even when it is dropped.
    fn open_after_kill(&self) -> Option<Self::Storage> {
        None
    }

    /// Lets `calls` more changes reach the medium; then the power is off, and every call fails without
    /// an effect. Counts whatever the medium is asked to do: write, sync, create, rename, remove.
    fn cut_power_after(&self, calls: u64) {
        let _ = calls;
    }

    /// Opens what is left after a power loss at this moment, if one can be simulated. Called once on a
    /// medium, at its end.
    fn open_after_power_loss(&self, policy: CrashPolicy) -> Option<Self::Storage> {
        let _ = policy;
        None
    }

    /// How many random outcomes of a power loss are looked at for each moment, besides "nothing that
    /// was not synced survived" and "everything did".
    fn power_losses(&self) -> u64 {
        32
    }

    /// What the medium was asked to do, one call a line: shown when a check fails.
    fn calls_below(&self) -> Vec<String> {
        Vec::new()
    }

    /// Puts something onto the medium that is not the log's, and returns the name under which the
    /// storage should list it.
    fn put_foreign(&self) -> Option<String> {
        None
    }

    /// Reads bytes that were set aside under this name, on the medium as it was opened last: after a
    /// power loss, what is left of them.
    fn read_set_aside(&self, name: &str) -> Option<Vec<u8>> {
        let _ = name;
        None
    }
}

/// What a check needs, of the storage or of the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// A storage that claims to survive a power loss, and a medium that can simulate one.
    PowerLoss,
    /// A storage that claims to survive the death of the process.
    Survival,
    /// A medium whose processes can be killed.
    Kill,
    /// A medium onto which something foreign can be put.
    Foreign,
    /// A storage that recycles.
    Recycling,
    /// A storage that does not.
    NoRecycling,
}

impl Need {
    /// Why the need is not met; `None` if it is.
    pub(super) fn unmet<P: Medium>(self, fresh: impl Fn() -> P) -> Option<String> {
        let medium = fresh();
        let Capabilities { survives_power_loss, survives_process_crash, recycles, .. } =
            medium.open().capabilities();
        let why = match self {
            Need::PowerLoss if !survives_power_loss => {
                "this storage does not claim to survive a power loss"
            }
            Need::PowerLoss if medium.open_after_power_loss(CrashPolicy::KeepAll).is_none() => {
                "this storage cannot simulate a power loss"
            }
            Need::Survival if !survives_process_crash => {
                "this storage does not claim to survive the death of the process"
            }
            Need::Kill if medium.open_after_kill().is_none() => {
                "this medium cannot kill the processes that use it"
            }
            Need::Foreign if medium.put_foreign().is_none() => {
                "nothing foreign can be put onto this medium"
            }
            Need::Recycling if !recycles => "this storage does not recycle",
            Need::NoRecycling if recycles => "this storage recycles",
            _ => return None,
        };
        Some(why.into())
    }
}
