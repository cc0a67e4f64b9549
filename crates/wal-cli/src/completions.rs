//! `wal completions`: a script for a shell.

use std::io::{self, Write};

use clap::Parser;
use clap_complete::Shell;

use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  wal completions bash > ~/.local/share/bash-completion/completions/wal
  wal completions zsh > ~/.zfunc/_wal
  wal completions fish > ~/.config/fish/completions/wal.fish";

/// Print a completion script for a shell
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script for `command`, the assembled tree of all subcommands.
pub(crate) fn run(args: &Args, mut command: clap::Command) -> Result<(), Failure> {
    // The generator panics if its output fails; memory does not.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "wal", &mut script);
    io::stdout().write_all(&script).map_err(|error| Failure::output(&error))
}
