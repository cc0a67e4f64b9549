//! The strategy at work, on real files.

use downstream::DutyCycle;
use wal_core::{Durability, Lsn, Wal};
use wal_fs::FileStorage;
use wal_recovery::Recovery;

#[test]
fn what_was_appended_is_read_back_after_reopening() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("log");
    for round in 1..=3 {
        let (recovered, _) = Recovery::new(FileStorage::create(&dir).unwrap()).run().unwrap();
        let log = Wal::builder(DutyCycle { percent: 10, limit: 100 }).open(recovered).unwrap();
        for n in 0..1000 {
            log.append(format!("{round}/{n}").as_bytes()).unwrap();
        }
        let entries: Vec<_> = log.iter(Lsn::ZERO).unwrap().map(Result::unwrap).collect();
        assert_eq!(entries.len(), 1000 * round);
        assert_eq!(entries.last().unwrap().record, format!("{round}/999").as_bytes());
        // Every other time the log is only dropped, and recovery has to do its work.
        if round % 2 == 0 {
            log.close().unwrap();
        }
    }
}

#[test]
fn never_more_records_at_risk_than_claimed() {
    let temp = tempfile::tempdir().unwrap();
    let (recovered, _) = Recovery::new(FileStorage::create(temp.path()).unwrap()).run().unwrap();
    let log = Wal::builder(DutyCycle { percent: 1, limit: 50 }).open(recovered).unwrap();
    for _ in 0..2000 {
        let lsn = log.append(b"record").unwrap();
        assert!(lsn.since(log.durable_lsn()) <= 50);
    }
    assert!(log.stats().syncs < 1000, "{:?}", log.stats());
    let critical = log.append_with(b"critical", Durability::Durable).unwrap();
    assert!(log.durable_lsn() >= critical);
    log.close().unwrap();
}
