//! One recovery, and what must hold of it whatever it was given.

use wal_core::{CodecId, Durability, Error, ErrorKind, Recovered, Wal};
use wal_recovery::{Mode, Recovery, Report, Verdict, Verify};
use wal_sync::Policy;
use wal_testkit::{CrashPolicy, ModelFs};

use super::build::{Place, Records, is_own};
use crate::world::{self, AnyCodec, Files, Ticks};

/// What a recovery came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) records: Records,
    next_lsn: u64,
}

impl Outcome {
    /// Another mode came to the same.
    pub(super) fn same(&self, name: &str, other: &Result<Outcome, Error>) {
        match other {
            Ok(other) => {
                assert_eq!(self.next_lsn, other.next_lsn, "{name} and another mode differ");
                assert!(self.records == other.records, "{name} and another mode differ");
            }
            Err(error) => panic!("{name} accepts what another mode refuses: {error}"),
        }
    }
}

/// Recovers a copy of the place, goes on with it, and recovers it again.
pub(super) fn recover(place: &Place, mode: Mode) -> Result<Outcome, Error> {
    let disk = place.copy();
    let before = world::files_of(&disk);
    let (recovered, report) = match run(place, &disk, mode) {
        Ok(outcome) => outcome,
        Err(error) => {
            refused(&error, mode);
            if mode != Mode::Salvage {
                let after = world::files_of(&disk);
                assert!(
                    kept(&before) == kept(&after),
                    "{mode} changed what it refuses: {error}\n{}\nbecame\n{}",
                    listing(&before),
                    listing(&after),
                );
            }
            return Err(error);
        }
    };
    // The power goes out at once.
    let lost = disk.crash(CrashPolicy::DropUnsynced);
    let next_lsn = recovered.next_lsn().get();
    let codec = recovered.codec().unwrap_or(CodecId::RAW);
    let (log, records) = open(recovered, codec);
    assert_eq!(records.len() as u64, report.records, "{mode}\n{report}");
    assert!(records.last().is_none_or(|last| last.0 < next_lsn), "{mode}\n{report}");

    let (again, second) = run(place, &lost, Mode::Strict)
        .unwrap_or_else(|error| panic!("not recovered for good by {mode}: {error}\n{report}"));
    assert_eq!(again.next_lsn().get(), next_lsn, "{mode}\n{report}\n{second}");
    // Segments that the editing took away at an end stay away.
    let is_sound = matches!(second.verdict(), Verdict::Clean | Verdict::Incomplete);
    assert!(is_sound, "{mode}\n{report}\n{second}");
    assert!(open(again, codec).1 == records, "{mode}\n{report}\n{second}");

    let lsn = log.append_with(b"one more", Durability::Durable);
    let lsn = lsn.unwrap_or_else(|error| panic!("recovered by {mode}: {error}\n{report}"));
    assert_eq!(lsn.get(), next_lsn, "{mode}\n{report}");
    log.close().unwrap_or_else(|error| panic!("recovered by {mode}: {error}\n{report}"));
    drop(log);
    let (last, third) = run(place, &disk, Mode::Strict)
        .unwrap_or_else(|error| panic!("appended after {mode}: {error}\n{report}"));
    assert!(third.clean, "{mode}\n{report}\n{third}");
    let mut expected = records.clone();
    expected.push((next_lsn, b"one more".to_vec()));
    assert!(open(last, codec).1 == expected, "{mode}\n{report}\n{third}");
    Ok(Outcome { records, next_lsn })
}

fn run(place: &Place, disk: &ModelFs, mode: Mode) -> Result<(Recovered, Report), Error> {
    Recovery::new(place.on(disk))
        .mode(mode)
        .verify(Verify::All)
        .threads(1)
        .clock(Ticks::default())
        .log_id(wal_core::format::LogId([7; 16]))
        .run()
}

/// An open log, and everything in it: what was recovered in full can be read.
fn open(recovered: Recovered, codec: CodecId) -> (Wal<AnyCodec>, Records) {
    let log = Wal::builder(Policy::default())
        .codec(AnyCodec(codec))
        .layers(recovered.layers().unwrap_or_default())
        .settings(world::settings())
        .clock(Ticks::default())
        .manual_driver()
        .open(recovered)
        .expect("what was recovered opens");
    let records = log.iter(wal_core::Lsn::ZERO).expect("from the start");
    let records = records.map(|entry| {
        let entry = entry.expect("what was recovered is readable");
        (entry.lsn.get(), entry.record.to_vec())
    });
    let records = records.collect();
    (log, records)
}

/// The errors that a recovery may end with: the bytes are at fault, not the storage or the caller.
fn refused(error: &Error, mode: Mode) {
    let known = match error.kind() {
        ErrorKind::NotALog | ErrorKind::Corrupt | ErrorKind::Unsupported => true,
        ErrorKind::TornTail => mode == Mode::Strict,
        _ => false,
    };
    assert!(known, "{mode} ended with {error}");
}

/// All but what every writer may touch.
fn kept(files: &Files) -> Files {
    let kept = files.iter().filter(|(name, _)| !is_own(name));
    kept.map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
}

/// Names and lengths, to be told.
fn listing(files: &Files) -> String {
    let lines = files.iter().map(|(name, bytes)| format!("  {} ({})", name.display(), bytes.len()));
    lines.collect::<Vec<_>>().join("\n")
}
