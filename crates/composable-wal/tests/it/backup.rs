//! A log that is open is copied.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use composable_wal::fs::FileStorage;
use composable_wal::recovery::{Verdict, inspect};
use composable_wal::{Durability, ErrorKind, Lsn, Options, Settings, WalBackup, backup};

/// Says so also if an assertion fails, as whoever waits for the threads would wait for ever.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn what_was_appended_is_in_the_copy_while_threads_append_and_truncate() {
    let temp = tempfile::tempdir().unwrap();
    let settings = Settings::default().segment_size(4096);
    let (log, _) = Options::new().settings(settings).open(temp.path().join("log")).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    for _ in 0..32 {
                        log.append_with(b"some bytes of a record", Durability::Buffered).unwrap();
                    }
                    thread::sleep(Duration::from_millis(2));
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let keep = log.last_lsn().get().saturating_sub(10_000).max(1);
                log.truncate_before(Lsn::new(keep)).unwrap();
                thread::sleep(Duration::from_millis(50));
            }
        });
        for n in 0..5 {
            let copy = temp.path().join(format!("copy{n}"));
            // Nobody waited for it to be durable.
            let mine = log.append_with(b"mine", Durability::Buffered).unwrap();
            let report = log.backup(&copy).unwrap();
            assert!(report.last_lsn >= mine, "{report}, appended was {mine}");
            let found = inspect(FileStorage::open(&copy).unwrap()).unwrap();
            assert_eq!((found.verdict(), found.clean), (Verdict::Clean, true), "{found}");
            let count = report.last_lsn.get() - report.first_lsn.get() + 1;
            assert_eq!((report.records, found.records), (count, count), "a gap");
        }
    });
    log.close().unwrap();
}

#[test]
fn a_copy_is_no_log_until_it_is_whole() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, copy) = (temp.path().join("log"), temp.path().join("copy"));
    let (log, _) = composable_wal::open(&dir).unwrap();
    let lsn = log.append(b"one").unwrap();
    std::fs::create_dir(&copy).unwrap();
    std::fs::write(copy.join("file"), "").unwrap();
    assert_eq!(log.backup(&copy).unwrap_err().kind(), ErrorKind::Exists);
    std::fs::remove_file(copy.join("file")).unwrap();
    let report = backup(FileStorage::open(&dir).unwrap(), &copy).unwrap();
    assert_eq!((report.records, report.last_lsn), (1, lsn));
    let (restored, report) = composable_wal::open(&copy).unwrap();
    assert_eq!((report.clean, restored.log_id()), (true, log.log_id()));
    assert_eq!(restored.read(lsn).unwrap().record, "one");
}
