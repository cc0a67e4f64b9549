//! Our storage against the contract of `LogStorage`, and at work below a log.

use downstream::DutyCycle;
use downstream::plain_files::PlainFiles;
use tempfile::TempDir;
use wal_core::{Lsn, Wal};
use wal_recovery::Recovery;
use wal_testkit::conformance::Medium;

/// What the kit has to know: how the storage is opened, and what lies beside it.
struct Directory(TempDir);

impl Medium for Directory {
    type Storage = PlainFiles;

    fn open(&self) -> PlainFiles {
        PlainFiles::create(self.0.path()).unwrap()
    }

    fn put_foreign(&self) -> Option<String> {
        std::fs::write(self.0.path().join("notes.txt"), "mine").unwrap();
        Some("notes.txt".into())
    }

    fn read_set_aside(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.0.path().join(name)).ok()
    }
}

wal_testkit::storage_conformance!(plain_files, Directory(tempfile::tempdir().unwrap()));

#[test]
fn a_log_on_plain_files_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let storage = PlainFiles::create(dir.path().join("log")).unwrap();
        let (recovered, _) = Recovery::new(storage).run().unwrap();
        let log = Wal::builder(DutyCycle { percent: 10, limit: 100 }).open(recovered).unwrap();
        for n in 0..100 {
            log.append(format!("{round}/{n}").as_bytes()).unwrap();
        }
        assert_eq!(log.iter(Lsn::ZERO).unwrap().count(), 100 * round);
        // Every other time the log is only dropped, and recovery has to do its work.
        if round % 2 == 0 {
            log.close().unwrap();
        }
    }
}
