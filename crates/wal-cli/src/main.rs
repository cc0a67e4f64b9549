//! The `wal` command: append to a log, look into it, check it, copy it, repair it.
//!
//! | file | idea |
//! | --- | --- |
//! | `cli` | the argument tree: assembles what the subcommands bring |
//! | `append`, `dump`, `verify`, `backup`, `repair`, `stat`, `truncate`, `completions` | one subcommand each, with its arguments |
//! | `input`, `output` | records from and to streams of bytes |
//! | `open` | getting at a log: its storage, its recovery |
//! | `failure` | what is told, and with which exit code, when something goes wrong |
//! | `help` | what all help texts share |
//! | `progress`, `size`, `time` | a bar, sizes and times as text |

mod append;
mod backup;
mod cli;
mod completions;
mod dump;
mod failure;
mod help;
mod input;
mod open;
mod output;
mod progress;
mod repair;
mod size;
mod stat;
mod time;
mod truncate;
mod verify;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
