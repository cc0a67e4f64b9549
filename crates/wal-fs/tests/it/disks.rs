//! Disks of their own: one that is full, one that takes no direct writes. Mounting needs root; where it
//! is not allowed the tests say that they are skipped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use wal_core::{Access, ErrorKind, LogStorage, Lsn, Publish, WriteMode};
use wal_fs::{DirectSettings, DirectStorage, FileSettings, FileStorage, MmapSettings, MmapStorage};

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
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        // Past the capture of the test harness.
        let line = format!("skipped: {test}: mounting a small {kind} needs root\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        None
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
