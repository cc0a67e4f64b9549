//! `wal append`: every input format, every option.

use std::fs;

use crate::common::{self, Done, contents, run, run_with, seq, wal};
use tempfile::{TempDir, tempdir};

fn records(dir: &TempDir) -> Done {
    run(dir.path(), "dump DIR", b"").expect(0)
}

fn len32(records: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        out.extend_from_slice(&(record.len() as u32).to_le_bytes());
        out.extend_from_slice(record);
    }
    out
}

#[test]
fn lines_come_back() {
    let dir = tempdir().unwrap();
    let input = b"one\n\n\xff\xfe\r\nlast without newline";
    let done = run(dir.path(), "append DIR", input).expect(0);
    assert!(done.stdout.is_empty());
    assert_eq!(done.summary("records"), 4);
    assert_eq!(done.summary("bytes"), 3 + 3 + 20);
    assert_eq!(records(&dir).stdout, b"one\n\n\xff\xfe\r\nlast without newline\n");
}

#[test]
fn binary_comes_back() {
    let dir = tempdir().unwrap();
    let all: Vec<u8> = (0..=255).collect();
    let big = vec![0xa5; 3 << 20];
    let input = len32(&[b"", b"\xff\xff\xff\xff", &all, b"\n\n", &big, b""]);
    run(dir.path(), "append DIR --input len32", &input).expect(0);
    let done = run(dir.path(), "dump DIR --output len32", b"").expect(0);
    assert!(done.stdout == input);
}

#[test]
fn json_is_checked_and_stored_as_it_stands() {
    let dir = tempdir().unwrap();
    let input = b"{\"a\":  1}\n[true, null]\n\"\\u00e4\"\n";
    run(dir.path(), "append DIR --input jsonl", input).expect(0);
    assert_eq!(records(&dir).stdout, input);
    run(dir.path(), "append DIR --input jsonl --ack", b"5\n{\"a\":\n6\n")
        .expect(1)
        .says("wal: record 2 of the input: not JSON");
    assert_eq!(records(&dir).text().lines().next_back(), Some("5"));
}

#[test]
fn broken_len32_input_is_told_by_number_and_the_records_before_stay() {
    for (tail, message) in [
        (&b"\x05\0\0\0abc"[..], "record 3 of the input: the input ends after 3 of its 5 bytes"),
        (b"\x05\0", "record 3 of the input: the input ends after 2 of the 4 bytes of its length"),
        (
            b"\xff\xff\xff\xffxx",
            "record 3 of the input: its length is 4294967295 bytes, allowed are 8388608",
        ),
    ] {
        let dir = tempdir().unwrap();
        let input = [&len32(&[b"1", b"2"]), tail].concat();
        let done =
            run(dir.path(), "append DIR --input len32 --ack", &input).expect(1).says(message);
        assert_eq!(done.stdout, b"1\n2\n");
        assert_eq!(records(&dir).stdout, b"1\n2\n");
        run(dir.path(), "verify DIR", b"").expect(0);
    }
}

#[test]
fn acknowledgements_are_all_there_and_in_order() {
    for options in [
        "--sync always",
        "--sync group --writers 16",
        "--sync batch:100,5ms --writers 3",
        "--sync os --writers 16 --durability buffered",
        "--sync interval:10ms --writers 4 --batch 7",
        "--sync adaptive --writers 8 --durability durable --segment-size 4k",
    ] {
        let dir = tempdir().unwrap();
        let done = run(dir.path(), &format!("append DIR --ack {options}"), &seq(1, 500)).expect(0);
        assert!(done.stdout == seq(1, 500), "{options}: {}", done.text());
        let again = run(dir.path(), &format!("append DIR --ack {options}"), b"x\ny\n").expect(0);
        assert_eq!(again.text(), "501\n502\n", "{options}");
        let mut numbers: Vec<u64> =
            records(&dir).text().lines().filter_map(|line| line.parse().ok()).collect();
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(1..=500), "{options}");
    }
}

#[test]
fn one_writer_keeps_the_order_of_the_input() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR --sync os --segment-size 64KiB", &seq(1, 50_000)).expect(0);
    assert!(records(&dir).stdout == seq(1, 50_000));
}

#[test]
fn the_last_batch_may_be_shorter_and_a_broken_one_is_not_begun() {
    let dir = tempdir().unwrap();
    let done = run(dir.path(), "append DIR --batch 4 --ack", &seq(1, 10)).expect(0);
    assert_eq!(done.stdout, seq(1, 10));
    assert_eq!(records(&dir).stdout, seq(1, 10));
    let done = run(dir.path(), "append DIR --batch 2 --ack --input jsonl", b"11\n12\n13\n}\n");
    assert_eq!(done.expect(1).says("record 4 of the input").text(), "11\n12\n");
    assert_eq!(records(&dir).stdout, seq(1, 12));
}

#[test]
fn too_large_records_and_batches_are_refused_before_a_byte_is_written() {
    let dir = tempdir().unwrap();
    let input = [b"small\n".to_vec(), vec![b'x'; 4090], b"\nnever\n".to_vec()].concat();
    run(dir.path(), "append DIR --segment-size 4096 --ack", &input)
        .expect(1)
        .says("wal: record 2 of the input: append: too large")
        .says("hint: ");
    assert_eq!(records(&dir).stdout, b"small\n");
    let endless = vec![b'x'; 9 << 20];
    run(dir.path(), "append DIR", &endless)
        .expect(1)
        .says("record 1 of the input: the line is longer than 8388608 bytes");
    run(dir.path(), "append DIR --segment-size 4096 --batch 3000", &seq(1, 3000))
        .expect(1)
        .says("of the input: append: too large: the batch has");
    assert_eq!(records(&dir).stdout, b"small\n");
    run(dir.path(), "verify DIR", b"").expect(0);
}

#[test]
fn nothing_to_append_is_fine() {
    let dir = tempdir().unwrap();
    let log = dir.path().join("a/b/log");
    let done = run(&log, "append DIR --ack", b"").expect(0);
    assert_eq!(done.summary("records"), 0);
    assert!(done.stdout.is_empty());
    assert!(log.is_dir());
    assert!(run(&log, "dump DIR", b"").expect(0).stdout.is_empty());
}

#[test]
fn memory_needs_no_directory_and_leaves_nothing() {
    let dir = tempdir().unwrap();
    let mut command = wal();
    command.args(["append", "--storage", "memory", "--ack"]).current_dir(dir.path());
    let done = run_with(&mut command, b"a\nb\n").expect(0);
    assert_eq!(done.text(), "1\n2\n");
    let path = dir.path().join("unused");
    run(&path, "append DIR --storage memory", b"a\n").expect(0);
    assert!(contents(dir.path()).is_empty());
}

/// Each way to write gives a log that every command reads, and that every other way goes on with.
#[test]
fn storages_on_files_take_turns() {
    let dir = tempdir().unwrap();
    let mut expected = Vec::new();
    let mut ways = vec!["file", "mmap", "file", "mmap"];
    if cfg!(target_os = "linux") {
        ways.extend(["direct", "file", "direct", "mmap", "direct"]);
    }
    if common::may_use_uring() {
        ways.extend(["uring", "uring", "file", "uring", "direct", "uring", "mmap", "uring"]);
    }
    for (n, way) in ways.into_iter().enumerate() {
        let input = seq(n as u64 * 1000, n as u64 * 1000 + 999);
        let args = format!("append DIR --storage {way} --segment-size 16k --batch 10");
        run(dir.path(), &args, &input).expect(0);
        expected.extend_from_slice(&input);
        assert!(records(&dir).stdout == expected, "after {way}");
    }
    run(dir.path(), "verify DIR", b"").expect(0);
}

/// The same log with each setting of the last block, by turns; only padding takes a block for each record.
#[cfg(target_os = "linux")]
#[test]
fn the_last_block_is_rewritten_or_padded_as_asked() {
    let sizes = ["", " --last-block rewritten", " --last-block padded"].map(|option| {
        let dir = tempdir().unwrap();
        let args = format!("append DIR --storage direct --sync always{option}");
        run(dir.path(), &args, &seq(1, 50)).expect(0);
        assert!(records(&dir).stdout == seq(1, 50), "{option}");
        run(dir.path(), "verify DIR", b"").expect(0);
        let segments = common::segments(dir.path());
        segments.iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>()
    });
    assert!(sizes[0] == sizes[1] && sizes[0] < 3 * 4096, "{sizes:?}");
    assert!(sizes[2] > 50 * 4096 && sizes[2] < 54 * 4096, "{sizes:?}");
    let dir = tempdir().unwrap();
    let mut expected = Vec::new();
    for (n, how) in ["padded", "rewritten", "padded", "padded"].into_iter().enumerate() {
        let input = seq(n as u64 * 1000, n as u64 * 1000 + 999);
        let args = format!("append DIR --storage direct --last-block {how} --segment-size 64k");
        run(dir.path(), &format!("{args} --batch 10"), &input).expect(0);
        expected.extend_from_slice(&input);
        assert!(records(&dir).stdout == expected, "after {how}");
    }
    run(dir.path(), "verify DIR", b"").expect(0);
}

#[test]
fn segments_are_as_large_as_asked() {
    let dir = tempdir().unwrap();
    run(dir.path(), "append DIR --segment-size 8k --sync os", &seq(1, 5000)).expect(0);
    let segments = common::segments(dir.path());
    assert!(segments.len() > 10, "{}", segments.len());
    for path in segments {
        assert!(fs::metadata(path).unwrap().len() <= 8192 + 4096);
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_expected() {
    let dir = tempdir().unwrap();
    for (args, message) in [
        ("append DIR --sync sometimes", "unknown strategy in \"sometimes\""),
        ("append DIR --sync batch:0", "records is 0"),
        ("append DIR --writers 0", "0 is not in 1..=1024"),
        ("append DIR --batch 0", "0 is not in"),
        ("append DIR --segment-size 17", "segment_size is 17, allowed are 4096 to"),
        ("append DIR --segment-size big", "expected a size such as 65536, 64k or 1MiB"),
        ("append DIR --input xml", "possible values: lines, jsonl, len32"),
        ("append DIR --last-block torn", "possible values: rewritten, padded"),
        ("append DIR --last-block padded", "--last-block is for --storage direct"),
        ("append", "DIR"),
        ("append --storage file", "DIR is required"),
        ("grow DIR", "unrecognized subcommand"),
        ("", "Usage: wal"),
    ] {
        run(&dir.path().join("log"), args, b"x\n").expect(2).says(message);
    }
    assert!(contents(dir.path()).is_empty());
}
