//! `cargo xtask`: checks of this workspace, and calls of its tools.
//!
//! | file | idea |
//! | --- | --- |
//! | `ci`, over `steps` | the steps that must pass, and the quick ones |
//! | `builds` | each feature alone, the oldest compiler, other systems |
//! | `tidy` | rules of the house that neither rustfmt nor clippy holds |
//! | `loom`, `shuttle`, over `models` | the models of the commit pipeline under a checker |
//! | `mutants` | seeded mistakes, each of which a check must find |
//! | `package` | packs what would be published |
//! | `fuzz`, `sanitize` | what needs a nightly toolchain, and what is done without one |
//! | `tools` | programs in `tools/`, built and run: `api`, `bench`, `faults`, `soak` |
//! | `tree` | a copy of the tree, to be changed at will |
//! | `stopwatch` | the time that a step takes |
//!
//! This program depends on no other crate of the workspace, and on few at all: it is built before the
//! first check can run.

mod builds;
mod ci;
mod fuzz;
mod loom;
mod models;
mod mutants;
mod package;
mod sanitize;
mod shuttle;
mod steps;
mod stopwatch;
mod tidy;
mod tools;
mod tree;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::tools::Build;

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
    /// The quick check: format, rules of the house, lints, all tests, a small slice of the crashes.
    ///
    /// Finds most of what `ci` finds in a fraction of its time, as nothing is built with optimisation.
    Test,
    /// Compiles in ways that nobody uses while working.
    Builds {
        /// Which way.
        #[arg(value_enum)]
        way: builds::Way,
    },
    /// Lists the public items of each crate in `api/`, so that a change shows in a diff.
    #[command(disable_help_flag = true)]
    Api(Passed),
    /// Measures the log beside the raw device and its peers, in turns, and prints ratios.
    #[command(disable_help_flag = true)]
    Bench(Passed),
    /// Holds every claim against crashes, and the test kit against seeded mistakes.
    #[command(disable_help_flag = true)]
    Faults(Passed),
    /// Fuzzes what reads hostile bytes, one target after another.
    ///
    /// Needs a nightly toolchain and cargo-fuzz. Where they are missing it says so, and runs the kept
    /// inputs and mutations of them on the present toolchain. Ends with the count of executions and
    /// crashes; a crash, an input of 10 s or 1 GiB (replay: 5 s or 64 MiB) makes it fail.
    Fuzz {
        /// Only this target.
        #[arg(long, value_enum, value_name = "NAME")]
        target: Option<fuzz::Target>,
        /// How long each target runs, in seconds.
        #[arg(long, default_value_t = 60, value_name = "N",
              value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
        /// The present toolchain even if libFuzzer could run.
        #[arg(long)]
        stable: bool,
    },
    /// Checks two and three threads in the commit pipeline, with loom.
    ///
    /// Small models run under every schedule, larger ones under every schedule with few preemptions. Prints the bound
    /// of each model and how many executions it had. Fails if a model fails, or if it no longer reaches the loss
    /// that its strategy claims.
    Loom(loom::Options),
    /// Seeds mistakes in the real code, one at a time, and holds that a check finds each.
    ///
    /// Those at the seams are wrappers; the others are the patches in `mutants/`, applied to a copy of the
    /// tree. Ends with how many were caught; fails if one was not, or if a patch does not apply or build.
    Mutants(mutants::Options),
    /// Packs the crates as for a release, and publishes nothing.
    ///
    /// Works on a copy of the tree, in which they may be published. RELEASE.md says what a release takes.
    Package {
        /// Builds each from its package as well
        #[arg(long)]
        verify: bool,
    },
    /// Runs the tests that reach `unsafe` code under the address sanitizer.
    ///
    /// Needs a nightly toolchain. Where there is none it says so, and does nothing.
    Sanitize,
    /// Checks random schedules of many threads in the commit pipeline, with shuttle.
    ///
    /// A failure leaves its schedule in a file, and prints the command that repeats it.
    Shuttle(shuttle::Options),
    /// Works on logs for ten minutes, and holds that neither memory nor files grow.
    #[command(disable_help_flag = true)]
    Soak(Passed),
    /// Rules of the house that neither rustfmt nor clippy holds.
    ///
    /// Lengths of files and functions, where time, files and random numbers may be used, files that no `mod`
    /// leads to, links that lead nowhere, blanks at the ends of lines. Each exception stands in a table with
    /// its reason.
    Tidy,
}

/// What a tool is given; it reads its options itself, `--help` among them.
#[derive(clap::Args)]
struct Passed {
    /// Options of the tool; `--help` shows them.
    #[arg(value_name = "OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Ci => ci::run(),
        Command::Test => ci::run_quick(),
        Command::Builds { way } => builds::run(way),
        Command::Bench(options) => tools::run("wal-bench", Build::Release, &options.words),
        Command::Faults(options) => tools::run("wal-faults", Build::Release, &options.words),
        Command::Fuzz { target, seconds, stable } => fuzz::run(target, seconds, stable),
        Command::Loom(options) => loom::run(&options),
        Command::Mutants(options) => mutants::run(&options),
        Command::Package { verify } => package::run(verify),
        Command::Sanitize => sanitize::run(),
        Command::Shuttle(options) => shuttle::run(&options),
        Command::Tidy => tidy::run(),
        Command::Api(options) => tools::run("wal-api", Build::Dev, &options.words),
        Command::Soak(options) => tools::run("wal-soak", Build::Release, &options.words),
    }
}
