//! `wal backup`: beside writers, killed, of damaged logs, onto full disks, and where files share their blocks.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::tempdir;
use wal_core::{Clock, Lsn, Settings, SystemClock, Wal};
use wal_fs::{FileSettings, FileStorage};
use wal_recovery::Recovery;
use wal_sync::Policy;

use crate::common::{Done, contents, find, flip, run, run_with, segments, seq, tear, wal};

fn backup(from: &Path, to: &Path) -> Done {
    run_with(wal().arg("backup").arg(from).arg(to), b"")
}

/// The records of a copy, which has to be clean.
fn records(copy: &Path) -> Vec<u64> {
    let done = run(copy, "verify DIR", b"").expect(0);
    assert!(done.text().contains("clean, closed cleanly"), "{}", done.text());
    let done = run(copy, "dump DIR --output jsonl", b"").expect(0);
    let lines = done.text().lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|line: serde_json::Value| {
            let (lsn, record) = (line["lsn"].as_u64().unwrap(), line["record"].as_str().unwrap());
            assert_eq!(record.parse::<u64>().unwrap(), lsn);
            lsn
        })
        .collect()
}

/// From `from` to the end, without a gap; returns the end.
fn contiguous(copy: &Path, from: u64) -> u64 {
    let records = records(copy);
    assert_eq!(records.first(), Some(&from));
    assert!(records.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a gap");
    *records.last().unwrap()
}

#[test]
fn a_closed_log_is_copied_and_nothing_in_it_changes() {
    let temp = tempdir().unwrap();
    let (log, copy) = (temp.path().join("log"), temp.path().join("copy"));
    run(&log, "append DIR --segment-size 4k", &seq(1, 1000)).expect(0);
    let before = contents(&log);
    backup(&log, &copy).expect(0).says("copied 1000 records, LSN 1 to 1000; ").says(" shared");
    assert_eq!(contents(&log), before);
    assert_eq!(contiguous(&copy, 1), 1000);
    let done = run(&copy, "stat DIR", b"").expect(0);
    assert!(done.text().contains("the next is LSN 1001"), "{}", done.text());
    // Both are logs of their own from now on.
    run(&copy, "append DIR", &seq(1001, 1010)).expect(0);
    assert_eq!(contents(&log), before);
    assert_eq!(contiguous(&copy, 1), 1010);
    // No empty directory is in the way.
    let empty = temp.path().join("empty");
    fs::create_dir(&empty).unwrap();
    backup(&log, &empty).expect(0);
    assert_eq!(contiguous(&empty, 1), 1000);
}

/// Killed whatever happens.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_acknowledged_record_of_a_process_that_appends_is_copied() {
    let temp = tempdir().unwrap();
    let log = temp.path().join("log");
    let mut command = wal();
    command.arg("append").arg(&log).args(["--segment-size", "4k", "--sync", "group", "--ack"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut input, acks) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let feed = thread::spawn(move || {
        for n in 1_u64.. {
            if writeln!(input, "{n}").is_err() {
                return;
            }
        }
    });
    let child = Killed(child);
    let acknowledged = AtomicU64::new(0);
    thread::scope(|scope| {
        // Dropped before the threads are waited for.
        let _child = child;
        scope.spawn(|| {
            for line in BufReader::new(acks).lines() {
                acknowledged.store(line.unwrap().parse().unwrap(), Ordering::SeqCst);
            }
        });
        let mut ends = Vec::new();
        for n in 0..8 {
            let floor = (n + 1) * 200;
            while acknowledged.load(Ordering::SeqCst) < floor {
                thread::sleep(Duration::from_millis(1));
            }
            let copy = temp.path().join(format!("copy{n}"));
            let before = acknowledged.load(Ordering::SeqCst);
            backup(&log, &copy).expect(0);
            let end = contiguous(&copy, 1);
            assert!(end >= before, "{before} were acknowledged, {end} copied");
            ends.push(end);
        }
        assert!(ends.is_sorted() && ends[0] < ends[7], "{ends:?}");
    });
    feed.join().unwrap();
}

/// Says so also if an assertion fails, as whoever waits for the threads would wait for ever.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A writer in this process; the backup is another one. Removed segments become others.
#[test]
fn the_front_is_truncated_while_it_is_copied() {
    let temp = tempdir().unwrap();
    let log = temp.path().join("log");
    let settings = FileSettings::default().max_spares(4);
    let storage = FileStorage::create_with(&log, settings).unwrap();
    let (recovered, _) = Recovery::new(storage).run().unwrap();
    let wal = Wal::builder("os".parse::<Policy>().unwrap());
    let wal = wal.settings(Settings::default().segment_size(4096)).open(recovered).unwrap();
    let (stop, truncated) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            for n in 1_u64.. {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                wal.append(n.to_string().as_bytes()).unwrap();
                if n.is_multiple_of(16) {
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let last = wal.last_lsn().get();
                let start = wal.truncate_before(Lsn::new(last.saturating_sub(5000).max(1)));
                truncated.store(start.unwrap().get(), Ordering::SeqCst);
                thread::sleep(Duration::from_millis(20));
            }
        });
        while wal.first_lsn() < Lsn::new(1000) {
            thread::sleep(Duration::from_millis(1));
        }
        let mut starts = Vec::new();
        for n in 0..10 {
            let copy = temp.path().join(format!("copy{n}"));
            wal.sync().unwrap();
            // What a truncation that has not returned yet is about to remove may be in the copy.
            let (first, last) = (truncated.load(Ordering::SeqCst), wal.durable_lsn().get());
            // On a busy machine the segments may go faster than they are copied, and that is told.
            let hurried = (0..20).map(|_| backup(&log, &copy)).find(|done| {
                assert!(done.code == Some(0) || done.stderr.contains("not found"), "{done:?}");
                done.code == Some(0)
            });
            assert!(hurried.is_some(), "no copy was quicker than the truncations");
            let records = records(&copy);
            assert!(records.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a gap");
            let copied = (records[0], *records.last().unwrap());
            assert!(
                copied.0 >= first && copied.1 >= last,
                "{copied:?}, there were {first} to {last}"
            );
            starts.push(copied.0);
        }
        assert!(starts.is_sorted() && starts[0] < starts[9], "{starts:?}");
    });
    wal.close().unwrap();
}

#[test]
fn a_backup_that_is_killed_leaves_no_copy_and_the_next_one_tidies_up() {
    let temp = tempdir().unwrap();
    let (log, copy) = (temp.path().join("log"), temp.path().join("copy"));
    run(&log, "append DIR --segment-size 4k --sync os", &seq(1, 40_000)).expect(0);
    let clock = SystemClock::new();
    let started = clock.monotonic();
    backup(&log, &temp.path().join("first")).expect(0);
    let took = clock.monotonic() - started;
    let (mut left, mut told) = (0, 0);
    for n in 0..20 {
        let mut child =
            wal().arg("backup").arg(&log).arg(&copy).stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(took * n / 20);
        child.kill().unwrap();
        let done: Done = child.wait_with_output().unwrap().into();
        told += u32::from(done.stderr.contains("removed what an interrupted backup left"));
        if copy.exists() {
            // It was faster.
            assert_eq!(contiguous(&copy, 1), 40_000);
            fs::remove_dir_all(&copy).unwrap();
        }
        left += u32::from(temp.path().join("copy.unfinished").exists());
    }
    assert!(left > 3 && told > 2, "{left} of 20 were interrupted, {told} said so");
    let done = backup(&log, &copy).expect(0);
    assert_eq!(contiguous(&copy, 1), 40_000);
    assert!(!temp.path().join("copy.unfinished").exists(), "{}", done.stderr);
}

#[test]
fn a_damaged_log_is_not_copied() {
    let temp = tempdir().unwrap();
    let (log, copy) = (temp.path().join("log"), temp.path().join("copy"));
    run(&log, "append DIR --segment-size 4k", &seq(1, 1000)).expect(0);
    let damaged = &segments(&log)[3];
    flip(damaged, 2000);
    let name: u64 = damaged.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let done = backup(&log, &copy).expect(4);
    done.says(&format!("segment {name}")).says("wal repair DIR --mode salvage");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "something is left");
    // What the message says that one may do.
    run(&log, "repair DIR --mode salvage", b"").expect(0);
    backup(&log, &copy).expect(0);
    run(&copy, "verify DIR", b"").expect(0);
    let dumps = [&log, &copy].map(|dir| run(dir, "dump DIR", b"").expect(0).stdout);
    assert!(dumps[0] == dumps[1] && !dumps[0].is_empty());
}

#[test]
fn a_torn_tail_is_left_out_and_a_missing_front_is_told() {
    let temp = tempdir().unwrap();
    let log = temp.path().join("log");
    run(&log, "append DIR --segment-size 4k", &seq(1, 1000)).expect(0);
    tear(&log, b"1000");
    backup(&log, &temp.path().join("torn")).expect(0).says("copied 999 records");
    assert_eq!(contiguous(&temp.path().join("torn"), 1), 999);
    run(&log, "verify DIR", b"").expect(3);
    fs::remove_file(&segments(&log)[0]).unwrap();
    backup(&log, &temp.path().join("short")).expect(5).says("the front may be missing, from LSN 1");
    run(&temp.path().join("short"), "verify DIR", b"").expect(5);
}

#[test]
fn what_is_in_the_way_stays() {
    let temp = tempdir().unwrap();
    let (log, there) = (temp.path().join("log"), temp.path().join("there"));
    run(&log, "append DIR", &seq(1, 10)).expect(0);
    run(&there, "append DIR", &seq(1, 20)).expect(0);
    let before = contents(&there);
    backup(&log, &there).expect(1).says("exists, and is not an empty directory");
    assert_eq!(contents(&there), before);
    let file = temp.path().join("file");
    fs::write(&file, "text").unwrap();
    backup(&log, &file).expect(1).says("exists");
    assert_eq!(fs::read(&file).unwrap(), b"text");
    backup(&temp.path().join("nowhere"), &temp.path().join("copy")).expect(1);
    assert!(!temp.path().join("copy").exists() && !temp.path().join("copy.unfinished").exists());
    let unfinished = temp.path().join("copy.unfinished");
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("photo.jpg"), "").unwrap();
    backup(&log, &temp.path().join("copy")).expect(1).says("photo.jpg");
    assert!(unfinished.join("photo.jpg").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_nothing_is_left() {
    let temp = tempdir().unwrap();
    let (log, disk) = (temp.path().join("log"), temp.path().join("disk"));
    fs::create_dir(&disk).unwrap();
    run(&log, "append DIR --segment-size 64k --sync os", &seq(1, 60_000)).expect(0);
    let Some(_mounted) = disks::mount("tmpfs", "size=1m", Path::new("tmpfs"), &disk) else {
        return;
    };
    backup(&log, &disk.join("copy")).expect(1).says("no space").says("make room");
    assert_eq!(fs::read_dir(&disk).unwrap().count(), 0, "something is left");
}

#[cfg(target_os = "linux")]
#[test]
fn sealed_segments_share_their_blocks_where_the_file_system_can() {
    use std::os::unix::fs::MetadataExt;
    for kind in ["xfs", "btrfs"] {
        let temp = tempdir().unwrap();
        let Some((_mounted, disk)) = disks::made(kind, temp.path()) else { continue };
        let (log, copy) = (disk.join("log"), disk.join("copy"));
        run(&log, "append DIR --segment-size 256k --sync os", &seq(1, 100_000)).expect(0);
        let done = backup(&log, &copy).expect(0);
        let sizes: u64 = segments(&log).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        // Closed, so all of it.
        done.says(&format!("{sizes} bytes, {sizes} of them shared"));
        for path in segments(&copy) {
            assert_eq!(fs::metadata(&path).unwrap().nlink(), 1, "a second name");
        }
        assert_eq!(contiguous(&copy, 1), 100_000, "{kind}");
        // What is written to one is not seen in the other.
        let first = &segments(&log)[0];
        flip(first, find(first, b"1000"));
        File::open(first).unwrap().sync_all().unwrap();
        run(&log, "verify DIR", b"").expect(4);
        assert_eq!(contiguous(&copy, 1), 100_000, "{kind}");
    }
}

#[cfg(target_os = "linux")]
mod disks {
    //! Disks of their own.

    use std::path::PathBuf;

    use super::*;
    use crate::common::{may_mount, skip};

    /// Unmounted whatever happens.
    pub(super) struct Mounted(PathBuf);

    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }

    pub(super) fn mount(kind: &str, options: &str, what: &Path, at: &Path) -> Option<Mounted> {
        let mut mount = Command::new("mount");
        mount.args(["-t", kind, "-o", options]).arg(what).arg(at);
        let outcome = mount.output();
        if outcome.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Mounted(at.to_owned()));
        }
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!(ci && may_mount()) || options == "loop", "may mount, but cannot: {outcome:?}");
        skip(&format!("{mount:?} is not possible here"));
        None
    }

    /// A disk in a file, with this file system on it.
    pub(super) fn made(kind: &str, dir: &Path) -> Option<(Mounted, PathBuf)> {
        let (image, disk) = (dir.join("image"), dir.join("disk"));
        File::create(&image).unwrap().set_len(512 << 20).unwrap();
        fs::create_dir(&disk).unwrap();
        let mut make = Command::new(format!("mkfs.{kind}"));
        if !make.arg("-q").arg(&image).output().is_ok_and(|made| made.status.success()) {
            skip(&format!("no mkfs.{kind}"));
            return None;
        }
        Some((mount(kind, "loop", &image, &disk)?, disk))
    }
}
