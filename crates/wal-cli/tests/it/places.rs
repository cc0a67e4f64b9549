//! File systems that refuse something: to sync a directory, to lock a file. Linux only. A small library that is loaded
//! before the C library refuses it; where there is no C compiler the tests say that they are skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::{TempDir, tempdir};

use crate::common::{Done, may_mount, run, run_with, seq, skip, wal};

const REFUSING: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    struct stat st;
    const char *code = getenv("DIRSYNC_ERRNO");
    if (code && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) { errno = atoi(code); return -1; }
    return real(fd);
}
int flock(int fd, int how) {
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    const char *code = getenv("FLOCK_ERRNO");
    if (code) { errno = atoi(code); return -1; }
    return real(fd, how);
}
"#;

const EIO: i32 = 5;
const EBADF: i32 = 9;
const EINVAL: i32 = 22;
const ENOLCK: i32 = 37;
const EOPNOTSUPP: i32 = 95;

/// The library, built.
struct Refusing(TempDir);

impl Refusing {
    fn build() -> Option<Self> {
        let temp = tempdir().unwrap();
        let source = temp.path().join("refusing.c");
        std::fs::write(&source, REFUSING).unwrap();
        let mut cc = Command::new("cc");
        let built = cc.args(["-shared", "-fPIC", "-o"]).arg(temp.path().join("refusing.so"));
        if built.arg(&source).arg("-ldl").status().is_ok_and(|status| status.success()) {
            return Some(Refusing(temp));
        }
        skip("there is no C compiler");
        None
    }

    /// Runs `wal` where the call behind the variable fails with this number.
    fn run(&self, dir: &Path, args: &str, (variable, code): (&str, i32)) -> Done {
        let mut command = wal();
        command.env("LD_PRELOAD", self.0.path().join("refusing.so"));
        command.env(variable, code.to_string());
        let args = args.split_whitespace().map(PathBuf::from);
        command.args(args.map(|arg| if arg == Path::new("DIR") { dir.to_path_buf() } else { arg }));
        run_with(&mut command, &seq(1, 10))
    }
}

fn dir_sync(code: i32) -> (&'static str, i32) {
    ("DIRSYNC_ERRNO", code)
}

fn flock(code: i32) -> (&'static str, i32) {
    ("FLOCK_ERRNO", code)
}

#[test]
fn a_directory_that_refuses_its_sync_is_synced_with_the_whole_file_system() {
    let Some(refusing) = Refusing::build() else { return };
    for code in [EINVAL, EBADF, EOPNOTSUPP] {
        let dir = tempdir().unwrap();
        let log = dir.path().join("log");
        let done = refusing.run(&log, "append DIR", dir_sync(code));
        if done.code == Some(1) {
            // This directory is in a file system of which nothing is known.
            done.says("syncs no directories").says("allow_unsynced_names");
            return skip("the temporary directory is on no file system that is known");
        }
        let done = done.expect(0);
        assert!(!done.stderr.contains("warning"), "{}", done.stderr);
        assert_eq!(run(&log, "dump DIR", b"").expect(0).stdout, seq(1, 10));
    }
}

#[test]
fn a_device_that_fails_is_no_refusal() {
    let Some(refusing) = Refusing::build() else { return };
    let dir = tempdir().unwrap();
    for options in ["", " --allow-unsynced-names"] {
        let append = format!("append DIR{options}");
        refusing.run(&dir.path().join("log"), &append, dir_sync(EIO)).expect(1).says("I/O error");
    }
}

/// A file system in memory of which nothing is known, and which can do less than tmpfs.
struct Ramfs(TempDir);

impl Ramfs {
    fn mount() -> Option<Self> {
        let temp = tempdir().unwrap();
        let mut mount = Command::new("mount");
        let outcome =
            mount.args(["-t", "ramfs", "-o", "mode=700", "ramfs"]).arg(temp.path()).output();
        if outcome.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Ramfs(temp));
        }
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!(ci && may_mount()), "may mount, but cannot: {outcome:?}");
        skip("mounting a ramfs needs root");
        None
    }
}

impl Drop for Ramfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn where_nothing_else_makes_names_durable_it_takes_an_option_and_is_said_each_time() {
    let (Some(refusing), Some(disk)) = (Refusing::build(), Ramfs::mount()) else { return };
    let log = disk.0.path().join("log");
    for code in [EINVAL, EBADF, EOPNOTSUPP] {
        let run = |args: &str| refusing.run(&log, args, dir_sync(code));
        run("append DIR")
            .expect(1)
            .says("sync directory: unsupported")
            .says("a power loss may take the name of a segment")
            .says("hint: keep the log on a local disk, or accept the cost with `--allow-unsynced-names`");
        for args in [
            "append DIR --segment-size 4KiB",
            "append DIR --storage mmap",
            "truncate DIR --before 3",
            "repair DIR",
        ] {
            let done = run(&format!("{args} --allow-unsynced-names")).expect(0);
            done.says("warning: this file system syncs no directories")
                .says("power loss: unbounded");
        }
        run("truncate DIR --before 4").expect(1).says(
            "hint: keep the log on a local disk, or accept the cost with `--allow-unsynced-names`",
        );
        // Reading needs no sync.
        run("verify DIR").expect(0);
        std::fs::remove_dir_all(&log).unwrap();
    }
}

#[test]
fn a_lock_that_is_refused_is_told_with_a_way_out() {
    let Some(refusing) = Refusing::build() else { return };
    let dir = tempdir().unwrap();
    for code in [ENOLCK, EOPNOTSUPP] {
        let done = refusing.run(dir.path(), "append DIR", flock(code)).expect(1);
        done.says("lock log: unsupported")
            .says("grants no locks")
            .says("hint: mount it with locks, or keep the log on a local disk");
    }
    refusing.run(dir.path(), "append DIR", flock(EIO)).expect(1).says("lock log: I/O error");
}
