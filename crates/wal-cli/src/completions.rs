//! `wal completions`: a script for a shell.

use std::io::{self, Write};

use clap::Parser;
use clap_complete::Shell;

use crate::cli;
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

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    // The generator panics if its output fails; memory does not.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "wal", &mut script);
    io::stdout().write_all(&script).map_err(|error| Failure::output(&error))
}
