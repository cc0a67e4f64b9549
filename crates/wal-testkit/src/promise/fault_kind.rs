//! What can befall a log: the kinds of fault that states are counted by.

/// The kinds of fault that states are counted by. A state counts for each kind it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum FaultKind {
    /// The process died; the cache survived.
    ProcessCrash,
    /// Unsynced changes were lost.
    PowerLoss,
    /// Writes tore into single bytes.
    ByteTears,
    /// Lost bytes came back as zeros.
    Zeroed,
    /// Lost bytes came back as nonsense.
    Garbage,
    /// Lost bytes came back as those of a removed file.
    Stale,
    /// A length came without its bytes, or bytes without their length.
    LengthApart,
    /// A creation, rename or removal was lost.
    LostEntry,
    /// A second crash, during recovery.
    CrashInRecovery,
    /// A third crash, during the recovery of the second.
    CrashInSecondRecovery,
    /// Recovery itself met a failing call first.
    FaultInRecovery,
    /// Before the crash, appends came beside a sync that took its time.
    SlowSync,
    /// Before the crash, calls were made to be short, to be interrupted, to fail or to find no space.
    LiveFault,
    /// Before the crash, a sync was made to fail.
    FailedSync,
    /// Before the crash, the process had died and started again.
    Restart,
    /// Before the crash, the clock jumped or the timer starved.
    Clock,
    /// Before the crash, something took the log away from its owner, or a forked process called it.
    OwnershipLost,
    /// One of all combinations of what pending changes may meet.
    AllSubsets,
    /// A sector was torn together with its neighbours.
    TornSectors,
    /// A rename was not atomic.
    TornRename,
}

impl FaultKind {
    /// All of them; from [`TornSectors`](Self::TornSectors) on they are beyond the claims, unless a storage
    /// is explored on a device that does this.
    pub const ALL: &[FaultKind] = &[
        FaultKind::ProcessCrash,
        FaultKind::PowerLoss,
        FaultKind::ByteTears,
        FaultKind::Zeroed,
        FaultKind::Garbage,
        FaultKind::Stale,
        FaultKind::LengthApart,
        FaultKind::LostEntry,
        FaultKind::CrashInRecovery,
        FaultKind::CrashInSecondRecovery,
        FaultKind::FaultInRecovery,
        FaultKind::SlowSync,
        FaultKind::LiveFault,
        FaultKind::FailedSync,
        FaultKind::Restart,
        FaultKind::Clock,
        FaultKind::OwnershipLost,
        FaultKind::AllSubsets,
        FaultKind::TornSectors,
        FaultKind::TornRename,
    ];

    /// Whether the usual claim does not cover it, so that it is tried only if somebody asks for that.
    #[must_use]
    pub fn is_exotic(self) -> bool {
        self >= FaultKind::TornSectors
    }
}
