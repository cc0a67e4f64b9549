//! The argument tree: assembled from the arguments of each subcommand, parsed, and run.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::failure::{Code, Failure, say};
use crate::help::after_help;
use crate::{append, backup, completions, dump, open, repair, size, stat, truncate, verify};

const EXAMPLES: &str = "\
Examples:
  seq 1 1000 | wal append /tmp/log    create a log, or go on with one
  wal dump /tmp/log                   print the records
  wal dump /tmp/log --follow          print records as they come
  wal stat /tmp/log                   segments, LSNs, sizes
  wal verify /tmp/log                 check every byte, change none
  wal backup /tmp/log /tmp/copy       copy the log, also while it is written
  wal repair /tmp/log                 cut a torn tail, keep a copy of what is cut";

/// Write-ahead logs: append, dump, verify, repair
///
/// A log is a directory of segments. Its records are numbered from 1 (LSN). One process at a time may
/// write; any number may read meanwhile.
#[derive(Debug, Parser)]
#[command(name = "wal", version, propagate_version = true)]
#[command(after_help = after_help(EXAMPLES), after_long_help = after_help(EXAMPLES))]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How much memory reading, recovering and repairing may take
    #[arg(long, global = true, value_name = "SIZE", value_parser = size::parse, default_value = "256M")]
    memory_limit: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    Append(append::Args),
    Dump(dump::Args),
    Verify(verify::Args),
    Backup(backup::Args),
    Repair(repair::Args),
    Stat(stat::Args),
    Truncate(truncate::Args),
    Completions(completions::Args),
}

impl Command {
    /// How the subcommand is called.
    fn name(&self) -> &'static str {
        match self {
            Command::Append(_) => "append",
            Command::Dump(_) => "dump",
            Command::Verify(_) => "verify",
            Command::Backup(_) => "backup",
            Command::Repair(_) => "repair",
            Command::Stat(_) => "stat",
            Command::Truncate(_) => "truncate",
            Command::Completions(_) => "completions",
        }
    }

    fn run(self) -> Result<Code, Failure> {
        match self {
            Command::Append(args) => append::run(args).map(|()| Code::Ok),
            Command::Dump(args) => dump::run(&args).map(|()| Code::Ok),
            Command::Verify(args) => verify::run(&args),
            Command::Backup(args) => backup::run(&args),
            Command::Repair(args) => repair::run(&args),
            Command::Stat(args) => stat::run(&args),
            Command::Truncate(args) => truncate::run(&args).map(|()| Code::Ok),
            Command::Completions(args) => completions::run(&args, command()).map(|()| Code::Ok),
        }
    }
}

/// The assembled tree.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// Parses, runs, reports.
pub(crate) fn run() -> ExitCode {
    let Cli { command, memory_limit } = Cli::parse();
    open::limit_memory(memory_limit);
    survive_file_size_limit();
    let name = command.name();
    let code = command.run().unwrap_or_else(|failure| {
        if failure.code == Code::Usage {
            misused(name, &failure)
        }
        failure.report();
        failure.code
    });
    ExitCode::from(code as u8)
}

/// A write beyond `ulimit -f` raises a signal that ends the process. Once it is handled, the write
/// fails instead, and the log can say what happened.
fn survive_file_size_limit() {
    #[cfg(unix)]
    {
        let flag = std::sync::Arc::default();
        if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, flag) {
            say(format_args!("cannot handle SIGXFSZ: {error}"));
        }
    }
}

/// Tells of wrong usage as clap tells what it finds itself, with the subcommand's usage.
fn misused(subcommand: &str, failure: &Failure) -> ! {
    let mut command = command();
    command.build();
    let subcommand = command.find_subcommand_mut(subcommand).expect("named in the tree");
    subcommand.error(ErrorKind::ArgumentConflict, failure).exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound() {
        command().debug_assert();
    }
}
