//! `cargo xtask`: checks and measurements of this workspace.

mod bench;
mod ci;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Checks and measurements of this workspace")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must hold: format, lints, tests, documentation, examples.
    ///
    /// Stops at the first step that fails. Ends with the tests of the whole workspace.
    Ci,
    /// Measures the log beside the raw device, in turns, and prints ratios.
    ///
    /// Figures of different runs do not compare: quiet the machine, and look at the ratios.
    Bench {
        /// Where to put the files; must lie on the disk that is to be measured.
        #[arg(long, default_value = "target/bench")]
        dir: PathBuf,
        /// Rounds of each measurement; medians are printed.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Fewer records, for a first look.
        #[arg(long)]
        quick: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Ci => ci::run(),
        Command::Bench { dir, rounds, quick } => bench::run(&dir, rounds, quick),
    }
}
