//! `wal backup`: a copy of a log, made beside its writer.

use std::path::PathBuf;

use clap::Parser;
use wal_fs::{FileSettings, NewDirectory};
use wal_recovery::Backup;

use crate::failure::{Code, Failure, say};
use crate::{help, open, progress};

const EXAMPLES: &str = "\
Examples:
  wal backup /tmp/log /tmp/copy
  wal backup /tmp/log /backup/log-$(date +%F) && wal verify /backup/log-$(date +%F)

Takes no lock and changes nothing in DIR. Every record that was durable when the backup began is in it, unless it is
truncated meanwhile. Where the file system shares blocks (btrfs, XFS), sealed segments take no space of their own.

NEWDIR appears when everything is copied, checked and durable: it is NEWDIR.unfinished before. If the backup is
interrupted, that is left, and goes when the same command is run again.

A damaged log is not copied: the exit code is 4, and there is no NEWDIR. If the front or the end of the log may be
missing, so it may in the copy: the exit code is 5, and NEWDIR is there.

The copy has the identity of the log. Do not append to both: they would give the same LSNs to different records.";

/// Copy a log while it is written
///
/// Every frame of the copy is checked. The copy is closed: `wal stat` shows where it ends.
#[derive(Debug, Parser)]
#[command(after_help = help::after_help(EXAMPLES), after_long_help = help::after_help(EXAMPLES))]
pub(crate) struct Args {
    /// The log's directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// The directory of the copy; it must be empty, or not be there
    #[arg(value_name = "NEWDIR")]
    new_dir: PathBuf,

    /// Go on where the file system of NEWDIR syncs no directories (CIFS, vboxsf): a power loss may then take whole
    /// segments of the copy
    #[arg(long)]
    allow_unsynced_names: bool,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    // Nothing is begun for a log that is not there.
    let source = open::existing(&args.dir)?;
    let settings = FileSettings::default().allow_unsynced_names(args.allow_unsynced_names);
    let new = NewDirectory::begin_with(&args.new_dir, settings)?;
    if new.found_leftover() {
        say(format_args!(
            "removed what an interrupted backup left in {}.unfinished",
            new.path().display()
        ));
    }
    let target = new.storage()?;
    open::warn(&target);
    let mut backup = Backup::new(source, target).memory_limit(open::memory_limit());
    if let Some(bar) = progress::bar("back up") {
        backup = backup.progress(bar);
    }
    let report = backup.run()?;
    new.finish()?;
    for finding in &report.findings {
        say(format_args!("{finding}"));
    }
    say(format_args!("copied {report}"));
    Ok(if report.findings.is_empty() { Code::Ok } else { Code::Incomplete })
}
