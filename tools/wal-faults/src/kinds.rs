//! The kinds of fault, in words.

use wal_testkit::FaultKind;

/// The name of a kind of fault, and what it means.
pub(super) fn kind_told(kind: FaultKind) -> (String, &'static str) {
    let name = serde_json::to_value(kind).ok();
    let name = name.and_then(|name| name.as_str().map(|name| name.replace('-', " ")));
    let means = match kind {
        FaultKind::ProcessCrash => "the process died; the cache survived",
        FaultKind::PowerLoss => "unsynced changes were lost",
        FaultKind::ByteTears => "writes tore into single bytes",
        FaultKind::Zeroed => "lost bytes came back as zeros",
        FaultKind::Garbage => "lost bytes came back as nonsense",
        FaultKind::Stale => "lost bytes came back as those of a removed file",
        FaultKind::LengthApart => "a length without its bytes, or bytes without their length",
        FaultKind::LostEntry => "a creation, rename or removal was lost",
        FaultKind::CrashInRecovery => "a second crash, during recovery",
        FaultKind::CrashInSecondRecovery => "a third crash, during the recovery of the second",
        FaultKind::FaultInRecovery => "recovery met a failing call first",
        FaultKind::SlowSync => "appends came beside a sync that took its time",
        FaultKind::LiveFault => "calls were made short, interrupted, failing, or without space",
        FaultKind::FailedSync => "a sync was made to fail",
        FaultKind::Restart => "the process died and started again",
        FaultKind::Clock => "the clock jumped, or the timer starved",
        FaultKind::OwnershipLost => "the log was taken from its owner, or its process forked",
        FaultKind::AllSubsets => "one of all combinations of up to 8 changes",
        FaultKind::TornSectors => "a sector was torn together with its neighbours",
        FaultKind::TornRename => "a rename was not atomic",
        _ => "",
    };
    (name.unwrap_or_else(|| format!("{kind:?}")), means)
}
