//! Disks of their own: one that is full, one that takes no direct writes, one of each file system. Mounting needs
//! root; where it is not allowed the tests say that they are skipped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use wal_core::{Access, ErrorKind, LogStorage, Lsn, Publish, WriteMode};
use wal_fs::{
    DirectSettings, DirectStorage, FileSettings, FileStorage, FileSystem, MmapSettings,
    MmapStorage, RealFs,
};
use wal_testkit::FaultFs;

/// A file system in memory, unmounted whatever happens.
struct Disk {
    temp: tempfile::TempDir,
}

impl Disk {
    /// `None` if this process may not mount.
    fn mount(kind: &str, options: &str) -> Option<Disk> {
        let temp = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let outcome = mount.args(["-t", kind, "-o", options, kind]).arg(temp.path()).output();
        if outcome.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Disk { temp });
        }
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!(ci && may_mount()), "may mount, but cannot: {outcome:?}");
        skip(&format!("mounting a small {kind} needs root"));
        None
    }

    /// A disk in a file, with this file system on it. `None` if it cannot be made here, or the kernel has none.
    fn made(kind: &str) -> Option<Disk> {
        let temp = tempfile::tempdir().unwrap();
        // Beside the place where it is mounted. Enough for XFS, and nothing of it is written that is not used.
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(512 << 20).unwrap();
        let mut make = Command::new(format!("mkfs.{kind}"));
        if !make.arg("-q").arg(image.path()).output().is_ok_and(|made| made.status.success()) {
            skip(&format!("no mkfs.{kind}"));
            return None;
        }
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", kind, "-o", "loop"]).arg(image.path()).arg(temp.path());
        // The loop device keeps the file when its name goes.
        if !mount.output().is_ok_and(|mounted| mounted.status.success()) {
            skip(&format!("{kind} cannot be mounted"));
            return None;
        }
        Some(Disk { temp })
    }

    fn log(&self) -> PathBuf {
        self.temp.path().join("log")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.temp.path()).status();
    }
}

/// Past the capture of the test harness.
fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("skipped: {}: {why}\n", thread.name().unwrap_or("a test"));
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn may_mount() -> bool {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & CAP_SYS_ADMIN != 0
}

/// Writes until the disk is full, reads back what was written, and goes on once there is room.
fn fill(storage: &impl LogStorage, ballast: &Path) {
    std::fs::write(ballast, vec![1; 64 << 10]).unwrap();
    let segment =
        storage.create(Lsn::FIRST, vec![b'h'; 4096].into(), 64 << 20, Publish::New).wait().unwrap();
    let record = bytes::Bytes::from(vec![7; 1000]);
    let mut end = 4096;
    let error = loop {
        match segment.write_at(end, record.clone(), WriteMode::Cached).wait() {
            Ok(()) => end += 1000,
            Err(error) => break error,
        }
        assert!(end < 1 << 20, "the disk is never full");
    };
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(end > 500_000, "only {end} bytes found room");
    let reader = storage.open(Lsn::FIRST, Access::Read).wait().unwrap();
    let found = reader.read_at(4096, (end - 4096) as usize).wait().unwrap();
    assert!(found.len() as u64 == end - 4096 && found.iter().all(|byte| *byte == 7));
    std::fs::remove_file(ballast).unwrap();
    let next = storage.create(Lsn::new(2), "header".into(), 4096, Publish::New).wait().unwrap();
    next.write_at(6, "goes on".into(), WriteMode::Through).wait().unwrap();
}

#[test]
fn a_full_disk_is_an_error_and_no_signal() {
    let settings = (
        FileSettings::default().preallocate_bytes(64 << 10),
        DirectSettings::default().preallocate_bytes(64 << 10),
        MmapSettings::default().window_bytes(64 << 10),
    );
    for kind in 0..3 {
        let Some(disk) = Disk::mount("tmpfs", "size=768k") else { return };
        let ballast = disk.temp.path().join("ballast");
        match kind {
            0 => fill(&FileStorage::create_with(disk.log(), settings.0.clone()).unwrap(), &ballast),
            1 => match DirectStorage::create_with(disk.log(), settings.1.clone()).unwrap() {
                // Before Linux 6.6.
                storage if is_refused(&storage) => {}
                storage => fill(&storage, &ballast),
            },
            _ => fill(&MmapStorage::create_with(disk.log(), settings.2.clone()).unwrap(), &ballast),
        }
    }
}

fn is_refused(storage: &DirectStorage) -> bool {
    storage.lock().wait().is_err_and(|error| error.kind() == ErrorKind::Unsupported)
}

#[test]
fn a_file_system_without_direct_writes_is_told_before_anything_is_written() {
    let Some(disk) = Disk::mount("ramfs", "mode=700") else { return };
    let storage = DirectStorage::create(disk.log()).unwrap();
    let error = storage.lock().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("takes no direct I/O; use FileStorage"), "{error}");
    // The lock is free again, and the other storage works.
    let plain = FileStorage::create(disk.log()).unwrap();
    let _lock = plain.lock().wait().unwrap();
    assert!(plain.list().wait().unwrap().segments.is_empty());
}

/// What stands in the table of file systems, on real ones: f2fs is not trusted with one call, btrfs is not filled ahead.
#[test]
fn each_file_system_is_asked_for_what_it_is_known_to_do() {
    for (kind, trusted, in_place) in
        [("ext4", true, true), ("xfs", true, true), ("btrfs", true, false), ("f2fs", false, true)]
    {
        let Some(disk) = Disk::made(kind) else { continue };
        let known = RealFs.profile(disk.temp.path());
        assert_eq!((known.write_through, known.in_place), (trusted, in_place), "{kind}");
        let fs = FaultFs::new(RealFs);
        let faults = fs.faults().clone();
        let storage =
            DirectStorage::create_with_file_system(fs, disk.log(), Default::default()).unwrap();
        assert_eq!(storage.capabilities().write_through, trusted, "{kind}");
        let _lock = storage.lock().wait().unwrap();
        let header = vec![b'h'; 4096].into();
        let segment = storage.create(Lsn::FIRST, header, 8 << 20, Publish::New).wait().unwrap();
        let filled = segment.len().wait().unwrap();
        assert_eq!(filled, if in_place { 1 << 20 } else { 4096 }, "{kind}");
        faults.clear_trace();
        for n in 0..8 {
            let data = bytes::Bytes::from(vec![n as u8 + 1; 4096]);
            segment.write_at(4096 + n * 4096, data, WriteMode::Through).wait().unwrap();
        }
        let calls = faults.trace_lines();
        let through = calls.iter().filter(|call| call.starts_with("write through")).count();
        let synced = calls.iter().filter(|call| call.starts_with("sync data")).count();
        assert_eq!((through, synced), if trusted { (8, 0) } else { (0, 8) }, "{kind}: {calls:?}");
        for n in 0..8 {
            let found = segment.read_at(4096 + n * 4096, 4096).wait().unwrap();
            assert!(found == vec![n as u8 + 1; 4096], "{kind}: block {n}");
        }
    }
}
