//! Running the real command, and looking at what it left.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

/// The command, ready for arguments.
pub(crate) fn wal() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wal"))
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Done {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("messages are UTF-8"),
        }
    }
}

impl Done {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("UTF-8")
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.lossy(), self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, what: &str) -> Self {
        assert!(self.stderr.contains(what), "no {what:?} in: {}", self.stderr);
        self
    }

    fn lossy(&self) -> String {
        String::from_utf8_lossy(&self.stdout[..self.stdout.len().min(2000)]).into_owned()
    }

    /// A number from the summary line, such as the one before "syncs".
    #[track_caller]
    pub(crate) fn summary(&self, unit: &str) -> u64 {
        let line = self.stderr.lines().find(|line| line.contains("appended ")).expect("a summary");
        let words: Vec<&str> = line.split([' ', ',', ':']).filter(|w| !w.is_empty()).collect();
        let at = words.iter().position(|word| *word == unit).expect("the unit");
        words[at - 1].parse().expect("a number")
    }
}

/// Says that the rest of a test is left out, and why. It is shown even for a test that passes: only what
/// is printed by macros is captured.
#[track_caller]
pub(crate) fn skip(reason: &str) {
    let (thread, place) = (thread::current(), std::panic::Location::caller());
    let test = thread.name().unwrap_or("a test");
    let line = format!("skipped: {test} ({}:{}): {reason}\n", place.file(), place.line());
    std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
}

/// May this process mount? As root in a container it need not be so.
#[cfg(target_os = "linux")]
pub(crate) fn may_mount() -> bool {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let status = fs::read_to_string("/proc/self/status").expect("readable");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("CapEff");
    u64::from_str_radix(effective.trim(), 16).expect("hexadecimal") & CAP_SYS_ADMIN != 0
}

/// Does the kernel let the command use io_uring? If not, the rest of the test is said to be left out.
#[track_caller]
pub(crate) fn may_use_uring() -> bool {
    if !cfg!(all(target_os = "linux", feature = "uring")) {
        return false;
    }
    let temp = tempfile::tempdir().expect("a directory");
    let done = run(temp.path(), "append DIR --storage uring", b"");
    if done.code == Some(0) {
        return true;
    }
    let refused = done.code == Some(1) && done.stderr.contains("set up io_uring: unsupported");
    assert!(refused, "{done:?}");
    skip(done.stderr.trim_end());
    false
}

/// Runs a command to its end with `input` on its standard input.
pub(crate) fn run_with(command: &mut Command, input: &[u8]) -> Done {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("piped");
    thread::scope(|scope| {
        // The command may end without reading everything.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("the command ends").into()
    })
}

/// Runs `wal` with arguments separated by spaces; `DIR` stands for the directory.
pub(crate) fn run(dir: &Path, args: &str, input: &[u8]) -> Done {
    let mut command = wal();
    for arg in args.split_whitespace() {
        if arg == "DIR" {
            command.arg(dir);
        } else {
            command.arg(arg);
        }
    }
    run_with(&mut command, input)
}

/// `seq from to`.
pub(crate) fn seq(from: u64, to: u64) -> Vec<u8> {
    (from..=to).flat_map(|n| format!("{n}\n").into_bytes()).collect()
}

/// All files of a directory with their bytes, in order.
pub(crate) fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| {
            let entry = entry.expect("readable");
            let name = entry.file_name().into_string().expect("UTF-8");
            (name, fs::read(entry.path()).expect("readable"))
        })
        .collect();
    files.sort();
    files
}

/// The segments of a log, oldest first.
pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "wal"))
        .collect();
    paths.sort();
    paths
}

/// Inverts one bit of a file.
pub(crate) fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).expect("readable");
    bytes[offset] ^= 1;
    fs::write(path, bytes).expect("writable");
}

/// Where `needle` first occurs in a file.
pub(crate) fn find(path: &Path, needle: &[u8]) -> usize {
    let bytes = fs::read(path).expect("readable");
    bytes.windows(needle.len()).position(|window| window == needle).expect("it is in the file")
}

/// Makes a closed log look as if its last write, of the frame that holds `record`, had been cut short:
/// no clean-close mark, and the frame without its end.
pub(crate) fn tear(dir: &Path, record: &[u8]) {
    let segment = segments(dir).pop().expect("a segment");
    let cut = find(&segment, record) + record.len() - 1;
    let file = fs::OpenOptions::new().write(true).open(&segment).expect("writable");
    file.set_len(cut as u64).expect("writable");
}

/// May this command write directly where temporary files are? Some kernels take no direct I/O there.
#[cfg(target_os = "linux")]
pub(crate) fn may_use_direct() -> bool {
    let temp = tempfile::tempdir().expect("a directory");
    let done = run(temp.path(), "append DIR --storage direct", b"");
    if done.code == Some(0) {
        return true;
    }
    assert!(done.stderr.contains("takes no direct I/O"), "{done:?}");
    skip(done.stderr.trim_end());
    false
}
