//! Recovery of arbitrary directories, in every mode.
//!
//! The log is written by the real engine through the real file storage, on the model file system. Its
//! files are then changed, each mode recovers a copy of its own, and what they say is compared.

mod build;
mod outcome;

use wal_core::{ErrorKind, Lsn};
use wal_recovery::{Inspect, Mode, View};

use crate::plan::Plan;
use build::Place;
use outcome::{Outcome, recover};

const MODES: [Mode; 4] = [Mode::Strict, Mode::TornTail, Mode::PointInTime, Mode::Salvage];

/// A log, damage, four recoveries.
pub fn run(data: &[u8]) {
    let plan = Plan::decode(data);
    let place = Place::build(&plan);
    let [strict, torn_tail, point_in_time, salvage] = MODES.map(|mode| recover(&place, mode));

    // A mode that repairs more accepts what a mode that repairs less accepts, and finds the same in it.
    if let Ok(found) = &strict {
        for other in [&torn_tail, &point_in_time, &salvage] {
            found.same("strict", other);
        }
    }
    if let Ok(found) = &torn_tail {
        for other in [&point_in_time, &salvage] {
            found.same("torn-tail", other);
        }
    }
    if plan.edits.is_empty() {
        assert!(torn_tail.is_ok(), "a power loss alone made it fail: {torn_tail:?}");
    }
    // Only what cannot be told to be a log cannot be repaired.
    let looked = Inspect::new(place.storage()).threads(1).run();
    for (mode, outcome) in [(Mode::PointInTime, &point_in_time), (Mode::Salvage, &salvage)] {
        if let (Err(error), Ok(report)) = (outcome, &looked) {
            // A header that salvage mends may turn out to be that of another log. A log may have a feature with which
            // this build may read it, and not write to it.
            let mixed = error.detail().contains("not of one log") && mode == Mode::Salvage;
            let read_only = error.detail().contains("may read the log and not write to it");
            assert!(
                mixed || read_only,
                "{mode} refuses a log that can be inspected: {error}\n{report}"
            );
        }
    }
    for found in [&strict, &torn_tail, &point_in_time].into_iter().flatten() {
        place.genuine(&found.records);
    }
    // Where a file has another name and has lost its header, its name is all that a salvage has.
    if let Some(found) = salvage.as_ref().ok().filter(|_| !place.renamed) {
        place.genuine(&found.records);
    }
    views_end(&place, &strict);
}

/// Reading without recovering ends as well, and shows what a strict recovery accepts.
fn views_end(place: &Place, strict: &Result<Outcome, wal_core::Error>) {
    for skip in [false, true] {
        let Ok(view) = View::open(place.storage()) else {
            assert!(strict.is_err(), "a log that strict recovery accepts cannot be read");
            return;
        };
        let mut found = Vec::new();
        let mut failure = None;
        for entry in view.skip_corrupted(skip).records(Lsn::ZERO) {
            match entry {
                Ok(entry) => found.push((entry.lsn.get(), entry.record.to_vec())),
                Err(error) => failure = Some(error),
            }
        }
        place.genuine(&found);
        if let Some(error) = &failure {
            let known = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported);
            assert!(known, "a reader ended with {error}");
        }
        if let Ok(strict) = strict {
            assert!(failure.is_none() && found == strict.records, "{failure:?}");
        }
    }
}

/// Names that a directory may hold beside segments.
const STRANGE_NAMES: [&[u8]; 8] = [
    b"LOCK",
    b"lost+found",
    b"spare-00000000000000000001-00000000000000000001.tmp",
    b"00000000000000000001-tail-1.cut",
    b"notes.txt",
    b"1.wal",
    b"99999999999999999999.wal",
    b"\xff\xfe.wal",
];
