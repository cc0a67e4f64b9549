//! `wal verify`, `wal repair`, `wal stat`, `wal truncate`: what they say, and what they leave.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use crate::common::{self, contents, find, flip, run, segments, seq, tear};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

/// Records 1001 to 2000 in several segments.
fn log() -> TempDir {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR --segment-size 4k", &seq(1001, 2000)).expect(0);
    assert!(segments(dir.path()).len() > 5);
    dir
}

fn json(dir: &Path, args: &str, code: i32) -> Value {
    let done = run(dir, args, b"").expect(code);
    assert_eq!(done.text().lines().count(), 1);
    serde_json::from_str(done.text()).unwrap()
}

fn dump(dir: &Path) -> Vec<u8> {
    run(dir, "dump DIR", b"").expect(0).stdout
}

/// A writer that is refused may still have left its process id in the lock file, and have become the owner.
fn all_but_lock(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let is_lock = |name: &str| name == "LOCK" || name.starts_with("OWNER-");
    contents(dir).into_iter().filter(|(name, _)| !is_lock(name)).collect()
}

/// Runs `verify` and makes sure that it changed nothing at all.
fn verify(dir: &Path, code: i32) -> common::Done {
    let before = contents(dir);
    json(dir, "verify DIR --json", code);
    let done = run(dir, "verify DIR", b"").expect(code);
    assert!(contents(dir) == before, "verify changed something");
    done
}

#[test]
fn a_sound_log_is_0() {
    let dir = log();
    assert!(verify(dir.path(), 0).text().contains("clean"));
    let report = json(dir.path(), "verify DIR --json", 0);
    assert_eq!(report["verdict"], "clean");
    assert_eq!(report["records"], 1000);
    assert_eq!(report["last_lsn"], 1000);
    assert_eq!(report["damages"], Value::Array(vec![]));
}

#[test]
fn a_torn_tail_is_3_and_can_be_repaired() {
    let dir = log();
    tear(dir.path(), b"2000");
    let done = verify(dir.path(), 3);
    assert!(done.text().contains("torn tail"), "{}", done.text());
    let damage = &json(dir.path(), "verify DIR --json", 3)["damages"][0];
    assert_eq!(damage["kind"], "torn-tail");
    assert_eq!(damage["lsn"], 1000);
    assert!(damage["offset"].as_u64().unwrap() > 512);
    assert!(!damage["reason"].as_str().unwrap().is_empty());

    let before = all_but_lock(dir.path());
    run(dir.path(), "repair DIR --mode strict", b"").expect(3).says("torn tail").says("hint: ");
    assert!(all_but_lock(dir.path()) == before);
    let report = json(dir.path(), "repair DIR --json", 0);
    assert_eq!(report["last_lsn"], 999);
    let copy = report["cut"][0]["saved_as"].as_str().unwrap();
    assert!(fs::metadata(dir.path().join(copy)).unwrap().len() > 0);
    verify(dir.path(), 0);
    assert!(dump(dir.path()) == seq(1001, 1999));
    run(dir.path(), "append DIR --ack", b"again\n").expect(0);
    verify(dir.path(), 0);
}

#[test]
fn corruption_is_4_with_the_place() {
    let dir = log();
    let path = &segments(dir.path())[2];
    let name: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let victim = 1000 + name + 5;
    let offset = find(path, victim.to_string().as_bytes());
    flip(path, offset);
    let done = verify(dir.path(), 4);
    assert!(done.text().contains(&format!("segment {name} ")), "{}", done.text());
    let report = json(dir.path(), "verify DIR --json", 4);
    let damage = &report["damages"][0];
    assert_eq!(damage["segment"], name);
    assert_eq!(damage["lsn"], name + 5);
    assert_eq!(damage["offset"], offset as u64 - 24);
    assert!(damage["reason"].as_str().unwrap().contains("checksum"));

    let before = all_but_lock(dir.path());
    run(dir.path(), "repair DIR", b"").expect(4).says("corrupt").says("hint: ");
    assert!(all_but_lock(dir.path()) == before);
}

/// A log whose writer was killed, with records 1001 to 1050, each known durable when the next was written.
fn killed() -> TempDir {
    let dir = tempdir().unwrap();
    let mut child = common::wal()
        .arg("append")
        .arg(dir.path())
        .args(["--ack", "--sync", "always"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(&seq(1001, 1050)).unwrap();
    let mut acks = vec![0; seq(1, 50).len()];
    child.stdout.as_mut().unwrap().read_exact(&mut acks).unwrap();
    assert!(acks == seq(1, 50));
    child.kill().unwrap();
    child.wait().unwrap();
    dir
}

#[test]
fn a_killed_writer_leaves_a_sound_log() {
    let dir = killed();
    assert!(verify(dir.path(), 0).text().contains("not closed cleanly"));
    assert_eq!(json(dir.path(), "stat DIR --json", 0)["clean"], false);
    let done = run(dir.path(), "append DIR --ack", b"1051\n").expect(0);
    assert_eq!(done.text(), "51\n");
    assert!(dump(dir.path()) == seq(1001, 1051));
}

#[test]
fn damage_in_an_open_segment_is_no_torn_tail() {
    let dir = killed();
    let segment = &segments(dir.path())[0];
    flip(segment, find(segment, b"1020"));
    assert!(verify(dir.path(), 4).text().contains("LSN 20"));
    // Appending is refused, in words, and changes nothing.
    let before = all_but_lock(dir.path());
    for args in ["append DIR", "truncate DIR --before 2", "repair DIR --mode strict"] {
        run(dir.path(), args, b"x\n").expect(4).says("corrupt").says("LSN 20").says("wal repair");
    }
    assert!(all_but_lock(dir.path()) == before);
}

#[test]
fn a_torn_tail_is_cut_by_appending_and_that_is_said() {
    let dir = killed();
    tear(dir.path(), b"1050");
    verify(dir.path(), 3);
    let done = run(dir.path(), "append DIR --ack", b"again\n").expect(0);
    assert!(done.stderr.contains("torn tail"), "{}", done.stderr);
    assert!(done.stderr.contains("cut "), "{}", done.stderr);
    verify(dir.path(), 0);
    assert!(dump(dir.path()) == [seq(1001, 1049), b"again\n".to_vec()].concat());
}

#[test]
fn salvage_keeps_what_is_readable() {
    let dir = log();
    let path = &segments(dir.path())[2];
    let name: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    flip(path, find(path, (1000 + name + 5).to_string().as_bytes()));
    let report = json(dir.path(), "repair DIR --mode salvage --json", 0);
    assert_eq!(report["holes"][0]["after"], name + 4);
    assert_eq!(report["holes"][0]["before"], name + 6);
    verify(dir.path(), 0);
    let expected: Vec<u8> = [seq(1001, 1000 + name + 4), seq(1000 + name + 6, 2000)].concat();
    assert!(dump(dir.path()) == expected);
    assert!(contents(dir.path()).iter().any(|(name, _)| name.ends_with(".cut")));
    let done = run(dir.path(), "append DIR --ack", b"next\n").expect(0);
    assert_eq!(done.text(), "1001\n");
}

#[test]
fn point_in_time_ends_before_the_damage_or_where_asked() {
    let dir = log();
    let path = &segments(dir.path())[2];
    let name: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    flip(path, find(path, (1000 + name + 5).to_string().as_bytes()));
    run(dir.path(), "repair DIR --mode point-in-time", b"").expect(0);
    verify(dir.path(), 0);
    assert!(dump(dir.path()) == seq(1001, 1000 + name + 4));

    run(dir.path(), "repair DIR --until 7", b"").expect(0);
    assert!(dump(dir.path()) == seq(1001, 1007));
    verify(dir.path(), 0);
    run(dir.path(), "repair DIR --until 2000-01-01T00:00:00Z", b"").expect(0);
    assert!(dump(dir.path()).is_empty());
    verify(dir.path(), 0);
    run(dir.path(), "repair DIR --until yesterday", b"").expect(2).says("2026-01-31T12:00:00");
    run(dir.path(), "repair DIR --mode hope", b"").expect(2).says("salvage");
}

#[test]
fn a_point_in_time_by_the_clock() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR", b"early\n").expect(0);
    std::thread::sleep(std::time::Duration::from_millis(5));
    run(dir.path(), "append DIR", b"late\n").expect(0);
    let done = run(dir.path(), "dump DIR --output jsonl --to 1", b"").expect(0);
    let line: Value = serde_json::from_str(done.text()).unwrap();
    let time = line["time"].as_str().unwrap();
    run(dir.path(), &format!("repair DIR --until {time}"), b"").expect(0);
    assert_eq!(dump(dir.path()), b"early\n");
}

#[test]
fn stat_shows_the_log() {
    let dir = log();
    let before = contents(dir.path());
    let text = run(dir.path(), "stat DIR", b"").expect(0);
    for part in ["codec raw", "1000: LSN 1 to 1000", "closed cleanly", "first LSN"] {
        assert!(text.text().contains(part), "no {part:?} in {}", text.text());
    }
    let report = json(dir.path(), "stat DIR --json", 0);
    assert_eq!(report["segments"].as_array().unwrap().len(), segments(dir.path()).len());
    assert_eq!(report["clean"], true);
    assert_eq!(report["codec_name"], "raw");
    assert!(report["bytes"].as_u64().unwrap() > 4096);
    assert!(contents(dir.path()) == before);
}

#[test]
fn truncation_at_both_ends() {
    let dir = log();
    run(dir.path(), "truncate DIR --before 500", b"").expect(0).says("LSN 500 to 1000");
    run(dir.path(), "truncate DIR --after 600", b"")
        .expect(0)
        .says("LSN 500 to 600")
        .says("LSN 1001");
    assert!(dump(dir.path()) == seq(1500, 1600));
    verify(dir.path(), 0);
    let done = run(dir.path(), "append DIR --ack", b"x\n").expect(0);
    assert_eq!(done.text(), "1001\n");
    let stat = json(dir.path(), "stat DIR --json", 0);
    assert_eq!((&stat["first_lsn"], &stat["records"]), (&500.into(), &102.into()));
    run(dir.path(), "truncate DIR --after 3", b"").expect(1).says("not in the log");
    run(dir.path(), "truncate DIR", b"").expect(2);
    run(dir.path(), "truncate DIR --before 1 --after 2", b"").expect(2);
}

/// The exit code with a standard output whose reader is gone before the command starts, and standard
/// error.
#[cfg(unix)]
fn unread(dir: &Path, args: &str) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = common::wal();
    for arg in args.split(' ') {
        if arg == "DIR" {
            command.arg(dir)
        } else {
            command.arg(arg)
        };
    }
    let output = command.stdin(Stdio::null()).stdout(writer).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
#[cfg(unix)]
fn the_exit_code_is_the_verdict_though_nobody_reads_it() {
    let silent = |dir: &Path, args: &str, code| {
        assert_eq!(unread(dir, args), (Some(code), String::new()), "{args}");
    };
    let (sound, torn, corrupt, headless) = (log(), log(), log(), tempdir().unwrap());
    tear(torn.path(), b"2000");
    let path = &segments(corrupt.path())[2];
    flip(path, 300);
    fs::write(headless.path().join("00000000000000000001.wal"), "").unwrap();
    for json in ["", " --json"] {
        for (dir, code) in [(&sound, 0), (&torn, 3), (&corrupt, 4)] {
            silent(dir.path(), &format!("verify DIR{json}"), code);
            silent(dir.path(), &format!("stat DIR{json}"), 0);
        }
        // Nothing can be scanned, and that is still said where somebody may read it.
        let (code, stderr) = unread(headless.path(), &format!("verify DIR{json}"));
        assert_eq!(code, Some(4), "{stderr}");
        assert!(stderr.contains("corrupt"), "{stderr}");
        let (code, stderr) = unread(corrupt.path(), &format!("repair DIR{json}"));
        assert_eq!(code, Some(4), "{stderr}");
        assert!(stderr.contains("corrupt"), "{stderr}");
        // Done is done, read or not.
        silent(sound.path(), &format!("repair DIR{json}"), 0);
    }
    silent(torn.path(), "repair DIR --json", 0);
    verify(torn.path(), 0);
    silent(sound.path(), "dump DIR", 0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_directory_whose_name_is_not_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let temp = tempdir().unwrap();
    let name = |bytes| temp.path().join(std::ffi::OsStr::from_bytes(bytes));
    let dir = name(b"lo\xffg");
    run(&dir, "append DIR", &seq(1, 5)).expect(0);
    for args in ["verify DIR --json", "stat DIR --json", "repair DIR --json"] {
        let report = json(&dir, args, 0);
        assert!(report["dir"].as_str().unwrap().ends_with("/lo\u{fffd}g"), "{args}: {report}");
        assert_eq!(report["records"], 5, "{args}");
    }
    // And one that is no log.
    let none = name(b"no\xff");
    let report = json(&none, "verify DIR --json", 1);
    assert!(report["dir"].as_str().unwrap().ends_with("/no\u{fffd}"), "{report}");
    assert_eq!(report["verdict"], "unknown");
}

#[test]
fn what_salvage_cannot_repair_is_not_to_be_salvaged() {
    let (dir, other) = (log(), log());
    fs::copy(&segments(other.path())[2], &segments(dir.path())[2]).unwrap();
    let before = all_but_lock(dir.path());
    for mode in ["strict", "torn-tail"] {
        let done = run(dir.path(), &format!("repair DIR --mode {mode}"), b"").expect(4);
        done.says("hint: ").says("--mode salvage");
    }
    let done = run(dir.path(), "repair DIR --mode salvage", b"").expect(4).says("hint: restore");
    assert!(!done.stderr.contains("--mode salvage"), "{}", done.stderr);
    // The hint says so.
    assert!(done.stderr.contains("untouched"), "{}", done.stderr);
    assert!(all_but_lock(dir.path()) == before);
}
