//! The `wal` command: append to a log, look into it, check it, repair it.
//!
//! One file per subcommand (`append`, `dump`, `verify`, `repair`, `stat`, `truncate`,
//! `completions`), `cli` for the argument tree, and the shared pieces: `input` and `output` for the
//! record formats, `open` for getting at a log, `failure` for what is told when something goes wrong,
//! `progress`, `size` and `time`.

mod append;
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
