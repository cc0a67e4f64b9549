//! All mutants at seams.

use std::time::Duration;

use wal_core::{Claim, Decision, Loss, SyncWhen, Trigger};

use super::lies::Lie;
use super::storage::StorageBug;
use super::strategy::Bend;
use super::{Mutant, Seam};

/// A mutant: strategy, storage, name, number in the list of real mistakes (0: none), sentence, seam.
fn mutant(
    (strategy, storage): (&'static str, &'static str),
    name: &'static str,
    fault: u8,
    bug: &'static str,
    seam: Seam,
) -> Mutant {
    Mutant { name, bug, fault: (fault > 0).then_some(fault), strategy, storage, seam }
}

pub(super) fn all() -> Vec<Mutant> {
    [file_systems(), storages(), strategies()].concat()
}

fn file_systems() -> Vec<Mutant> {
    let lie = |on, name, fault, bug, lie| mutant(on, name, fault, bug, Seam::FileSystem(lie));
    vec![
        lie(
            ("always", "file"),
            "no-directory-sync-after-create",
            7,
            "the directory is not synced after the log's own was created in it",
            Lie::DirSyncAfterCreate,
        ),
        lie(
            ("always", "file"),
            "no-directory-sync-after-rename",
            8,
            "the directory is not synced after a segment got its name by a rename",
            Lie::DirSyncAfterRename,
        ),
        lie(
            ("always", "file"),
            "no-sync-before-rename",
            0,
            "a new segment gets its name before its header is durable",
            Lie::SyncBeforeRename,
        ),
        lie(
            ("always", "file"),
            "data-sync-does-nothing",
            1,
            "the sync that an append waits for does nothing",
            Lie::DataSync,
        ),
        lie(
            ("group", "file-plain"),
            "every-second-sync-left-out",
            1,
            "a sync so soon after another is taken to be superfluous",
            Lie::EverySecondSync,
        ),
        lie(
            ("always", "file"),
            "failed-sync-ignored",
            6,
            "the error of a sync is dropped",
            Lie::SyncError,
        ),
        lie(
            ("always", "file"),
            "failed-sync-tried-again",
            5,
            "a failed sync is made again, and its success is believed",
            Lie::SyncRetry,
        ),
        lie(
            ("always", "file-through"),
            "write-through-is-cached",
            0,
            "a write that is to go through to the device stays in the cache",
            Lie::WriteThrough,
        ),
        lie(
            ("always", "file"),
            "failed-write-ignored",
            16,
            "the error of a write is dropped: a full disk leaves a part of a frame",
            Lie::WriteError,
        ),
        lie(
            ("always", "file-plain"),
            "short-write-taken-for-whole",
            16,
            "the rest of a short write is never written",
            Lie::ShortWrite,
        ),
        lie(
            ("always", "file"),
            "interrupted-write-taken-for-made",
            0,
            "an interrupted write is not repeated",
            Lie::Interrupt,
        ),
        lie(
            ("always", "file"),
            "writes-aligned-down",
            0,
            "a write begins at the multiple of eight before its offset",
            Lie::Offset,
        ),
        lie(
            ("batch:8,3ms", "file"),
            "write-kept-in-memory",
            21,
            "a file keeps a write in the process's memory until the next call",
            Lie::LateWrite,
        ),
        lie(
            ("always", "file"),
            "read-error-taken-for-the-end",
            0,
            "a read that fails is taken for the end of the file",
            Lie::ReadError,
        ),
        lie(
            ("always", "file"),
            "reads-give-zeros",
            0,
            "behind the first thousand bytes of a file reads give zeros",
            Lie::ReadZeros,
        ),
        lie(
            ("always", "file"),
            "lock-granted-to-everybody",
            26,
            "a second opener gets the lock as well",
            Lie::Lock,
        ),
        lie(
            ("always", "file-plain"),
            "listing-cut-short",
            0,
            "a listing of the directory ends after three names",
            Lie::Listing(3),
        ),
    ]
}

fn storages() -> Vec<Mutant> {
    let wrong = |on, name, fault, bug, wrong| mutant(on, name, fault, bug, Seam::Storage(wrong));
    vec![
        wrong(
            ("always", "file-plain"),
            "removal-takes-the-next-segment",
            27,
            "the removal of a segment removes the one behind it, too",
            StorageBug::RemovesTheNext,
        ),
        wrong(
            ("always", "file-plain"),
            "replaced-segment-removed-first",
            0,
            "a segment that takes the place of another is created when that one was removed",
            StorageBug::ReplacesInTwoSteps,
        ),
        wrong(
            ("always", "file-plain"),
            "only-the-last-segments-kept",
            27,
            "a new segment makes the oldest ones go, whether or not they are needed",
            StorageBug::KeepsOnly(3),
        ),
        wrong(
            ("always", "file"),
            "newest-segment-not-listed",
            0,
            "the listing leaves out the newest segment",
            StorageBug::HidesTheNewest,
        ),
        wrong(
            ("os", "file"),
            "written-before-the-write",
            21,
            "the storage says that a write was made before it makes it",
            StorageBug::WritesLate,
        ),
        wrong(
            ("group", "file"),
            "sync-made-later",
            1,
            "the storage says that a sync was made before it makes it",
            StorageBug::SyncsLate,
        ),
        wrong(
            ("always", "file"),
            "reads-deliver-a-sector",
            0,
            "a read delivers at most 512 bytes, as if the segment ended there",
            StorageBug::ReadsShort,
        ),
        wrong(
            ("always", "file-plain"),
            "cut-at-a-sector",
            0,
            "a cut goes to the start of the sector, and takes whole frames with it",
            StorageBug::CutsSectors,
        ),
        wrong(
            ("always", "file-reserve"),
            "reserve-never-opened",
            0,
            "what is kept for a full disk is kept then, too",
            StorageBug::KeepsReserveShut,
        ),
    ]
}

fn strategies() -> Vec<Mutant> {
    let bent = |strategy, name, fault, bug, bend| {
        mutant((strategy, "file"), name, fault, bug, Seam::Strategy(bend))
    };
    vec![
        bent(
            "always",
            "acknowledged-when-written",
            1,
            "an append is acknowledged when it is written, before the sync",
            Bend::Says(|_, decision| *decision = Decision::written(decision.sync)),
        ),
        bent(
            "os",
            "acknowledged-from-memory",
            21,
            "an append is acknowledged before it is written",
            Bend::Says(|_, decision| *decision = Decision::buffered(decision.sync)),
        ),
        bent(
            "batch:4",
            "batch-forgets-the-sync-in-flight",
            20,
            "the bound in records leaves out those that a slow sync covers",
            Bend::Sees(|tail| tail.records = tail.pending_records),
        ),
        bent(
            "batch:4,40B",
            "batch-forgets-the-bytes-in-flight",
            20,
            "the bound in bytes leaves out those that a slow sync covers",
            Bend::Sees(|tail| tail.bytes = tail.pending_bytes),
        ),
        bent(
            "batch:4",
            "batch-off-by-one",
            20,
            "a batch is one record larger than it should be",
            Bend::Sees(|tail| tail.records = tail.records.saturating_sub(1)),
        ),
        bent(
            "batch:4",
            "batch-full-and-acknowledged",
            20,
            "the append that fills a batch does not wait for its sync",
            Bend::Says(|_, decision| *decision = Decision::written(decision.sync)),
        ),
        bent(
            "batch:4,3ms",
            "batch-without-a-timer",
            19,
            "an idle tail is never synced: the delay is looked at by appends alone",
            Bend::Says(|_, decision| {
                if matches!(decision.sync, SyncWhen::Within(_)) {
                    decision.sync = SyncWhen::OnRequest;
                }
            }),
        ),
        bent(
            "batch:4,3ms",
            "deadline-ignored",
            19,
            "when the deadline comes, nothing is done",
            Bend::Says(|tail, decision| {
                if tail.trigger == Trigger::Deadline {
                    decision.sync = SyncWhen::OnRequest;
                }
            }),
        ),
        bent(
            "batch:4,3ms",
            "timer-starts-anew",
            19,
            "the age of the tail is counted from now",
            Bend::Sees(|tail| tail.pending_age = Duration::ZERO),
        ),
        bent(
            "interval:2ms",
            "clock-at-half-speed",
            0,
            "the strategy's clock runs at half speed",
            Bend::Sees(|tail| tail.pending_age /= 2),
        ),
        bent(
            "interval:2ms",
            "overdue-and-acknowledged",
            20,
            "appends go on while the sync that they should wait for is overdue",
            Bend::Says(|_, decision| *decision = Decision::written(decision.sync)),
        ),
        bent(
            "group",
            "lonely-append-acknowledged-early",
            1,
            "an append is acknowledged early if nobody else is waiting",
            Bend::Says(|tail, decision| {
                if tail.waiting == 0 {
                    *decision = Decision::written(decision.sync);
                }
            }),
        ),
        bent(
            "os",
            "claim-too-good",
            0,
            "a bounded loss is claimed by a strategy that never syncs",
            Bend::Claims(|claim| claim.power_loss = claim.power_loss.records(3)),
        ),
        bent(
            "os",
            "claims-nothing-lost",
            0,
            "a strategy that never syncs claims that nothing is lost",
            Bend::Claims(|claim| *claim = Claim::NOTHING_LOST),
        ),
        bent(
            "batch:4",
            "claim-too-wide-in-records",
            0,
            "one more record is claimed to be at risk than any crash can take",
            Bend::Claims(|claim| {
                claim.power_loss.records = claim.power_loss.records.map(|n| n + 1);
            }),
        ),
        bent(
            "interval:2ms",
            "claim-too-wide-in-time",
            0,
            "twice the window is claimed that any crash can take",
            Bend::Claims(|claim| claim.power_loss.window = claim.power_loss.window.map(|w| w * 2)),
        ),
        bent(
            "always",
            "claim-too-modest",
            0,
            "any loss is claimed to be possible, and there is none",
            Bend::Claims(|claim| claim.power_loss = Loss::UNBOUNDED),
        ),
    ]
}
