//! Getting at a log: its storage, and its recovery before anything is written.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use wal_core::format::Layers;
use wal_core::{CodecId, LogStorage, Lsn, Recovered};
use wal_fs::{FileSettings, FileStorage};
use wal_recovery::{FindingKind, Mode, Recovery, Report};

use crate::failure::{Failure, say};
use crate::{progress, size};

/// What the command line says, once it was parsed; 0 before.
static MEMORY_LIMIT: AtomicU64 = AtomicU64::new(0);

/// From now on so much memory may be used for what is read, in bytes.
pub(crate) fn limit_memory(bytes: u64) {
    MEMORY_LIMIT.store(bytes, Ordering::Relaxed);
}

/// How much memory may be used for what is read, in bytes.
pub(crate) fn memory_limit() -> u64 {
    MEMORY_LIMIT.load(Ordering::Relaxed)
}

/// The directory of a log that must be there; nothing is created.
pub(crate) fn existing(dir: &Path) -> Result<FileStorage, Failure> {
    Ok(FileStorage::open(dir)?)
}

/// What the file system may lack.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Place {
    /// Go on where the file system syncs no directories (CIFS, vboxsf): a power loss may then take whole segments,
    /// with records that were acknowledged as durable
    #[arg(long)]
    pub(crate) allow_unsynced_names: bool,

    /// So many bytes are kept free for when the disk is full, in files of their own; 0: none [default: by the size of
    /// segments, 256 KiB to 8.1 MiB]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) reserve: Option<u64>,
}

/// The same, to be written to.
pub(crate) fn to_write(dir: &Path, place: Place) -> Result<FileStorage, Failure> {
    let settings = FileSettings::default()
        .allow_unsynced_names(place.allow_unsynced_names)
        .reserve_bytes(place.reserve);
    Ok(FileStorage::open_with(dir, settings)?)
}

/// Says what it costs to go on in a place that may lose names.
pub(crate) fn warn(storage: &impl LogStorage) {
    if !storage.capabilities().survives_power_loss {
        say(format_args!(
            "warning: this file system syncs no directories: a power loss may take whole segments, with records that \
             were acknowledged as durable (lost by a power loss: unbounded)"
        ));
    }
}

/// A log that is synced by io_uring; an error where this build or this kernel has none.
#[cfg(all(target_os = "linux", feature = "uring"))]
pub(crate) fn uring(dir: &Path, place: Place) -> Result<wal_fs::UringStorage, Failure> {
    let settings = wal_fs::UringSettings::default()
        .allow_unsynced_names(place.allow_unsynced_names)
        .reserve_bytes(place.reserve);
    Ok(wal_fs::UringStorage::create_with(dir, settings)?)
}

/// The same for builds without it.
#[cfg(not(all(target_os = "linux", feature = "uring")))]
pub(crate) fn uring(_: &Path, _: Place) -> Result<FileStorage, Failure> {
    let why = if cfg!(target_os = "linux") {
        "this command was built without the feature \"uring\"; use --storage file"
    } else {
        "io_uring is for Linux only; use --storage file"
    };
    Err(wal_core::Error::new(wal_core::ErrorKind::Unsupported, "open log").with_detail(why).into())
}

/// Recovers a log for appending bytes: one of another codec, or with layers, is refused as it is.
pub(crate) fn recover_raw(storage: impl LogStorage) -> Result<Recovered, Failure> {
    warn(&storage);
    run(Recovery::new(storage).codec(CodecId::RAW).layers(Layers::NONE))
}

/// Recovers a log of any codec to be truncated, as every opening does: cuts a torn tail, refuses damage. Says what it
/// cut. One with layers is refused as it is: what these need of it, only they know. What a truncation `before` a record
/// is to remove may go now, if the disk is full.
pub(crate) fn recover_to_truncate(
    storage: impl LogStorage,
    before: Option<Lsn>,
) -> Result<Recovered, Failure> {
    warn(&storage);
    let recovery = Recovery::new(storage).layers(Layers::NONE);
    run(match before {
        Some(lsn) => recovery.make_room_before(lsn),
        None => recovery,
    })
}

fn run(recovery: Recovery) -> Result<Recovered, Failure> {
    let mut recovery = recovery.mode(Mode::TornTail).memory_limit(memory_limit());
    if let Some(bar) = progress::bar("recover") {
        recovery = recovery.progress(bar);
    }
    let (recovered, report) = recovery.run()?;
    tell(&report);
    Ok(recovered)
}

/// One line for each finding, but for clocks that were set once: only reports tell of those again and again.
pub(crate) fn mention(report: &Report) {
    for finding in report.findings.iter().filter(|found| found.kind != FindingKind::ClockSet) {
        say(format_args!("{finding}"));
    }
}

/// One line for everything that recovery did not leave as it was.
fn tell(report: &Report) {
    for damage in &report.damages {
        say(format_args!("found and repaired: {damage}"));
    }
    mention(report);
    for cut in &report.cut {
        say(format_args!(
            "cut {} bytes of segment {} at offset {}, from LSN {} on{}",
            cut.bytes,
            cut.segment,
            cut.offset,
            cut.first_lsn,
            cut.saved_as
                .as_deref()
                .map(|name| format!("; a copy is in {name}"))
                .unwrap_or_default()
        ));
    }
}
