//! `cargo xtask`: checks and measurements of this workspace.

mod bench;
mod ci;
mod faults;
mod fuzz;
mod html;
mod loom;
mod memory;
mod models;
mod mutants;
mod number;
mod release;
mod sanitize;
mod shuttle;
mod soak;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The crash explorer builds and drops many small things: this one is quick at it. `bench/peers` has it,
/// too, so that it decides no comparison.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Measures the log beside the raw device and its peers, in turns, and prints ratios.
    ///
    /// Figures of different runs do not compare: quiet the machine, and look at the ratios. Takes up to
    /// 5 GiB of the disk at a time, with `--full` 12, and gives them back.
    Bench(bench::Options),
    /// Holds every claim against crashes, and the test kit against seeded mistakes.
    ///
    /// Runs workloads on a model disk, crashes them at every change, recovers each image that is left,
    /// and checks what comes back. Ends with what each strategy claims to lose and has lost at most; fails
    /// if a promise is broken, if no crash reaches a claim, or if a mistake is not found.
    Faults(faults::Options),
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
    /// Checks all interleavings of a few threads in the commit pipeline, with loom.
    ///
    /// Prints how many executions each model had. Exhaustive models have no bound on preemptions. Fails if
    /// a model fails, or if it no longer reaches the loss that its strategy claims.
    Loom(loom::Options),
    /// Seeds mistakes in the real code, one at a time, and holds that a check finds each.
    ///
    /// Those at the seams are wrappers; the others are the patches in `mutants/`, applied to a copy of the
    /// tree. Ends with how many were caught; fails if one was not, or if a patch does not apply or build.
    Mutants(mutants::Options),
    /// Runs the tests that reach `unsafe` code under the address sanitizer.
    ///
    /// Needs a nightly toolchain. Where there is none it says so, and does nothing.
    Sanitize,
    /// Checks random schedules of many threads in the commit pipeline, with shuttle.
    ///
    /// A failure leaves its schedule in a file, and prints the command that repeats it.
    Shuttle(shuttle::Options),
    /// Works on logs for ten minutes, and holds that neither memory nor files grow.
    ///
    /// Appends of all kinds, checkpoints, truncation and readers on logs of small segments, on each storage.
    /// Prints a line every ten seconds, and fails if the last third needs more than the one before, or if
    /// what is left differs after closing and opening. Takes some 50 MiB of the disk.
    Soak(soak::Options),
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
        Command::Bench(options) => bench::run(&options),
        Command::Faults(options) => faults::run(&options),
        Command::Fuzz { target, seconds, stable } => fuzz::run(target, seconds, stable),
        Command::Loom(options) => loom::run(&options),
        Command::Mutants(options) => mutants::run(&options),
        Command::Sanitize => sanitize::run(),
        Command::Shuttle(options) => shuttle::run(&options),
        Command::Soak(options) => soak::run(&options),
    }
}
