//! Every engine writes and then syncs, each time before it acknowledges, as `strace` tells.

use std::collections::BTreeSet;
use std::process::Command;

const CALLS: usize = 50;

/// What the operating system was asked for, and failed asks left out.
#[derive(Debug, PartialEq, Eq)]
enum Ask {
    /// To take bytes for this file.
    Write(String),
    /// To make this file durable.
    Sync(String),
    /// To take bytes and make them durable.
    Through,
    /// To print that a call was acknowledged.
    Acknowledge,
}

fn asks(engine: &str, workload: &str) -> Vec<Ask> {
    let place = tempfile::tempdir().unwrap();
    let trace = place.path().join("trace");
    let output = Command::new("strace")
        .args(["-f", "-y", "-qq", "-e"])
        .arg("trace=write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync")
        .arg("-o")
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_wal-peers"))
        .args(["calls", "--engine", engine, "--workload", workload])
        .args(["--calls", &CALLS.to_string(), "--dir"])
        .arg(place.path().join("log"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{engine}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(&trace).unwrap().lines().filter_map(ask).collect()
}

/// Of a line such as `17 pwrite64(5</a/log>, "…", 124, 4096) = 124`.
fn ask(line: &str) -> Option<Ask> {
    let (call, rest) = line.split_once('(')?;
    let file = rest.split_once('<')?.1.split_once('>')?.0.to_owned();
    if line.contains("= -1 ") {
        return None;
    }
    match call.split_whitespace().last()? {
        "write" if rest.contains("\"acknowledged\\n\"") => Some(Ask::Acknowledge),
        "fsync" | "fdatasync" => Some(Ask::Sync(file)),
        "pwritev2" if rest.contains("RWF_DSYNC") => Some(Ask::Through),
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" => Some(Ask::Write(file)),
        _ => None,
    }
}

/// How many acknowledgements had, since the one before, a write and behind it a sync of the same file.
fn covered(asks: &[Ask]) -> usize {
    let (mut covered, mut synced, mut written) = (0, false, BTreeSet::new());
    for ask in asks {
        match ask {
            Ask::Write(file) => drop(written.insert(file)),
            Ask::Sync(file) => synced |= written.contains(file),
            Ask::Through => synced = true,
            Ask::Acknowledge => {
                covered += usize::from(std::mem::take(&mut synced));
                written.clear();
            }
        }
    }
    covered
}

#[test]
fn a_call_is_a_write_and_then_a_sync() {
    if Command::new("strace").arg("--version").output().is_err() {
        println!("skipped: there is no strace");
        return;
    }
    let listed = Command::new(env!("CARGO_BIN_EXE_wal-peers")).arg("list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().count() >= 5, "{listed}");
    for engine in listed.lines() {
        for workload in ["threads:1:100", "threads:1:100x100"] {
            let asks = asks(engine, workload);
            let syncs = asks.iter().filter(|ask| matches!(ask, Ask::Sync(_) | Ask::Through));
            let (syncs, covered) = (syncs.count(), covered(&asks));
            println!(
                "{engine:<12} {workload:<18} {CALLS} calls, {syncs} syncs, {covered} calls covered"
            );
            assert_eq!(covered, CALLS, "{engine}, {workload}: acknowledged before it was durable");
        }
    }
}

#[test]
fn only_a_sync_behind_the_write_covers_a_call() {
    let line = |text| ask(text).unwrap();
    let ack = || line(r#"9 write(1<pipe:[77]>, "acknowledged\n", 13) = 13"#);
    let write = || line(r#"9 pwrite64(5</a/log>, "x"..., 100, 0) = 100"#);
    let sync = || line("12 fdatasync(5</a/log> <unfinished ...>");
    let other = || line("9 fsync(6</a/other>) = 0");
    assert_eq!(covered(&[write(), sync(), ack(), write(), other(), ack()]), 1);
    assert_eq!(covered(&[sync(), write(), ack(), sync(), ack()]), 0);
    assert_eq!(ask("9 fdatasync(5</a/log>) = -1 EIO (Input/output error)"), None);
    let through = line(r#"9 pwritev2(5</a/log>, [{...}], 1, 0, RWF_DSYNC) = 100"#);
    assert_eq!(covered(&[through, ack(), ack()]), 1);
}
