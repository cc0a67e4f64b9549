//! Disks that are full, with somebody else who takes every byte that becomes free, and a writer that is killed there.
//!
//! The log has to make room itself: `wal truncate --before` works at 0 bytes free. Mounting needs root; where it is not
//! allowed the tests say that they are skipped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::{NamedTempFile, TempDir, tempdir};

use crate::common::{self, run, skip, wal};

/// A small disk of its own, unmounted whatever happens.
struct Disk {
    dir: TempDir,
    /// What is mounted, if it is a file.
    _image: Option<NamedTempFile>,
}

impl Disk {
    /// In memory.
    fn tmpfs() -> Option<Disk> {
        let dir = tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(dir.path());
        Self::mounted(&mut mount, dir, None)
    }

    /// ext4 of which nothing is kept back for root: it can be full to the last block.
    fn ext4() -> Option<Disk> {
        let (dir, image) = (tempdir().unwrap(), NamedTempFile::new().unwrap());
        image.as_file().set_len(16 << 20).unwrap();
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", "-m", "0", "-O", "^has_journal"]).arg(image.path());
        if !make.output().is_ok_and(|made| made.status.success()) {
            skip("no mkfs.ext4");
            return None;
        }
        let mut mount = Command::new("mount");
        mount.args(["-t", "ext4", "-o", "loop"]).arg(image.path()).arg(dir.path());
        Self::mounted(&mut mount, dir, Some(image))
    }

    fn mounted(mount: &mut Command, dir: TempDir, image: Option<NamedTempFile>) -> Option<Disk> {
        let outcome = mount.output();
        if outcome.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Disk { dir, _image: image });
        }
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(
            !(ci && common::may_mount()) || image.is_some(),
            "may mount, but cannot: {outcome:?}"
        );
        skip(&format!("{mount:?} is not possible here"));
        None
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

/// Writes into a file of its own whatever there is room for, again and again if it is greedy.
struct Hog {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
}

impl Hog {
    /// Returns when the disk is full.
    fn fill(disk: &Path, greedy: bool) -> Hog {
        let path = disk.join("hog");
        let stop = Arc::new(AtomicBool::new(false));
        let turns = Arc::new(AtomicU64::new(0));
        let thread = thread::spawn({
            let (stop, turns, path) = (stop.clone(), turns.clone(), path.clone());
            move || {
                let mut file = File::create(path).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    while file.write(&[1; 4096]).is_ok() {}
                    // Below 4 KiB as well.
                    while file.write(&[1; 64]).is_ok() {}
                    if turns.fetch_add(1, Ordering::Relaxed) > 3 && !greedy {
                        return;
                    }
                    thread::sleep(Duration::from_micros(200));
                }
            }
        });
        while turns.load(Ordering::Relaxed) < 4 {
            thread::sleep(Duration::from_millis(1));
        }
        Hog { stop, thread: Some(thread), path }
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().expect("it runs").join();
        let _ = fs::remove_file(&self.path);
    }
}

/// Appends until `count` records are acknowledged; lets somebody fill the disk, and kills the writer.
fn killed_on_full_disk(disk: &Path, log: &Path, options: &str, greedy: bool) -> (u64, Hog) {
    let mut command = wal();
    command.arg("append").arg(log).arg("--ack").args(options.split_whitespace());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut input, acks) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let feed = thread::spawn(move || {
        // Numbers, so that each record is known again.
        for n in 1_u64.. {
            if writeln!(input, "{n:0>900}").and_then(|()| input.flush()).is_err() {
                return;
            }
            if n > 1500 {
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let mut acks = BufReader::new(acks).lines().map(|line| line.unwrap().parse::<u64>().unwrap());
    let mut acknowledged = acks.by_ref().find(|&lsn| lsn >= 1500).expect("it runs");
    let hog = Hog::fill(disk, greedy);
    let _ = child.kill();
    child.wait().unwrap();
    feed.join().unwrap();
    acknowledged = acks.last().unwrap_or(acknowledged);
    (acknowledged, hog)
}

fn ways() -> Vec<&'static str> {
    let mut ways = vec!["--sync os", "--sync group", "--sync os --storage mmap"];
    if common::may_use_direct() {
        ways.push("--sync group --storage direct");
    }
    if common::may_use_uring() {
        ways.push("--sync group --storage uring");
    }
    ways
}

fn makes_room(disk: &Disk) {
    for options in ways() {
        // Without a reserve there is no defence against somebody who takes what becomes free.
        for (reserve, greedy) in [("", true), ("--reserve 0", false)] {
            let log = disk.path().join("log");
            let options = format!("{options} --segment-size 256KiB {reserve}");
            let (acknowledged, hog) = killed_on_full_disk(disk.path(), &log, &options, greedy);
            let before = acknowledged / 2;
            let truncate = format!("truncate DIR --before {before} {reserve}");
            let done = run(&log, &truncate, b"");
            assert_eq!(done.code, Some(0), "{options}: {}", done.stderr);
            let dump = run(&log, "dump DIR", b"").expect(0);
            let numbers = dump.text().lines().map(|line| line.parse::<u64>().unwrap());
            let numbers: Vec<u64> = numbers.collect();
            assert_eq!(numbers.first(), Some(&before), "{options}");
            assert!(numbers.last().unwrap() >= &acknowledged, "{options}: lost records");
            assert!(numbers.is_sorted_by(|a, b| a + 1 == *b), "{options}");
            drop(hog);
            let again = run(&log, &format!("append DIR {reserve}"), b"goes on\n").expect(0);
            assert!(again.stderr.contains("appended 1 "), "{options}: {}", again.stderr);
            run(&log, "verify DIR", b"").expect(0);
            let stat = run(&log, "stat DIR", b"").expect(0);
            let line = stat.text().lines().find(|line| line.starts_with("reserve")).unwrap();
            assert_eq!(line.contains(" 0 B "), !reserve.is_empty(), "{options}: {line}");
            fs::remove_dir_all(&log).unwrap();
        }
    }
}

#[test]
fn a_full_tmpfs_is_made_room_on_by_a_truncation() {
    if let Some(disk) = Disk::tmpfs() {
        makes_room(&disk);
    }
}

#[test]
fn a_full_ext4_is_made_room_on_by_a_truncation() {
    if let Some(disk) = Disk::ext4() {
        makes_room(&disk);
    }
}

/// Not even a recovery that is killed again and again loses what was acknowledged.
#[test]
fn a_recovery_on_a_full_disk_may_be_killed() {
    let Some(disk) = Disk::tmpfs() else { return };
    let log = disk.path().join("log");
    let options = "--sync os --segment-size 256KiB";
    let (acknowledged, hog) = killed_on_full_disk(disk.path(), &log, options, true);
    for delay in [0, 1, 2, 3, 5, 8, 13] {
        let truncate = format!("truncate {} --before {}", log.display(), acknowledged / 2);
        let mut child = wal().args(truncate.split(' ')).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        child.wait().unwrap();
    }
    // What a killed one had taken from the reserve is gone: the first to run on finds less of it.
    drop(hog);
    run(&log, &format!("truncate DIR --before {}", acknowledged / 2), b"").expect(0);
    let dump = run(&log, "dump DIR", b"").expect(0);
    let last = dump.text().lines().last().unwrap().parse::<u64>().unwrap();
    assert!(last >= acknowledged, "{last} of {acknowledged}");
}
