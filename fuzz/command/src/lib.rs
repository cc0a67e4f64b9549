//! The parsers of the `wal` command, reached without starting it.
//!
//! The command is a program and exports nothing. Its sources are compiled here a second time, as they
//! are, because a process for each input would be a thousand times slower and hide what it covers from
//! the fuzzer. It is a crate of its own because those sources name each other from the crate's root.
#![allow(dead_code, reason = "what the command does is not run here, only how it reads")]

#[path = "../../../crates/wal-cli/src/append/mod.rs"]
mod append;
#[path = "../../../crates/wal-cli/src/backup.rs"]
mod backup;
#[path = "../../../crates/wal-cli/src/cli.rs"]
mod cli;
#[path = "../../../crates/wal-cli/src/completions.rs"]
mod completions;
#[path = "../../../crates/wal-cli/src/dump.rs"]
mod dump;
#[path = "../../../crates/wal-cli/src/failure.rs"]
mod failure;
#[path = "../../../crates/wal-cli/src/help.rs"]
mod help;
#[path = "../../../crates/wal-cli/src/input.rs"]
mod input;
#[path = "../../../crates/wal-cli/src/open.rs"]
mod open;
#[path = "../../../crates/wal-cli/src/output.rs"]
mod output;
#[path = "../../../crates/wal-cli/src/progress.rs"]
mod progress;
#[path = "../../../crates/wal-cli/src/repair.rs"]
mod repair;
#[path = "../../../crates/wal-cli/src/size.rs"]
mod size;
#[path = "../../../crates/wal-cli/src/stat.rs"]
mod stat;
#[path = "../../../crates/wal-cli/src/time.rs"]
mod time;
#[path = "../../../crates/wal-cli/src/truncate.rs"]
mod truncate;
#[path = "../../../crates/wal-cli/src/verify.rs"]
mod verify;

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::BufReader;

use bytes::Bytes;
use clap::ValueEnum;
use wal_core::{Entry, Lsn, Timestamp};

/// Parses a command line, the program's name left out; the text that is printed if it is refused.
pub fn arguments(words: Vec<OsString>) -> Result<(), String> {
    thread_local! {
        static TREE: RefCell<clap::Command> = RefCell::new(cli::command());
    }
    let words = std::iter::once(OsString::from("wal")).chain(words);
    TREE.with_borrow_mut(|tree| match tree.try_get_matches_from_mut(words) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.render().to_string()),
    })
}

/// Reads records as `wal append --input FORMAT` does, through a buffer of `piece` bytes; the message of
/// the error that ended it.
pub fn records(
    input: &[u8],
    format: &str,
    limit: u64,
    piece: usize,
) -> (Vec<Bytes>, Option<String>) {
    let format = input::InputFormat::from_str(format, false).expect("a format of the command");
    let input = BufReader::with_capacity(piece, input);
    let mut reader = input::RecordReader::new(input, format, limit);
    let mut records = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => return (records, None),
            Err(failure) => return (records, Some(failure.to_string())),
        }
    }
}

/// Prints a record as `wal dump --output FORMAT` does.
pub fn print(format: &str, lsn: u64, micros: u64, record: &[u8]) -> Vec<u8> {
    let format = output::OutputFormat::from_str(format, false).expect("a format of the command");
    let record = Bytes::copy_from_slice(record);
    let entry = Entry::new(Lsn::new(lsn), Timestamp::from_micros(micros), record);
    let mut out = Vec::new();
    output::write(&mut out, format, &entry).expect("a vector takes everything");
    out
}

/// Reads a size such as `64k`.
pub fn size(text: &str) -> Result<u64, String> {
    size::parse(text)
}

/// Prints a size.
pub fn show_size(bytes: u64) -> String {
    size::show(bytes)
}

/// Reads a time; microseconds since 1970.
pub fn time(text: &str) -> Result<u64, String> {
    time::parse(text).map(Timestamp::as_micros)
}

/// Prints a time.
pub fn show_time(micros: u64) -> String {
    time::show(Timestamp::from_micros(micros))
}
