//! What is told, and with which exit code, when a command cannot do its work.

use std::fmt;
use std::io::{self, Write};

use wal_core::{Error, ErrorKind};

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Ok = 0,
    Error = 1,
    Usage = 2,
    TornTail = 3,
    Corrupt = 4,
    Incomplete = 5,
}

/// Why a command ends early: a message, perhaps a hint, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<&'static str>,
    kind: Option<ErrorKind>,
    pub(crate) code: Code,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure { message: message.into(), hint: None, kind: None, code: Code::Error }
    }

    /// The arguments do not go together, or one is missing. What is told besides is clap's own: it knows the
    /// usage of the command.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure { code: Code::Usage, ..Failure::new(message) }
    }

    /// The reader of standard output went away. Nothing to complain about, and nobody to tell.
    pub(crate) fn silent(code: Code) -> Self {
        Failure { message: String::new(), hint: None, kind: None, code }
    }

    /// Writing to standard output failed. That nobody reads it any more ends a command that only prints,
    /// and is no failure; where the exit code says something of its own, see `output::report`.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::silent(Code::Ok),
            _ => Failure::new(format!("write to standard output: {error}")),
        }
    }

    /// Says on which record of the input it happened.
    pub(crate) fn at_record(mut self, number: u64, count: u64) -> Self {
        let last = number + count - 1;
        self.message = if count == 1 {
            format!("record {number} of the input: {}", self.message)
        } else {
            format!("records {number} to {last} of the input: {}", self.message)
        };
        self
    }

    /// Even keeping what is readable failed, so to advise it would lead nowhere.
    pub(crate) fn of_salvage(mut self) -> Self {
        match self.kind {
            Some(ErrorKind::Corrupt) => {
                self.hint = Some("restore the log from a copy; the original bytes are untouched");
            }
            Some(ErrorKind::NotALog) => {
                self.hint = Some(
                    "if these files were a log, restore them from a copy; to begin a new log here, move them to \
                     another directory by hand; nothing was changed",
                );
            }
            _ => {}
        }
        self
    }

    pub(crate) fn report(&self) {
        if !self.message.is_empty() {
            say(format_args!("{}", self.message));
        }
        if let Some(hint) = self.hint {
            let _ = writeln!(io::stderr(), "  hint: {hint}");
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Corrupt => Code::Corrupt,
            ErrorKind::TornTail => Code::TornTail,
            _ => Code::Error,
        };
        let (hint, kind) = (hint(&error), Some(error.kind()));
        Failure { message: error.chain().to_string(), hint, kind, code }
    }
}

/// What to do about an error.
fn hint(error: &Error) -> Option<&'static str> {
    Some(match error.kind() {
        ErrorKind::Corrupt => {
            "`wal verify DIR` lists the damage; restore a copy, or keep what is readable with \
             `wal repair DIR --mode salvage`"
        }
        ErrorKind::OutOfMemory => {
            "raise --memory-limit, or give the process more memory; nothing is wrong with the log"
        }
        // It may be a segment whose header is lost; anything else a salvage leaves as it is, and says so.
        ErrorKind::NotALog if error.segment().is_some() => {
            "check the path; if this is a log whose header was lost, `wal repair DIR --mode salvage` keeps what can \
             be told to be its own"
        }
        ErrorKind::TornTail => "`wal repair DIR` cuts the torn tail and keeps a copy of it",
        ErrorKind::Full => {
            "make room or raise the limit, and run the command again; every acknowledged record is \
             in the log"
        }
        ErrorKind::Poisoned => "run the command again: opening the log recovers it",
        ErrorKind::Locked => {
            "only one writer at a time; `wal dump`, `wal verify` and `wal stat` work beside it"
        }
        ErrorKind::NotALog => {
            "give the directory of a log, or a new one for `wal append` to create"
        }
        ErrorKind::TooLarge => {
            "records go up to the segment size or 8 MiB, whichever is less; raise --segment-size, \
             lower --batch, or split the record"
        }
        // Not the log's bytes, but what this system can do.
        ErrorKind::Unsupported
            if matches!(error.op(), "set up io_uring" | "open for direct writes" | "open log") =>
        {
            "`--storage file` works everywhere, with the same log"
        }
        ErrorKind::Unsupported if error.op() == "sync directory" => {
            "keep the log on a local disk, or accept the cost with `--allow-unsynced-names`"
        }
        ErrorKind::Unsupported if error.op() == "lock log" => {
            "mount it with locks, or keep the log on a local disk: two writers would destroy it"
        }
        ErrorKind::Unsupported if error.detail().contains("a salvage mends it") => {
            "if no other version wrote this log, `wal repair DIR --mode salvage` mends the field"
        }
        ErrorKind::Unsupported if error.detail().contains("before the first release") => {
            "read it with the build that wrote it, and append its records to a new log"
        }
        ErrorKind::Unsupported => "use the version of `wal` that wrote this log, or a newer one",
        ErrorKind::CodecMismatch => {
            "append with the program that wrote the log; `wal dump` shows its bytes as they are"
        }
        ErrorKind::LayerMismatch => {
            "use the program that wrote the log; `wal dump` shows its bytes as they are"
        }
        ErrorKind::NotInLog => "`wal stat DIR` shows the range of LSNs",
        ErrorKind::LostOwnership => {
            "find out who removed files of the log, or who else writes to it; then start again. `wal verify DIR` shows what is there"
        }
        ErrorKind::Replaced => {
            "find out who put something else there; `wal dump DIR` reads what is there now, from its beginning"
        }
        ErrorKind::NotFound if error.op() == "back up log" => return None,
        ErrorKind::NotFound => "check the path; `wal append DIR` creates a log",
        ErrorKind::Denied => {
            "check the permissions, and whether the file system is mounted read-only"
        }
        _ => return None,
    })
}

/// A line on standard error. That it may be closed is no reason to fail.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "wal: {line}");
}
