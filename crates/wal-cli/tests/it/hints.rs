//! Hints lead somewhere: from each damaged state, who does what the hint says comes to a log that can be appended to, or
//! to a hint that says what to do by hand.

use std::fs;
use std::path::Path;

use tempfile::{TempDir, tempdir};

use crate::common::{run, segments, seq, tear};

/// Three sessions in small segments.
fn log() -> TempDir {
    let dir = tempdir().unwrap();
    for session in 0..3 {
        let records = seq(1 + session * 300, 300 + session * 300);
        run(dir.path(), "append DIR --segment-size 4k", &records).expect(0);
    }
    dir
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

type Damage = (&'static str, fn(&Path));

/// What may become of a segment.
const OF_A_SEGMENT: &[Damage] = &[
    ("empty", |path| change(path, Vec::clear)),
    ("ten bytes", |path| change(path, |bytes| bytes.truncate(10))),
    ("half a header", |path| change(path, |bytes| bytes.truncate(256))),
    ("a header alone", |path| change(path, |bytes| bytes.truncate(512))),
    ("half", |path| change(path, |bytes| bytes.truncate(bytes.len() / 2))),
    ("no header", |path| change(path, |bytes| bytes[..512].fill(0))),
    ("no first block", |path| change(path, |bytes| bytes[..1024].fill(0))),
    ("zeros", |path| change(path, |bytes| bytes.fill(0))),
    ("a bit of the header", |path| change(path, |bytes| bytes[60] ^= 1)),
    ("a bit of the magic", |path| change(path, |bytes| bytes[3] ^= 1)),
    ("garbage for a header", |path| change(path, |bytes| bytes[..512].fill(0x5a))),
    ("garbage", |path| change(path, |bytes| bytes.fill(0x5a))),
    ("another version", |path| change(path, |bytes| bytes[8] = 3)),
    ("a bit of a record", |path| change(path, |bytes| bytes[700] ^= 1)),
    ("no end", |path| change(path, |bytes| bytes.truncate(bytes.len() - 20))),
    ("removed", |path| fs::remove_file(path).unwrap()),
];

/// Goes on as each hint says; the commands that were run, and whether the log can be appended to in the end.
fn follow(dir: &Path) -> (Vec<String>, bool, String) {
    let mut ran = Vec::new();
    let mut next = "append DIR".to_owned();
    loop {
        let done = run(dir, &next, b"more\n");
        ran.push(next.clone());
        if done.code == Some(0) {
            if next == "append DIR" {
                return (ran, true, String::new());
            }
            next = "append DIR".into();
            continue;
        }
        let hint = done.stderr.lines().find_map(|line| line.trim().strip_prefix("hint: "));
        let hint = hint.unwrap_or_else(|| panic!("{ran:?}: no hint in {}", done.stderr)).to_owned();
        // The command that repairs, among those that are named in backquotes.
        let named = hint.split('`').skip(1).step_by(2).map(str::to_owned);
        let repairs = named.filter_map(|command| command.strip_prefix("wal ").map(str::to_owned));
        match repairs.filter(|command| command.starts_with("repair")).last() {
            Some(command) => next = command,
            None => return (ran, false, hint),
        }
        assert!(!ran.contains(&next), "in a circle: {ran:?}, and then {next:?}: {hint}");
    }
}

fn check(what: &str, dir: &Path) -> bool {
    let (ran, opened, hint) = follow(dir);
    if opened {
        // An opening believes footers. What is rotten in front of them, only who reads it finds.
        if run(dir, "verify DIR", b"").code != Some(0) {
            run(dir, "repair DIR --mode salvage", b"").expect(0);
        }
        run(dir, "verify DIR", b"").expect(0);
        return true;
    }
    let by_hand = ["restore", "move them", "use the version"];
    assert!(by_hand.iter().any(|part| hint.contains(part)), "{what}: {ran:?} ends with {hint:?}");
    false
}

#[test]
fn each_chain_of_hints_ends() {
    let (mut opened, mut by_hand) = (Vec::new(), Vec::new());
    for &(what, damage) in OF_A_SEGMENT {
        let log = log();
        let count = segments(log.path()).len();
        for (place, at) in [("first", 0), ("middle", count / 2), ("last", count - 1)] {
            let copy = tempdir().unwrap();
            for path in segments(log.path()) {
                fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
            }
            damage(&segments(copy.path())[at]);
            let what = format!("{what}, {place}");
            let list = if check(&what, copy.path()) { &mut opened } else { &mut by_hand };
            list.push(what);
        }
        // The only one.
        let alone = tempdir().unwrap();
        run(alone.path(), "append DIR", &seq(1, 100)).expect(0);
        damage(&segments(alone.path())[0]);
        let what = format!("{what}, alone");
        let list = if check(&what, alone.path()) { &mut opened } else { &mut by_hand };
        list.push(what);
    }
    // What is no log, and what may be a newer one, is left to people.
    let left: Vec<&str> = by_hand.iter().map(String::as_str).collect();
    assert_eq!(left, ["garbage, alone"], "{} were opened", opened.len());
}

#[test]
fn a_torn_tail_needs_no_hint() {
    let dir = log();
    tear(dir.path(), b"900");
    assert_eq!(follow(dir.path()).0, ["append DIR"]);
}

/// Numbers that may have been given out are not given out again, and the old bytes are kept.
#[test]
fn the_only_segment_is_empty() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR", &seq(1, 100)).expect(0);
    let path = segments(dir.path()).pop().unwrap();
    change(&path, |bytes| bytes[..40].fill(0));
    let before = fs::read(&path).unwrap();
    run(dir.path(), "append DIR", b"more\n").expect(1).says("--mode salvage");
    let done = run(dir.path(), "repair DIR --mode salvage", b"").expect(0);
    assert!(done.text().contains("made anew"), "{}", done.text());
    assert!(run(dir.path(), "dump DIR", b"").expect(0).stdout == seq(1, 100));
    let copies = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let copies: Vec<_> =
        copies.filter(|path| path.extension().is_some_and(|e| e == "cut")).collect();
    assert!(copies.len() == 1 && before.starts_with(&fs::read(&copies[0]).unwrap()));

    change(&segments(dir.path())[0], Vec::clear);
    run(dir.path(), "append DIR", b"more\n").expect(4).says("--mode salvage");
    let done = run(dir.path(), "repair DIR --mode salvage", b"").expect(0);
    assert!(done.text().contains("a new log was begun"), "{}", done.text());
    let done = run(dir.path(), "append DIR --ack", b"more\n").expect(0);
    let lsn: u64 = done.text().trim().parse().unwrap();
    assert!(lsn > 101, "nobody knows how many numbers it had given out: {lsn}");
}
