//! `kill -9` at random moments: nothing acknowledged is lost, whatever the strategy.
//!
//! Every test kills real processes, looks at the log with `wal dump`, and goes on appending to what is
//! left. `WAL_KILL_SEED` repeats the random choices of an earlier run (not the timing of its
//! threads), `WAL_KILL_COUNT` sets the number of kills per test. The strategies are killed on `FileStorage`,
//! the other storages with a few of them.

mod checker;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use crate::common::{self, run, segments, seq, wal};
use checker::{Records, Run, check};
use wal_core::{Clock, SystemClock};

const RECORDS: u64 = 200_000;
const WRITERS: u64 = 16;
/// So many runs append to the same directory, each after the one before was killed.
const ROUNDS_PER_LOG: u64 = 5;

/// SplitMix64: small, and good enough to pick moments.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn number_from(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// What the kills of one test amounted to.
#[derive(Default)]
struct Totals {
    kills: u64,
    finished: u64,
    acked: u64,
    found: u64,
    torn: u64,
}

fn kill_often(sync: &str, batch: u64, durability: &str) {
    kill_often_on("file", 50, sync, batch, durability);
}

fn kill_often_on(storage: &str, kills: u64, sync: &str, batch: u64, durability: &str) {
    if storage == "uring" && !common::may_use_uring() {
        return;
    }
    let kills = number_from("WAL_KILL_COUNT").unwrap_or(kills);
    let seed = number_from("WAL_KILL_SEED")
        .unwrap_or_else(|| SystemClock::new().wall().as_micros() ^ u64::from(std::process::id()));
    let what = format!("--storage {storage} --sync {sync} --batch {batch}");
    println!("{what}: WAL_KILL_SEED={seed}");
    let mut random = Random(seed);
    let mut totals = Totals::default();
    while totals.kills < kills {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("log");
        let mut before = Records::new();
        for round in 0..ROUNDS_PER_LOG {
            let first = round * RECORDS + 1;
            let size = ["64k", "1MiB", "64MiB"][random.below(3) as usize];
            let options = format!(
                "--storage {storage} --sync {sync} --batch {batch} --durability {durability} \
                 --segment-size {size}"
            );
            let (acked, killed) = append_and_kill(&dir, &options, first, &mut random);
            let after = dump(&dir, &mut totals);
            let run = Run {
                first,
                last: first + RECORDS - 1,
                writers: WRITERS,
                batch,
                acked,
                acknowledged_survives: durability != "buffered",
            };
            if let Err(wrong) = check(&run, &before, &after) {
                let kept = temp.keep();
                panic!("seed {seed}, kill {}: {wrong}; see {}", totals.kills, kept.display());
            }
            totals.kills += u64::from(killed);
            totals.finished += u64::from(!killed);
            totals.acked += run.acked.len() as u64;
            totals.found += (after.len() - before.len()) as u64;
            before = after;
        }
        verify_after(&dir);
    }
    let Totals { kills, finished, acked, found, torn } = totals;
    println!(
        "{what}: {kills} kills ({finished} runs ended before), {acked} records \
         acknowledged, {found} found, {torn} torn tails"
    );
}

/// Runs the command, kills it, and returns the LSNs it printed and whether the kill came in time.
fn append_and_kill(dir: &Path, options: &str, first: u64, random: &mut Random) -> (Vec<u64>, bool) {
    let mut child = wal()
        .arg("append")
        .arg(dir)
        .args(["--writers", &WRITERS.to_string(), "--ack"])
        .args(options.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stdout = child.stdout.take().unwrap();
    // One kill in eight comes at any time since the start, so that opening and recovery are hit too;
    // the others come some time after the first record was acknowledged.
    let at_once = random.below(8) == 0;
    let delay = Duration::from_micros(random.below(if at_once { 20_000 } else { 60_000 }));
    thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(&seq(first, first + RECORDS - 1))));
        let (told, first_ack) = std::sync::mpsc::channel();
        let acks = scope.spawn(move || read_acks(stdout, &told));
        if !at_once {
            // An error means that the command has ended.
            let _ = first_ack.recv();
        }
        thread::sleep(delay);
        let killed = kill(&mut child);
        (acks.join().unwrap(), killed)
    })
}

/// All lines; an LSN whose newline is missing was not told.
fn read_acks(mut stdout: ChildStdout, told: &std::sync::mpsc::Sender<()>) -> Vec<u64> {
    let mut text = Vec::new();
    let mut buf = [0; 64 * 1024];
    loop {
        match stdout.read(&mut buf).unwrap() {
            0 => break,
            n => text.extend_from_slice(&buf[..n]),
        }
        let _ = told.send(());
    }
    let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let text = std::str::from_utf8(&text[..end]).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Whether the process was still there to be killed.
fn kill(child: &mut Child) -> bool {
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(status.code().is_none_or(|code| code == 0), "{status}");
    status.code().is_none()
}

/// What `wal dump` shows: no recovery, no lock, the log as the kill left it.
fn dump(dir: &Path, totals: &mut Totals) -> Records {
    if !dir.exists() {
        return Records::new();
    }
    let done = run(dir, "dump DIR --output jsonl", b"").expect(0);
    totals.torn += u64::from(done.stderr.contains("torn tail"));
    done.text().lines().map(parse).collect()
}

fn parse(line: &str) -> (u64, String) {
    let parts = || {
        let rest = line.strip_prefix("{\"lsn\":")?;
        let (lsn, rest) = rest.split_once(",\"time\":\"")?;
        let (_, record) = rest.split_once("\",\"record\":\"")?;
        Some((lsn.parse().ok()?, record.strip_suffix("\"}")?.to_owned()))
    };
    parts().unwrap_or_else(|| panic!("unexpected line {line}"))
}

/// A killed writer leaves no damage: clean, or a torn tail if the kill hit a write, or a sealed segment without the
/// next one, which may be missing, if it hit a rotation.
fn verify_after(dir: &Path) {
    let done = run(dir, "verify DIR", b"");
    assert!(matches!(done.code, Some(0 | 3 | 5)), "{done:?}");
}

macro_rules! strategies {
    ($($name:ident: $sync:literal,)*) => {$(
        mod $name {
            #[test]
            fn one_by_one() {
                super::kill_often($sync, 1, "strategy");
            }

            #[test]
            fn in_batches_of_100() {
                super::kill_often($sync, 100, "strategy");
            }
        }
    )*};
}

strategies! {
    always: "always",
    group: "group",
    group_with_window: "group:1ms,64",
    batch: "batch:1000,1MiB,10ms",
    interval: "interval:20ms",
    os: "os",
    adaptive: "adaptive",
}

macro_rules! storages {
    ($($name:ident: $storage:literal,)*) => {$(
        mod $name {
            #[test]
            fn always() {
                super::kill_often_on($storage, 25, "always", 1, "strategy");
            }

            #[test]
            fn group() {
                super::kill_often_on($storage, 25, "group", 1, "strategy");
            }

            #[test]
            fn in_batches_of_100_synced_now_and_then() {
                super::kill_often_on($storage, 25, "interval:20ms", 100, "strategy");
            }

            /// Nothing is ever synced, and everything acknowledged survives.
            #[test]
            fn written_and_never_synced() {
                super::kill_often_on($storage, 25, "os", 1, "written");
            }
        }
    )*};
}

#[cfg(target_os = "linux")]
storages! {
    direct: "direct",
    direct_padded: "direct --last-block padded",
}

storages! {
    mmap: "mmap",
}

#[cfg(all(target_os = "linux", feature = "uring"))]
storages! {
    uring: "uring",
}

/// These may be lost, but only from the end.
#[test]
fn records_asked_for_as_buffered_leave_no_gap() {
    kill_often("os", 1, "buffered");
}

/// The tests above can fail: a log that lost its last bytes does not pass.
#[test]
fn a_lost_tail_is_noticed() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("log");
    let mut random = Random(7);
    let (acked, killed) = append_and_kill(&dir, "--sync group", 1, &mut random);
    let mut totals = Totals::default();
    let whole = dump(&dir, &mut totals);
    assert!(killed && acked.len() > 10);
    let (writers, last) = (WRITERS, RECORDS);
    let run = Run { first: 1, last, writers, batch: 1, acked, acknowledged_survives: true };
    check(&run, &Records::new(), &whole).unwrap();

    let segment = segments(&dir).pop().unwrap();
    let lost = &whole[run.acked.len() - 1].1;
    let at = common::find(&segment, lost.as_bytes());
    fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(at as u64).unwrap();
    let short = dump(&dir, &mut totals);
    let wrong = check(&run, &Records::new(), &short).unwrap_err();
    assert!(wrong.contains("was acknowledged and is lost"), "{wrong}");
}
