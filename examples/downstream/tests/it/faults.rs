//! Our strategy on our storages, explored as `cargo xtask faults` explores those of the workspace: with a report,
//! and a page to show.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use downstream::DutyCycle;
use downstream::metered::{Meter, Metered};
use downstream::plain_files::PlainFiles;
use wal_core::LogStorage;
use wal_faults::{Faults, StorageUnderTest, Verdict};
use wal_fs::{FileSettings, FileStorage};

use crate::forgetful::Forgetful;

const OURS: DutyCycle = DutyCycle { percent: 10, limit: 9 };

/// The storage that we wrapped, with files on whatever file system it is given: here a model that loses what a power loss
/// may lose.
fn metered(meter: &Arc<Meter>) -> StorageUnderTest {
    let meter = meter.clone();
    StorageUnderTest::new("metered", move |files| {
        // Small, so that a short workload fills segments ahead several times.
        let settings = FileSettings::default().preallocate_bytes(1024).max_spares(1);
        let inner = FileStorage::create_with_file_system(files, "/log", settings)?;
        Ok(Arc::new(Metered::new(inner, meter.clone())) as Arc<dyn LogStorage>)
    })
}

/// The one that we wrote, on the same model.
pub(crate) fn plain_files() -> StorageUnderTest {
    StorageUnderTest::new("plain-files", |files| {
        Ok(Arc::new(PlainFiles::create_with_file_system(files, "/log")?) as Arc<dyn LogStorage>)
    })
}

#[test]
fn our_claim_is_kept_and_reached_on_our_storages() {
    let meter = Arc::new(Meter::default());
    let report = Faults::new()
        .strategy("duty-cycle", OURS)
        .storage(metered(&meter))
        .storage(plain_files())
        .states(1500)
        .run()
        .unwrap();
    assert!(report.holds(), "{report}");

    let ours = report.strategy("duty-cycle").unwrap();
    assert!(ours.verdict().is_tight(), "{report}");
    assert_eq!(ours.claim().power_loss.records, Some(9));
    assert_eq!((ours.power_loss().records, ours.process_crash().records), (9, 0));
    assert_eq!(report.subjects().len(), 2);
    assert!(meter.writes() > 0 && meter.syncs() > 0 && meter.bytes() > 0, "{meter:?}");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("faults.html");
    report.html(&file).unwrap();
    let page = std::fs::read_to_string(file).unwrap();
    assert!(page.contains("Every claim was kept, and every claim was reached."));
    assert!(page.contains("duty-cycle") && page.contains("metered, plain-files"));
}

#[test]
fn a_wrong_strategy_is_caught_with_a_line_that_shows_it_again() {
    let faults = || {
        let storage = metered(&Arc::default());
        Faults::new().strategy("forgetful", Forgetful(OURS)).storage(storage).states(1500)
    };
    let report = faults().run().unwrap();
    assert!(!report.holds());
    let Verdict::Broken(failure) = report.strategies()[0].verdict() else { panic!("{report}") };
    assert_eq!(failure.violation.oracle, "O3");

    let case = failure.case.to_string();
    assert!(case.starts_with("forgetful | metered | - | ") && !case.contains('\n'), "{case}");
    assert!(report.to_string().contains(&case), "{report}");
    // The same line against the same code fails again.
    let again = faults().replay(&case).unwrap();
    assert_eq!(again.violation(), Some(&failure.violation));
}

/// The first write creates a segment. Our storage syncs what it creates as it syncs records, in the middle of that
/// write: no other write can happen beside such a sync.
#[test]
fn the_sync_of_a_new_segment_is_no_slow_one() {
    let faults = || Faults::new().strategy("duty-cycle", OURS).storage(plain_files()).states(1);
    let case = "duty-cycle | plain-files | - | segment 8388608; \
                slow(append 1x8 written,append 1x8) | -";
    let (sender, outcome) = mpsc::channel();
    // The kit plays several threads on one. If that one waits for itself, it never ends.
    thread::spawn(move || sender.send(faults().replay(case).unwrap().violation().cloned()));
    assert_eq!(outcome.recv_timeout(Duration::from_secs(60)), Ok(None));
}
