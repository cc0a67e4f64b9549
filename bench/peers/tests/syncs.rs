//! Every engine really asks the disk once for each acknowledged call, counted by `strace`.

use std::path::Path;
use std::process::Command;

const CALLS: u64 = 50;

/// Calls of the operating system that make something durable, and returned without an error.
fn syncs(engine: &str, workload: &str) -> u64 {
    let place = tempfile::tempdir().unwrap();
    let trace = place.path().join("trace");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync,msync,sync_file_range,pwritev2"])
        .arg("-o")
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_wal-peers"))
        .args(["calls", "--engine", engine, "--workload", workload])
        .args(["--calls", &CALLS.to_string(), "--dir"])
        .arg(place.path().join("log"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{engine}: {}", String::from_utf8_lossy(&output.stderr));
    count(&trace)
}

fn count(trace: &Path) -> u64 {
    let text = std::fs::read_to_string(trace).unwrap();
    let durable = |line: &&str| {
        let asked = line.contains("fsync(")
            || line.contains("fdatasync(")
            || line.contains("msync(") && line.contains("MS_SYNC")
            || line.contains("pwritev2(") && line.contains("RWF_DSYNC");
        asked && !line.contains("= -1")
    };
    text.lines().filter(durable).count() as u64
}

#[test]
fn a_call_is_a_sync() {
    if Command::new("strace").arg("--version").output().is_err() {
        println!("skipped: there is no strace");
        return;
    }
    let listed = Command::new(env!("CARGO_BIN_EXE_wal-peers")).arg("list").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().count() >= 5, "{listed}");
    for engine in listed.lines() {
        for workload in ["threads:1:100", "threads:1:100x100"] {
            let syncs = syncs(engine, workload);
            println!("{engine:<12} {workload:<18} {CALLS} calls, {syncs} syncs");
            assert!(syncs >= CALLS, "{engine}, {workload}: {syncs} syncs for {CALLS} calls");
        }
    }
}
