//! Options of recovery and reading, on real files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::*;
use tempfile::TempDir;
use wal_core::*;
use wal_fs::FileStorage;
use wal_recovery::{Applied, Inspect, Recovery, Until, Verdict, Verify, View};

/// A log of many small segments, the last one not closed.
fn many_segments(dir: &Path) -> Content {
    let log = open_with(FileStorage::create(dir).unwrap(), lazy());
    for i in 0..60_u32 {
        log.append(&i.to_le_bytes().repeat(200)).unwrap();
    }
    let content = try_content(&log).unwrap();
    drop(log);
    content
}

/// Names and bytes of all segments.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let named = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    named
        .filter(|path| path.extension().is_some_and(|ext| ext == "wal"))
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect()
}

#[test]
fn the_time_limit_stops_a_recovery_of_files_that_then_are_as_before() {
    let dir = TempDir::new().unwrap();
    let whole = many_segments(dir.path());
    let before = files(dir.path());
    assert!(before.len() > 10, "{}", before.len());
    let run = |seconds| {
        let recovery = Recovery::new(FileStorage::create(dir.path()).unwrap()).threads(1);
        recovery.clock(Ticking::default()).time_limit(Duration::from_secs(seconds)).run()
    };
    let mut seconds = 0;
    let recovered = loop {
        match run(seconds) {
            Ok((recovered, _)) => break recovered,
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}"),
        }
        assert_eq!(files(dir.path()), before, "after {seconds} seconds");
        seconds += 1;
    };
    assert!(seconds > 5, "{seconds}");
    assert_eq!(content(recovered), whole);
}

#[test]
fn a_replay_of_files_steps_over_damage_and_tells_the_holes() {
    let dir = TempDir::new().unwrap();
    let whole = many_segments(dir.path());
    let name = files(dir.path()).into_keys().nth(4).unwrap();
    let first: u64 = name.trim_end_matches(".wal").parse().unwrap();
    let path = dir.path().join(name);
    let mut bytes = fs::read(&path).unwrap();
    // In the body of the second record.
    let at = offsets_of(&bytes, first)[1] + 100;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let view =
        |skip| View::open(FileStorage::create(dir.path()).unwrap()).unwrap().skip_corrupted(skip);
    let mut seen = Content::new();
    let error = view(false).records(Lsn::ZERO).find_map(Result::err).unwrap();
    assert_eq!((error.kind(), error.lsn()), (ErrorKind::Corrupt, Some(Lsn::new(first + 1))));
    let report = view(true)
        .replay(Lsn::ZERO, Until::End, |entry| {
            seen.push((entry.lsn.get(), entry.record.to_vec()));
            Ok(Applied::Applied)
        })
        .unwrap();
    let kept: Content = whole.iter().filter(|(lsn, _)| *lsn != first + 1).cloned().collect();
    assert_eq!(seen, kept);
    assert_eq!(report.holes.len(), 1, "{report:?}");
    let hole = &report.holes[0];
    assert_eq!((hole.after, hole.before), (Lsn::new(first), Lsn::new(first + 2)));
}

#[test]
fn files_are_recovered_by_many_threads_as_by_one() {
    let look = |threads: usize| {
        let dir = TempDir::new().unwrap();
        let whole = many_segments(dir.path());
        let inspect = Inspect::new(FileStorage::create(dir.path()).unwrap()).verify(Verify::All);
        let found = inspect.threads(threads).run().unwrap();
        let recovery = Recovery::new(FileStorage::create(dir.path()).unwrap());
        let (recovered, report) = recovery.verify(Verify::All).threads(threads).run().unwrap();
        assert!(report.segments.len() > 10);
        assert_eq!(report.verdict(), Verdict::Clean, "{report}");
        assert_eq!(content(recovered), whole);
        let layout: Vec<_> = report
            .segments
            .iter()
            .map(|s| (s.first_lsn, s.last_lsn, s.records, s.frames, s.data_bytes, s.sealed))
            .collect();
        let summary = (report.records, report.next_lsn, report.records_scanned, found.records);
        (whole, layout, summary, report.bytes_scanned)
    };
    let alone = look(1);
    for threads in [2, 4, 16] {
        assert_eq!(look(threads), alone, "{threads} threads");
    }
}

#[test]
fn numbers_go_on_when_a_log_is_emptied_behind_a_truncation_at_the_back() {
    let storage = MemoryStorage::new();
    let log = open_with(storage.clone(), lazy());
    for _ in 0..3 {
        log.append(b"x").unwrap();
    }
    log.truncate_after(Lsn::FIRST).unwrap();
    drop(log);
    // The newest segment is empty, and begins where the log does from now on.
    let log = open_with(storage.clone(), lazy());
    assert_eq!(log.truncate_before(Lsn::new(2)).unwrap(), Lsn::new(4));
    drop(log);
    assert_eq!(open_with(storage, lazy()).next_lsn(), Lsn::new(4));
}
