//! How often the command really syncs: by its own count, and by the system calls that it makes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::{Done, run, run_with, seq, skip};
use tempfile::tempdir;
use wal_core::{Clock, SystemClock};

/// Opening and closing add a fixed number.
fn syncs(dir: &Path, options: &str, records: u64) -> u64 {
    let done = run(dir, &format!("append DIR {options}"), &seq(1, records)).expect(0);
    assert_eq!(done.summary("records"), records);
    done.summary("syncs")
}

#[test]
fn always_with_one_writer_is_one_sync_per_append() {
    let count = |records| syncs(tempdir().unwrap().path(), "--sync always", records);
    let (few, many) = (count(10), count(210));
    assert_eq!(many - few, 200);
    assert!(few <= 13, "{few} syncs for 10 appends, opening and closing");
}

#[test]
fn always_with_batches_is_one_sync_per_batch() {
    let count = |records| syncs(tempdir().unwrap().path(), "--sync always --batch 10", records);
    assert_eq!(count(500) - count(100), 40);
}

#[test]
fn group_with_16_writers_shares_syncs() {
    let dir = tempdir().unwrap();
    let count = syncs(dir.path(), "--sync group --writers 16", 4000);
    println!("group, 16 writers: {count} syncs for 4000 appends");
    assert!(count < 2000, "{count} syncs for 4000 appends");
}

/// One sync for each 8 records, while there are 8 who write. A machine so busy that a window ends before
/// 8 came may need more, and so may the end, when some writers have nothing left to do.
#[test]
fn group_with_a_wait_and_a_limit_collects_that_many() {
    let dir = tempdir().unwrap();
    let count = syncs(dir.path(), "--sync group:50ms,8 --writers 16", 4000);
    println!("group:50ms,8, 16 writers: {count} syncs for 4000 appends");
    assert!(count <= 4000 / 8 + 150, "{count} syncs for 4000 appends");
}

/// Where the limit is the number of writers, each sync waits for all of them. Without the wait, most would
/// carry half of them.
#[test]
fn group_with_a_wait_brings_all_writers_together() {
    for writers in [2, 16] {
        let dir = tempdir().unwrap();
        let options = format!("--sync group:1s,{writers} --writers {writers}");
        let count = syncs(dir.path(), &options, 200 * writers);
        println!("group:1s,{writers}, {writers} writers: {count} syncs for 200 appends of each");
        // Opening and closing add a few; a machine that stops for a second, more.
        assert!((200..=260).contains(&count), "{writers} writers: {count} syncs");
    }
}

/// Nobody else comes, so every append waits for as long as it was told to.
#[test]
fn group_with_a_wait_and_one_writer_waits() {
    let dir = tempdir().unwrap();
    let clock = SystemClock::new();
    let start = clock.monotonic();
    let count = syncs(dir.path(), "--sync group:20ms", 20);
    let took = clock.monotonic() - start;
    assert!(count >= 20, "{count} syncs for 20 appends");
    assert!(took >= Duration::from_millis(20 * 20 * 8 / 10), "20 waits of 20 ms took {took:?}");
}

/// It takes one record to reach a limit of 1: should it wait, this takes a minute for each.
#[test]
fn group_with_a_wait_does_not_wait_for_more_than_its_limit() {
    let dir = tempdir().unwrap();
    let count = syncs(dir.path(), "--sync group:1min,1", 20);
    assert!((20..=23).contains(&count), "{count} syncs for 20 appends");
}

#[test]
fn os_syncs_only_when_it_closes() {
    let dir = tempdir().unwrap();
    let count = syncs(dir.path(), "--sync os", 20_000);
    assert!(count <= 3, "{count} syncs");
}

/// The system calls that write or sync, one a line, without trusting the command's own numbers. `None`
/// where they cannot be traced.
fn traced(options: &str, records: u64) -> Option<Vec<String>> {
    if Command::new("strace").arg("-V").output().is_err() {
        skip("strace is not installed");
        return None;
    }
    let temp = tempdir().unwrap();
    let trace = temp.path().join("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-e", "trace=write,pwrite64,pwritev,pwritev2,fdatasync,fsync", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_wal"))
        .arg("append")
        .arg(temp.path().join("log"))
        .args(options.split(' '));
    let done: Done = run_with(&mut command, &seq(1, records));
    if done.stderr.contains("ptrace") {
        skip("tracing is not allowed here");
        return None;
    }
    done.expect(0);
    Some(std::fs::read_to_string(&trace).unwrap().lines().map(str::to_owned).collect())
}

fn is_sync(call: &str) -> bool {
    call.contains("fdatasync(") || call.contains("fsync(") || call.contains("DSYNC")
}

fn traced_syncs(options: &str, records: u64) -> Option<u64> {
    Some(traced(options, records)?.iter().filter(|call| is_sync(call)).count() as u64)
}

#[test]
fn the_system_calls_agree_for_always() {
    let (Some(few), Some(many)) =
        (traced_syncs("--sync always", 10), traced_syncs("--sync always", 110))
    else {
        return;
    };
    println!("always: {few} syncs for 10 appends, {many} for 110");
    assert_eq!(many - few, 100);
}

#[test]
fn the_system_calls_agree_for_group_and_os() {
    let (Some(group), Some(os)) =
        (traced_syncs("--sync group --writers 16", 2000), traced_syncs("--sync os", 2000))
    else {
        return;
    };
    println!("2000 appends: {group} syncs by group with 16 writers, {os} by os");
    assert!(group < 1000, "{group}");
    assert!(os < 15, "{os}");
}

#[test]
fn no_acknowledgement_is_printed_before_the_sync_that_covers_it() {
    for sync in ["always", "group", "adaptive"] {
        // With one writer nothing else is written between a record and its acknowledgement.
        let Some(calls) = traced(&format!("--sync {sync} --ack"), 100) else { return };
        let (mut unsynced, mut acks) = (false, 0);
        for call in calls {
            if is_sync(&call) {
                unsynced = false;
            } else if call.contains("pwrite") {
                unsynced = true;
            } else if call.contains("write(1, ") {
                assert!(!unsynced, "{sync}: {call} after {acks} acknowledgements");
                acks += 1;
            }
        }
        assert_eq!(acks, 100, "{sync}: one write for each acknowledgement");
    }
}
