//! Bad input and hostile surroundings: each gives an error that names what and where; nothing panics, and
//! nothing acknowledged is lost.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{self, Done, contents, run, run_with, segments, seq, skip, wal};
use tempfile::tempdir;

const READERS: [&str; 3] = ["dump DIR", "verify DIR", "stat DIR"];
const WRITERS: [&str; 2] = ["repair DIR", "truncate DIR --before 1"];

#[track_caller]
fn refused(dir: &Path, args: &str, code: i32, message: &str) {
    let done = run(dir, args, b"x\n").expect(code);
    assert!(done.stderr.starts_with("wal: "), "{args}: {}", done.stderr);
    assert!(done.stderr.contains(message), "{args}: no {message:?} in {}", done.stderr);
    assert!(done.stdout.is_empty(), "{args}");
}

#[test]
fn a_missing_directory_is_told_and_not_created() {
    let temp = tempdir().unwrap();
    let dir = temp.path().join("missing");
    for args in READERS.iter().chain(&WRITERS) {
        refused(&dir, args, 1, "not found");
        refused(&dir, args, 1, "missing");
        refused(&dir, args, 1, "hint: check the path");
    }
    assert!(contents(temp.path()).is_empty());
}

#[test]
fn a_file_is_no_log() {
    let temp = tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, "text").unwrap();
    for args in READERS.iter().chain(&WRITERS).chain(&["append DIR"]) {
        refused(&file, args, 1, "not a log");
        refused(&file, args, 1, "file");
    }
    refused(&file.join("below"), "append DIR", 1, "not a log");
    assert_eq!(fs::read(&file).unwrap(), b"text");
}

#[test]
fn a_directory_of_other_things_is_no_log() {
    let temp = tempdir().unwrap();
    fs::write(temp.path().join("photo.jpg"), "x").unwrap();
    for args in READERS.iter().chain(&WRITERS).chain(&["append DIR"]) {
        refused(temp.path(), args, 1, "not a log");
        refused(temp.path(), args, 1, "photo.jpg");
    }
    let names: Vec<String> = contents(temp.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["photo.jpg"]);
}

#[test]
fn a_foreign_file_in_a_log_is_left_alone_and_named() {
    let temp = tempdir().unwrap();
    run(temp.path(), "append DIR", &seq(1, 5)).expect(0);
    fs::write(temp.path().join("notes.txt"), "mine").unwrap();
    run(temp.path(), "append DIR", &seq(6, 9)).expect(0);
    assert_eq!(run(temp.path(), "dump DIR", b"").expect(0).stdout, seq(1, 9));
    let done = run(temp.path(), "verify DIR", b"").expect(0);
    assert!(done.text().contains("notes.txt"), "{}", done.text());
    assert_eq!(fs::read(temp.path().join("notes.txt")).unwrap(), b"mine");
}

#[test]
fn a_foreign_file_under_the_name_of_a_segment() {
    let temp = tempdir().unwrap();
    fs::write(temp.path().join("00000000000000000001.wal"), vec![b'x'; 500]).unwrap();
    for args in READERS.iter().chain(&WRITERS).chain(&["append DIR"]) {
        let done = run(temp.path(), args, b"");
        assert!(matches!(done.code, Some(1 | 4)), "{args}: {done:?}");
        if !args.starts_with("stat") && !args.starts_with("verify") {
            assert!(done.stderr.contains("segment 1"), "{args}: {done:?}");
        }
    }
    assert_eq!(fs::read(temp.path().join("00000000000000000001.wal")).unwrap(), vec![b'x'; 500]);
}

#[test]
fn a_segment_of_another_log_is_corruption_and_named() {
    let (one, two) = (tempdir().unwrap(), tempdir().unwrap());
    for dir in [&one, &two] {
        run(dir.path(), "append DIR --segment-size 4k", &seq(1001, 2000)).expect(0);
    }
    let (stranger, place) = (&segments(two.path())[2], &segments(one.path())[2]);
    fs::copy(stranger, place).unwrap();
    let name = place.file_stem().unwrap().to_str().unwrap().trim_start_matches('0');
    for args in READERS.iter().chain(&WRITERS).chain(&["append DIR"]) {
        let done = run(one.path(), args, b"x\n").expect(4);
        assert!(done.stderr.contains(&format!("segment {name}")), "{args}: {done:?}");
        assert!(done.stderr.contains("not of one log"), "{args}: {done:?}");
    }
}

#[test]
fn a_newer_format_is_unsupported_and_says_so() {
    let temp = tempdir().unwrap();
    run(temp.path(), "append DIR", &seq(1, 5)).expect(0);
    let segment = &segments(temp.path())[0];
    let mut bytes = fs::read(segment).unwrap();
    bytes[8] = 9;
    let crc = crc32c::crc32c(&bytes[..508]);
    bytes[508..512].copy_from_slice(&crc.to_le_bytes());
    fs::write(segment, &bytes).unwrap();
    for args in READERS.iter().chain(&WRITERS).chain(&["append DIR", "repair DIR --mode salvage"]) {
        refused(temp.path(), args, 1, "unsupported");
        refused(temp.path(), args, 1, "format version 9");
    }
    assert!(fs::read(segment).unwrap() == bytes);
}

#[test]
fn another_codec_is_refused_for_appending_and_shown_as_bytes() {
    use wal_core::{Codec, CodecId, Wal};
    struct Own;
    impl Codec for Own {
        type Record = [u8];
        type Decoded = bytes::Bytes;
        fn id(&self) -> CodecId {
            CodecId(0x8000_0007)
        }
        fn encode(&self, record: &[u8], out: &mut bytes::BytesMut) -> wal_core::Result<()> {
            out.extend_from_slice(record);
            Ok(())
        }
        fn decode(&self, bytes: bytes::Bytes) -> wal_core::Result<bytes::Bytes> {
            Ok(bytes)
        }
    }
    let temp = tempdir().unwrap();
    let storage = wal_fs::FileStorage::create(temp.path()).unwrap();
    let (recovered, _) = wal_recovery::Recovery::new(storage).run().unwrap();
    let log = Wal::builder(wal_sync::Always).codec(Own).open(recovered).unwrap();
    log.append(b"one").unwrap();
    log.append(b"two").unwrap();
    log.close().unwrap();
    drop(log);
    refused(temp.path(), "append DIR", 1, "other codec");
    refused(temp.path(), "append DIR", 1, "0x80000007");
    refused(temp.path(), "append DIR", 1, "hint: append with the program that wrote the log");
    assert_eq!(run(temp.path(), "dump DIR", b"").expect(0).stdout, b"one\ntwo\n");
    run(temp.path(), "truncate DIR --before 2", b"").expect(0);
    assert_eq!(run(temp.path(), "dump DIR", b"").expect(0).stdout, b"two\n");
    let stat = run(temp.path(), "stat DIR", b"").expect(0);
    assert!(stat.text().contains("codec 0x80000007"), "{}", stat.text());
}

#[test]
fn an_empty_segment_file() {
    let temp = tempdir().unwrap();
    fs::write(temp.path().join("00000000000000000001.wal"), "").unwrap();
    for args in READERS {
        let done = run(temp.path(), args, b"");
        assert!(matches!(done.code, Some(0 | 1 | 4)), "{args}: {done:?}");
    }
    run(temp.path(), "verify DIR", b"").expect(4).says("corrupt").says("segment 1").says("header");
    let done = run(temp.path(), "verify DIR --json", b"").expect(4);
    let json: serde_json::Value = serde_json::from_str(done.text()).unwrap();
    assert_eq!(json["verdict"], "corrupt");
    assert!(json["error"].as_str().unwrap().contains("0 bytes, a header has 512"), "{json}");
    refused(temp.path(), "append DIR", 4, "corrupt");
}

#[test]
fn a_second_writer_is_refused_and_readers_are_not() {
    let temp = tempdir().unwrap();
    let mut writer = wal()
        .arg("append")
        .arg(temp.path())
        .arg("--ack")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(writer.stdin.as_mut().unwrap(), b"one\n").unwrap();
    let mut ack = [0; 2];
    std::io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut ack).unwrap();
    for args in WRITERS.iter().chain(&["append DIR"]) {
        refused(temp.path(), args, 1, "locked");
        refused(temp.path(), args, 1, &writer.id().to_string());
    }
    for args in READERS {
        run(temp.path(), args, b"").expect(0);
    }
    drop(writer.stdin.take());
    assert!(writer.wait().unwrap().success());
    run(temp.path(), "append DIR", b"two\n").expect(0);
}

/// Root may write everywhere, so the command runs as somebody else there; `None` if that is not possible.
#[cfg(unix)]
fn as_nobody(dir: &Path, args: &str) -> Option<Done> {
    let root =
        fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    let mut command = if root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        // Where the tests are built nobody else may look. Copied by another process: a child that another test starts
        // while this one has the copy open for writing would keep it from being run.
        let copy = dir.parent().unwrap().join("wal-copy");
        if !copy.exists() {
            let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_wal")).arg(&copy).status();
            assert!(copied.unwrap().success());
        }
        command.arg(copy);
        command
    } else {
        wal()
    };
    for arg in args.split(' ') {
        if arg == "DIR" {
            command.arg(dir)
        } else {
            command.arg(arg)
        };
    }
    if root && Command::new("setpriv").arg("--version").output().is_err() {
        skip("run as root, and setpriv is not installed");
        return None;
    }
    Some(run_with(&mut command, b"x\n"))
}

#[test]
#[cfg(unix)]
fn a_read_only_directory_can_be_read_and_is_denied_to_writers() {
    use std::os::unix::fs::PermissionsExt;
    let temp = tempdir().unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let dir = temp.path().join("log");
    run(&dir, "append DIR", &seq(1, 5)).expect(0);
    let set = |mode, file_mode| {
        fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).unwrap();
        for (name, _) in contents(&dir) {
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(file_mode)).unwrap();
        }
    };
    set(0o555, 0o444);
    let before = contents(&dir);
    for args in READERS {
        let Some(done) = as_nobody(&dir, args) else { return };
        done.expect(0);
    }
    for args in WRITERS.iter().chain(&["append DIR"]) {
        as_nobody(&dir, args).unwrap().expect(1).says("denied").says("hint: ");
    }
    assert!(contents(&dir) == before);
    let empty = temp.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::set_permissions(&empty, fs::Permissions::from_mode(0o555)).unwrap();
    as_nobody(&empty, "append DIR").unwrap().expect(1).says("denied");
    set(0o755, 0o644);
}

/// A log that met a limit: what it acknowledged is there, and it goes on once there is room.
#[cfg(target_os = "linux")]
#[track_caller]
fn goes_on_after(dir: &Path, limited: &Done) {
    assert_eq!(limited.code, Some(1), "{}", limited.stderr);
    assert!(limited.stderr.contains("no space"), "{}", limited.stderr);
    assert!(limited.stderr.contains("of the input: "), "{}", limited.stderr);
    let acked = limited.text().lines().count();
    assert!(acked > 0);
    let dump = run(dir, "dump DIR --output jsonl", b"").expect(0);
    let present = dump.text().lines().count();
    assert!(present >= acked, "{acked} acknowledged, {present} there");
    run(dir, "append DIR --ack", b"after\n").expect(0);
    run(dir, "verify DIR", b"").expect(0);
    let dump = run(dir, "dump DIR", b"").expect(0);
    assert!(dump.text().lines().count() > acked);
    assert_eq!(dump.text().lines().next_back(), Some("after"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_size_limit_is_an_error_and_not_the_end() {
    let mut ways = vec!["", "--sync os", "--sync always", "--writers 4 --batch 10"];
    if common::may_use_uring() {
        ways.extend(["--storage uring", "--storage uring --sync os"]);
    }
    for options in ways {
        let temp = tempdir().unwrap();
        // 1000 blocks of 1 KiB: the limit is met in the middle of a segment.
        let script = format!("ulimit -f 1000; exec \"$0\" append \"$1\" --ack {options}");
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_wal")]).arg(temp.path());
        let input = [b"x".repeat(999), b"\n".to_vec()].concat().repeat(3000);
        let done = run_with(&mut command, &input);
        goes_on_after(temp.path(), &done);
    }
}

/// Unmounts what was mounted, whatever happens.
#[cfg(target_os = "linux")]
struct Mounted(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_survived() {
    let temp = tempdir().unwrap();
    let disk = temp.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(&disk).output();
    if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!(ci && common::may_mount()), "may mount, but cannot: {mounted:?}");
        skip("mounting a small tmpfs needs root");
        return;
    }
    let mounted = Mounted(disk.clone());
    let input = [b"x".repeat(99), b"\n".to_vec()].concat().repeat(100_000);
    // With mapped memory a full disk must be an error as well, and no signal.
    let mut ways = vec![
        "--sync group --writers 4",
        "--sync os --segment-size 1MiB",
        "--sync group --writers 4 --storage direct",
        "--sync group --writers 4 --storage mmap",
        "--sync os --segment-size 1MiB --storage mmap",
    ];
    if common::may_use_uring() {
        ways.extend([
            "--sync group --writers 4 --storage uring",
            "--sync os --segment-size 1MiB --storage uring",
        ]);
    }
    for (n, options) in ways.iter().enumerate() {
        let dir = disk.join(format!("log{n}"));
        let ballast = disk.join("ballast");
        fs::write(&ballast, vec![1; 512 * 1024]).unwrap();
        let done = run(&dir, &format!("append DIR --ack {options}"), &input);
        assert_eq!(done.code, Some(1), "{}", done.stderr);
        // Still full: the log refuses, and stays as it is.
        let again = run(&dir, "append DIR --ack", &input);
        assert_eq!(again.code, Some(1), "{}", again.stderr);
        assert!(again.stderr.contains("no space"), "{}", again.stderr);
        fs::remove_file(&ballast).unwrap();
        goes_on_after(&dir, &done);
        fs::remove_dir_all(&dir).unwrap();
    }
    drop(mounted);
}

#[test]
fn nobody_reads_the_acknowledgements_any_more() {
    let temp = tempdir().unwrap();
    let mut writer = wal()
        .arg("append")
        .arg(temp.path())
        .args(["--ack", "--sync", "os"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(writer.stdout.take());
    let mut stdin = writer.stdin.take().unwrap();
    let feeder =
        std::thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, &seq(1, 500_000))));
    let done: Done = writer.wait_with_output().unwrap().into();
    feeder.join().unwrap();
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("ended because standard output was closed"), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    let verified = run(temp.path(), "verify DIR", b"").expect(0);
    assert!(verified.text().contains("closed cleanly"), "{}", verified.text());
    assert!(!verified.text().contains("not closed cleanly"), "{}", verified.text());
}
