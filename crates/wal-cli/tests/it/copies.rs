//! Copies of a log that are not whole.

use std::fs;

use tempfile::{TempDir, tempdir};

use crate::common::{run, segments, seq};

/// A copy of a log without some of its segments.
fn without(which: impl Fn(usize, usize) -> bool) -> TempDir {
    let (dir, copy) = (tempdir().unwrap(), tempdir().unwrap());
    run(dir.path(), "append DIR --segment-size 4k", &seq(1, 1000)).expect(0);
    let paths = segments(dir.path());
    for (at, path) in paths.iter().enumerate() {
        if !which(at, paths.len()) {
            fs::copy(path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    copy
}

#[test]
fn a_copy_without_its_newest_segment_is_not_clean() {
    let copy = without(|at, count| at + 1 == count);
    let done = run(copy.path(), "verify DIR", b"").expect(5);
    for part in ["incomplete, not closed cleanly", "the end may be missing", "a crash"] {
        assert!(done.text().contains(part), "no {part:?} in {}", done.text());
    }
    let report: serde_json::Value =
        serde_json::from_str(run(copy.path(), "verify DIR --json", b"").expect(5).text()).unwrap();
    assert_eq!(report["verdict"], "incomplete");
    assert_eq!(report["findings"][0]["kind"], "end");
    let stat = run(copy.path(), "stat DIR", b"").expect(0);
    assert!(stat.text().contains("the end may be missing"), "{}", stat.text());
    run(copy.path(), "dump DIR", b"").expect(0).says("the end may be missing");
    // Whether it is missing nobody can say: it is opened, and that is told.
    run(copy.path(), "append DIR", b"more\n").expect(0).says("the end may be missing");
    run(copy.path(), "verify DIR", b"").expect(0);
}

#[test]
fn a_copy_without_its_oldest_segment_is_not_clean() {
    let copy = without(|at, _| at == 0);
    let done = run(copy.path(), "verify DIR", b"").expect(5);
    assert!(done.text().contains("the front may be missing, from LSN 1 on"), "{}", done.text());
    let stat = run(copy.path(), "stat DIR --json", b"").expect(0);
    let report: serde_json::Value = serde_json::from_str(stat.text()).unwrap();
    assert_eq!(report["findings"][0]["kind"], "front");
    run(copy.path(), "append DIR", b"more\n").expect(0).says("the front may be missing");
}

#[test]
fn a_copy_without_a_segment_in_the_middle_is_corrupt() {
    let copy = without(|at, count| at == count / 2);
    run(copy.path(), "verify DIR", b"").expect(4);
    run(copy.path(), "append DIR", b"more\n").expect(4);
}

/// A truncation, wherever it cuts, is no missing front.
#[test]
fn a_log_that_was_truncated_is_whole() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR --segment-size 4k", &seq(1, 1000)).expect(0);
    let names: Vec<u64> = segments(dir.path())
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().parse().unwrap())
        .collect();
    for lsn in [names[1], names[2] - 1, names[3] + 1, 1000, 1001] {
        run(dir.path(), &format!("truncate DIR --before {lsn}"), b"").expect(0);
        run(dir.path(), "verify DIR", b"").expect(0);
        let report = run(dir.path(), "stat DIR --json", b"").expect(0);
        let report: serde_json::Value = serde_json::from_str(report.text()).unwrap();
        assert_eq!(report["first_lsn"], lsn, "{report}");
    }
}
