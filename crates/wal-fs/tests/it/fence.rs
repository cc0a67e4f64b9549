//! What holds if the lock does not: an owner that has lost the log acknowledges nothing more, and what it acknowledged
//! is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wal_core::{
    Always, Durability, Error, ErrorKind, LogStorage, Lsn, MemoryStorage, Result, Settings, Wal,
};
use wal_fs::{DirectStorage, FileStorage, MmapStorage};
use wal_recovery::{Recovery, View};

type Storage = Arc<dyn LogStorage>;
type Make = fn(&Path) -> Option<Storage>;

/// All storages on files that this machine has.
const STORAGES: &[(&str, Make)] = &[
    ("file", |dir| Some(Arc::new(FileStorage::create(dir).unwrap()))),
    ("direct", |dir| match DirectStorage::create(dir) {
        Ok(storage) => Some(Arc::new(storage)),
        Err(error) => skipped("direct", &error),
    }),
    ("mmap", |dir| Some(Arc::new(MmapStorage::create(dir).unwrap()))),
    #[cfg(all(target_os = "linux", feature = "uring"))]
    ("uring", |dir| match wal_fs::UringStorage::create(dir) {
        Ok(storage) => Some(Arc::new(storage)),
        Err(error) => skipped("uring", &error),
    }),
];

fn skipped(what: &str, error: &Error) -> Option<Storage> {
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{}", error.chain());
    eprintln!("skipped: {what}: {error}");
    None
}

fn open(storage: Storage) -> Result<Wal> {
    let (recovered, _) = Recovery::new(storage).threads(1).run()?;
    Wal::builder(Always).settings(Settings::default().segment_size(64 << 10)).open(recovered)
}

/// The same, without a thread that syncs in the background.
fn open_quietly(storage: Storage) -> Result<Wal> {
    let (recovered, _) = Recovery::new(storage).threads(1).run()?;
    Wal::builder(Always).manual_driver().open(recovered)
}

/// Runs a test on every storage: on a log of one record, in a directory of its own.
fn each(test: impl Fn(&str, &Path, Make, Wal)) {
    for &(name, make) in STORAGES {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("log");
        let Some(storage) = make(&dir) else { continue };
        let log = open(storage).unwrap();
        log.append(b"first").unwrap();
        test(name, &dir, make, log);
    }
}

fn records(dir: &Path) -> Vec<String> {
    let view = View::open(FileStorage::open(dir).unwrap()).unwrap();
    let text = |record: &[u8]| String::from_utf8(record.to_vec()).unwrap();
    view.records(Lsn::ZERO).map(|entry| text(&entry.unwrap().record)).collect()
}

fn named(dir: &Path, which: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        entries.filter(|path| which(path.file_name().unwrap().to_str().unwrap())).collect();
    found.sort();
    found
}

/// The log is lost: the next durable append says so, and every one behind it.
fn is_lost(storage: &str, log: &Wal, words: &str) {
    let error = log.append(b"not any more").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LostOwnership, "{storage}: {}", error.chain());
    assert!(error.to_string().contains(words), "{storage}: {error}");
    let later = log.append(b"nor this").unwrap_err();
    assert_eq!(later.kind(), ErrorKind::Poisoned, "{storage}: {later}");
    assert!(later.chain().to_string().contains("lost ownership"), "{storage}: {}", later.chain());
}

#[test]
fn a_second_opener_behind_a_removed_lock_takes_the_log_over() {
    each(|name, dir, make, log| {
        fs::remove_file(dir.join("LOCK")).unwrap();
        let second = open(make(dir).unwrap()).unwrap();
        assert_eq!(second.append(b"second").unwrap(), Lsn::new(2), "{name}");
        is_lost(name, &log, "another opener has taken the log over");
        assert_eq!(second.append(b"third").unwrap(), Lsn::new(3), "{name}");
        drop(log);
        second.close().unwrap();
        drop(second);
        let log = open(make(dir).unwrap()).unwrap();
        assert_eq!(log.last_lsn(), Lsn::new(3), "{name}");
        drop(log);
        assert_eq!(records(dir), ["first", "second", "third"], "{name}");
    });
}

#[test]
fn a_removed_lock_is_noticed() {
    each(|name, dir, _, log| {
        fs::remove_file(dir.join("LOCK")).unwrap();
        is_lost(name, &log, "the lock was removed or replaced");
    });
}

#[test]
fn removed_segments_are_noticed() {
    each(|name, dir, _, log| {
        for segment in named(dir, |name| name.ends_with(".wal")) {
            fs::remove_file(segment).unwrap();
        }
        is_lost(name, &log, "the segment that is written was removed or replaced");
    });
}

#[test]
fn a_moved_directory_is_noticed() {
    each(|name, dir, _, log| {
        fs::rename(dir, dir.with_extension("moved")).unwrap();
        is_lost(name, &log, "another opener has taken the log over");
        fs::rename(dir.with_extension("moved"), dir).unwrap();
        assert_eq!(records(dir)[0], "first", "{name}");
    });
}

#[test]
fn records_that_are_only_written_are_refused_soon() {
    each(|name, dir, make, log| {
        drop(log);
        let log = open_quietly(make(dir).unwrap()).unwrap();
        log.append(b"durable").unwrap();
        fs::remove_file(dir.join("LOCK")).unwrap();
        let mut appended = 0;
        let error = loop {
            match log.append_with(b"written", Durability::Written) {
                Ok(_) => appended += 1,
                Err(error) => break error,
            }
            // Slow enough for the bound in writes to count.
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(error.kind(), ErrorKind::LostOwnership, "{name}: {}", error.chain());
        assert!(appended <= 64, "{name}: {appended} records were acknowledged");
    });
}

#[test]
fn a_truncation_by_an_owner_that_lost_the_log_removes_nothing() {
    each(|name, dir, make, log| {
        log.append(b"second").unwrap();
        fs::remove_file(dir.join("LOCK")).unwrap();
        let second = open(make(dir).unwrap()).unwrap();
        second.append(b"third").unwrap();
        let error = log.truncate_before(Lsn::new(2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LostOwnership, "{name}: {}", error.chain());
        drop(log);
        drop(second);
        drop(open(make(dir).unwrap()).unwrap());
        assert_eq!(records(dir), ["first", "second", "third"], "{name}");
    });
}

#[test]
fn each_opening_is_another_owner() {
    each(|name, dir, make, log| {
        let owners = || named(dir, |name| name.starts_with("OWNER-"));
        assert_eq!(owners(), [dir.join("OWNER-00000000000000000001")], "{name}");
        log.close().unwrap();
        drop(log);
        let log = open(make(dir).unwrap()).unwrap();
        assert_eq!(owners(), [dir.join("OWNER-00000000000000000002")], "{name}");
        log.append(b"second").unwrap();
        drop(log);
        // A copy of nothing but the segments: what they say counts.
        let copy = dir.with_extension("copy");
        fs::create_dir(&copy).unwrap();
        for segment in named(dir, |name| name.ends_with(".wal")) {
            fs::copy(&segment, copy.join(segment.file_name().unwrap())).unwrap();
        }
        drop(open(make(&copy).unwrap()).unwrap());
        let copied = named(&copy, |name| name.starts_with("OWNER-"));
        assert_eq!(copied, [copy.join("OWNER-00000000000000000003")], "{name}");
    });
}

/// Two files say who owns the log: whichever of the two owners still writes has lost it.
#[test]
fn an_opening_leaves_one_owner() {
    each(|name, dir, make, log| {
        let owners = || named(dir, |name| name.starts_with("OWNER-"));
        assert_eq!(owners(), [dir.join("OWNER-00000000000000000001")], "{name}");
        fs::write(dir.join("OWNER-00000000000000000007"), "from another directory").unwrap();
        fs::remove_file(dir.join("LOCK")).unwrap();
        let second = open(make(dir).unwrap()).unwrap();
        assert_eq!(owners(), [dir.join("OWNER-00000000000000000008")], "{name}");
        is_lost(name, &log, "another opener has taken the log over");
        second.append(b"second").unwrap();
        drop((log, second));
        assert_eq!(records(dir), ["first", "second"], "{name}");
    });
}

/// A backup made of hard links grows by what is appended before that is seen, and by nothing else.
#[test]
fn a_second_name_of_the_segment_begins_a_new_one() {
    each(|name, dir, _, log| {
        let segments = || named(dir, |name| name.ends_with(".wal"));
        let [first] = &segments()[..] else { panic!("{name}: {:?}", segments()) };
        let backup = dir.with_extension("backup");
        fs::hard_link(first, &backup).unwrap();
        log.append(b"second").unwrap();
        assert_eq!(segments().len(), 1, "{name}: it is seen behind the sync");
        log.append(b"third").unwrap();
        assert_eq!(segments().len(), 2, "{name}");
        let before = fs::read(&backup).unwrap();
        log.append(b"fourth").unwrap();
        assert_eq!(fs::read(&backup).unwrap(), before, "{name}");
        assert_eq!(segments().len(), 2, "{name}: the new one has one name");
        log.close().unwrap();
        assert_eq!(records(dir), ["first", "second", "third", "fourth"], "{name}");
    });
}

#[test]
fn a_storage_without_a_fence_needs_none() {
    let storage = MemoryStorage::new();
    let log = open(Arc::new(storage)).unwrap();
    log.append(b"record").unwrap();
    log.close().unwrap();
}

#[cfg(unix)]
mod forked {
    use super::*;

    #[expect(unsafe_code, reason = "there is no safe call for it")]
    // SAFETY: POSIX declares the functions so.
    unsafe extern "C" {
        fn fork() -> i32;
        fn _exit(status: i32) -> !;
        fn alarm(seconds: u32) -> u32;
        fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    }

    /// Runs something in a forked process; whether it said yes. There is nothing but this thread in it.
    #[expect(unsafe_code, reason = "there is no safe call for it")]
    fn in_a_fork(run: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child uses what this thread alone has used, allocates with an allocator that survives a fork,
        // and ends without running anything of the test harness.
        unsafe {
            match fork() {
                0 => {
                    let run = std::panic::AssertUnwindSafe(run);
                    let fine = std::panic::catch_unwind(run).unwrap_or(false);
                    _exit(if fine { 0 } else { 1 })
                }
                child => {
                    assert!(child > 0, "fork");
                    let mut status = -1;
                    assert_eq!(waitpid(child, &raw mut status, 0), child);
                    status == 0
                }
            }
        }
    }

    #[test]
    fn the_child_of_a_fork_writes_nothing_and_frees_no_lock() {
        let temp = tempfile::tempdir().unwrap();
        let storage = || Arc::new(FileStorage::create(temp.path()).unwrap()) as Storage;
        let mut log = Some(open_quietly(storage()).unwrap());
        log.as_ref().unwrap().append(b"parent").unwrap();
        // Placed, and not written.
        log.as_ref().unwrap().append_with(b"buffered", Durability::Buffered).unwrap();
        let told = in_a_fork(|| {
            let log = log.take().unwrap();
            let error = log.append(b"child").unwrap_err();
            let is_told = error.kind() == ErrorKind::LostOwnership
                && error.to_string().contains("of which this one is a fork");
            drop(log);
            is_told
        });
        assert!(told, "the child is told that the log is not its own");
        let locked = open_quietly(storage()).unwrap_err();
        assert_eq!(locked.kind(), ErrorKind::Locked, "the child freed no lock: {locked}");
        let log = log.unwrap();
        assert_eq!(log.append(b"parent again").unwrap(), Lsn::new(3));
        log.close().unwrap();
        assert_eq!(records(temp.path()), ["parent", "buffered", "parent again"]);
    }

    /// No append is taken, and none waits for ever: for a thread of the parent, or for a lock that one held.
    #[test]
    fn every_call_in_a_child_is_refused_at_once() {
        let temp = tempfile::tempdir().unwrap();
        let log = open(Arc::new(FileStorage::create(temp.path()).unwrap())).unwrap();
        log.append(b"parent").unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let told = std::thread::scope(|scope| {
            // Others are in the middle of whatever it is when the process forks.
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        log.append(b"beside").unwrap();
                    }
                });
            }
            let told = (0..50).all(|_| {
                let submitted = log.submit(b"submitted").unwrap();
                in_a_fork(|| {
                    // SAFETY: it ends a child that waits for what never comes.
                    #[expect(unsafe_code, reason = "there is no safe call for it")]
                    unsafe {
                        alarm(10);
                    }
                    let lost = |error: Error| error.kind() == ErrorKind::LostOwnership;
                    let task = log.clone().asynchronous();
                    let buffered = Durability::Buffered;
                    // Unless a commit of the others has covered it before.
                    submitted.wait().map_or_else(lost, |_| true)
                        && log.append_with(b"child", buffered).is_err_and(lost)
                        && log.append_with(b"child", Durability::Written).is_err_and(lost)
                        && log.append(b"child").is_err_and(lost)
                        && log.submit(b"child").is_err_and(lost)
                        && wal_core::block_on(task.append(b"child")).is_err_and(lost)
                        && wal_core::block_on(task.sync()).is_err_and(lost)
                        && log.sync().is_err_and(lost)
                        && log.wait_durable(Lsn::MAX).is_err_and(lost)
                        && log.truncate_before(Lsn::new(2)).is_err_and(lost)
                        && log.truncate_after(Lsn::new(1)).is_err_and(lost)
                        && log.close().is_err_and(lost)
                })
            });
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            told
        });
        assert!(told, "a call in the child was taken, or waited");
        log.close().unwrap();
        assert!(records(temp.path()).iter().all(|record| record != "child"));
    }

    #[test]
    fn a_log_with_a_driver_may_be_dropped_in_a_child() {
        let temp = tempfile::tempdir().unwrap();
        let storage = || Arc::new(FileStorage::create(temp.path()).unwrap()) as Storage;
        let mut log = Some(open(storage()).unwrap());
        log.as_ref().unwrap().append(b"parent").unwrap();
        let dropped = in_a_fork(|| {
            drop(log.take());
            true
        });
        assert!(dropped, "nothing panics");
        let log = log.unwrap();
        assert_eq!(log.append(b"parent again").unwrap(), Lsn::new(2));
        log.close().unwrap();
        assert_eq!(records(temp.path()), ["parent", "parent again"]);
    }

    #[test]
    fn a_child_that_goes_on_without_its_parent_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let storage = || Arc::new(FileStorage::create(temp.path()).unwrap()) as Storage;
        let log = open_quietly(storage()).unwrap();
        log.append(b"parent").unwrap();
        let told = in_a_fork(|| {
            let lost = |error: Error| {
                matches!(error.kind(), ErrorKind::LostOwnership | ErrorKind::Poisoned)
            };
            log.append(b"child").is_err_and(lost) && log.close().is_err_and(lost)
        });
        assert!(told, "neither an append nor closing is acknowledged in the child");
        log.close().unwrap();
        assert_eq!(records(temp.path()), ["parent"]);
    }
}
