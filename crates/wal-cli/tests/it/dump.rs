//! `wal dump`: ranges, formats, following.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use crate::common::{self, contents, flip, run, segments, seq, wal};
use tempfile::tempdir;

#[test]
fn a_range_of_lsns() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR --segment-size 4k", &seq(1, 1000)).expect(0);
    let dump = |args: &str| run(dir.path(), &format!("dump DIR {args}"), b"").expect(0).stdout;
    assert!(dump("") == seq(1, 1000));
    assert!(dump("--from 500") == seq(500, 1000));
    assert!(dump("--to 3") == seq(1, 3));
    assert!(dump("--from 700 --to 700") == b"700\n");
    assert!(dump("--from 1001").is_empty());
    assert!(dump("--from 5 --to 4").is_empty());
}

#[test]
fn json_lines_have_the_documented_form() {
    let dir = tempdir().unwrap();
    let input = b"\x09\0\0\0t\"e\\x\xc3\xa4\n\t\x02\0\0\0\xff\x00\0\0\0\0";
    run(dir.path(), "append DIR --input len32", input).expect(0);
    let done = run(dir.path(), "dump DIR --output jsonl", b"").expect(0);
    let lines: Vec<&str> = done.text().lines().collect();
    assert_eq!(lines.len(), 3);
    for (n, (line, rest)) in lines
        .iter()
        .zip([r#""record":"t\"e\\xä\n\t"}"#, r#""record_base64":"/wA="}"#, r#""record":""}"#])
        .enumerate()
    {
        let start = format!("{{\"lsn\":{},\"time\":\"", n + 1);
        let line = line.strip_prefix(&start).expect("LSN, then time");
        let (time, record) = line.split_at("2026-01-31T12:00:00.000001Z".len());
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert_eq!(time.as_bytes()[19], b'.');
        assert_eq!(record, format!("\",{rest}"));
    }
}

#[test]
fn hex_shows_the_bytes() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR --input len32", b"\x03\0\0\0a\xff\n").expect(0);
    let done = run(dir.path(), "dump DIR --output hex", b"").expect(0);
    assert!(done.text().starts_with("LSN 1  20"), "{}", done.text());
    assert!(done.text().contains("00000000  61 ff 0a"), "{}", done.text());
    assert!(done.text().ends_with("|a..|\n"), "{}", done.text());
}

#[test]
fn a_dump_can_be_appended_again() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    run(one.path(), "append DIR", b"a\n\nb\xff\n").expect(0);
    let dump = run(one.path(), "dump DIR --output len32", b"").expect(0).stdout;
    run(two.path(), "append DIR --input len32 --batch 10", &dump).expect(0);
    assert_eq!(run(two.path(), "dump DIR --output len32", b"").expect(0).stdout, dump);
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> Running {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Running(child.spawn().unwrap())
}

#[test]
fn follow_prints_records_as_they_come() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR", &seq(1, 10)).expect(0);
    let mut follower = start(wal().arg("dump").arg(dir.path()).args(["--follow", "--from", "5"]));
    let mut lines = BufReader::new(follower.0.stdout.take().unwrap()).lines();
    let mut expect = |numbers: std::ops::RangeInclusive<u64>| {
        for n in numbers {
            assert_eq!(lines.next().unwrap().unwrap(), n.to_string());
        }
    };
    expect(5..=10);

    // One record at a time, over the ends of segments and from one writer to the next.
    for first in [11, 131] {
        let mut writer = start(wal().arg("append").arg(dir.path()).args([
            "--segment-size",
            "4k",
            "--sync",
            "os",
        ]));
        let mut stdin = writer.0.stdin.take().unwrap();
        for n in first..first + 120 {
            writeln!(stdin, "{n}").unwrap();
            expect(n..=n);
        }
        drop(stdin);
        assert!(writer.0.wait().unwrap().success());
    }
    assert!(follower.0.try_wait().unwrap().is_none(), "it goes on waiting");
}

#[test]
fn follow_ends_with_an_error_when_another_log_is_put_there() {
    let dir = tempdir().unwrap();
    let log = dir.path().join("log");
    run(&log, "append DIR", &seq(1, 10)).expect(0);
    let mut command = wal();
    command.arg("dump").arg(&log).arg("--follow").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut follower = Running(command.spawn().unwrap());
    let mut lines = BufReader::new(follower.0.stdout.take().unwrap()).lines();
    for n in 1..=10 {
        assert_eq!(lines.next().unwrap().unwrap(), n.to_string());
    }
    std::fs::remove_dir_all(&log).unwrap();
    run(&log, "append DIR", &seq(1, 1000)).expect(0);
    assert!(lines.next().is_none(), "none of the new records follows");
    let mut told = String::new();
    follower.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(follower.0.wait().unwrap().code(), Some(1), "{told}");
    assert!(told.contains("replaced") && told.contains("record 10 was the last"), "{told}");
    assert!(told.contains("hint: find out"), "{told}");
}

#[test]
fn follow_ends_at_the_last_one_asked_for() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR", &seq(1, 10)).expect(0);
    assert_eq!(run(dir.path(), "dump DIR --follow --to 7", b"").expect(0).stdout, seq(1, 7));
}

#[test]
fn dump_works_beside_a_writer() {
    let dir = tempdir().unwrap();
    let mut writer = start(wal().arg("append").arg(dir.path()).args([
        "--sync",
        "os",
        "--segment-size",
        "64k",
        "--writers",
        "4",
    ]));
    let mut stdin = writer.0.stdin.take().unwrap();
    let feeder = thread::spawn(move || {
        for chunk in seq(1, 400_000).chunks(5000) {
            if stdin.write_all(chunk).is_err() {
                return;
            }
            thread::sleep(Duration::from_micros(500));
        }
    });
    let mut seen = 0;
    while writer.0.try_wait().unwrap().is_none() {
        let done = run(dir.path(), "dump DIR --output jsonl", b"");
        if done.code == Some(1) && seen == 0 {
            continue; // not created yet
        }
        let done = done.expect(0);
        let lines = done.text().lines().count();
        assert!(lines >= seen, "{lines} after {seen}");
        seen = lines;
    }
    feeder.join().unwrap();
    assert_eq!(run(dir.path(), "dump DIR", b"").expect(0).text().lines().count(), 400_000);
}

#[test]
fn corruption_ends_it_with_4_and_the_records_before_are_printed() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR --segment-size 4k", &seq(1001, 2000)).expect(0);
    let first = &segments(dir.path())[0];
    flip(first, common::find(first, b"1010"));
    let before = contents(dir.path());
    let done =
        run(dir.path(), "dump DIR", b"").expect(4).says("wal: ").says("corrupt").says("hint: ");
    assert_eq!(done.stdout, seq(1001, 1009));
    assert!(contents(dir.path()) == before);
}

#[test]
fn a_torn_tail_is_told_and_no_failure() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR", &seq(1001, 1009)).expect(0);
    common::tear(dir.path(), b"1009");
    let done = run(dir.path(), "dump DIR", b"").expect(0).says("torn tail");
    assert_eq!(done.stdout, seq(1001, 1008));
}

#[test]
fn nobody_reads_any_more() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR --sync os", &seq(1, 100_000)).expect(0);
    let mut dump = Command::new(env!("CARGO_BIN_EXE_wal"));
    let mut child = dump
        .arg("dump")
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0));
    assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn an_emptied_log_and_a_range_that_is_gone() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR", &seq(1, 10)).expect(0);
    run(dir.path(), "truncate DIR --before 6", b"").expect(0).says("LSN 6 to 10");
    assert_eq!(run(dir.path(), "dump DIR", b"").expect(0).stdout, seq(6, 10));
    run(dir.path(), "dump DIR --from 3", b"")
        .expect(1)
        .says("not in the log")
        .says("starts at LSN 6")
        .says("hint: `wal stat DIR`");
    run(dir.path(), "truncate DIR --before 100", b"").expect(0).says("empty").says("LSN 11");
    assert!(run(dir.path(), "dump DIR", b"").expect(0).stdout.is_empty());
    assert!(!fs::exists(dir.path().join("x")).unwrap());
}
