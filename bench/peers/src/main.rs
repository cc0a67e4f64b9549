//! Other logs and embedded stores under the workloads of `cargo xtask bench`.
//!
//! One measurement is one process, so that no engine inherits the memory or the threads of another.
//! What each engine is asked for, and how that was checked, is told in the README.

mod engines;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use engines::{ENGINES, Engine};
use wal_load::{Timing, Workload, Writers, threads};

#[cfg(feature = "others")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Other logs under the workloads of cargo xtask bench; every append is durable")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints the names of all engines.
    List,
    /// Measures one engine under one workload, and prints what was measured as JSON.
    Run {
        #[command(flatten)]
        what: What,
        /// How long is measured, after a fifth of it to warm up.
        #[arg(long, default_value_t = 1.0)]
        seconds: f64,
    },
    /// Makes a number of calls, one after another, and says when each was acknowledged: to see what an
    /// engine asks of the operating system before.
    Calls {
        #[command(flatten)]
        what: What,
        /// How many.
        #[arg(long, default_value_t = 100)]
        calls: u64,
    },
}

#[derive(clap::Args)]
struct What {
    /// One of those that `list` prints.
    #[arg(long, value_parser = engine)]
    engine: &'static Engine,
    /// Such as threads:16:100, or threads:1:1000x100 for batches.
    #[arg(long)]
    workload: Workload,
    /// An empty directory on the disk that is measured. What is written stays there.
    #[arg(long)]
    dir: PathBuf,
}

fn engine(name: &str) -> Result<&'static Engine, String> {
    let names: Vec<_> = ENGINES.iter().map(|engine| engine.name).collect();
    let known = || format!("{name:?} is no engine; there are {}", names.join(", "));
    ENGINES.iter().find(|engine| engine.name == name).ok_or_else(known)
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::List => ENGINES.iter().for_each(|engine| println!("{}", engine.name)),
        Command::Run { what, seconds } => {
            let timing = Timing::of(Duration::try_from_secs_f64(seconds)?);
            let writers = what.writers()?;
            let sample = threads(&what.workload, &timing, writers)
                .with_context(|| format!("{}: {}", what.engine.name, what.workload))?;
            println!("{}", serde_json::to_string(&sample)?);
        }
        Command::Calls { what, calls } => {
            ensure!(what.workload.writers == Writers::Threads(1), "one thread makes the calls");
            // Not buffered, so that a trace of system calls shows what was asked for before.
            let mut out = std::io::stdout().lock();
            for mut write in what.writers()? {
                for _ in 0..calls {
                    write()?;
                    writeln!(out, "acknowledged")?;
                }
            }
        }
    }
    Ok(())
}

impl What {
    fn writers(&self) -> anyhow::Result<Vec<engines::Writer>> {
        ensure!(
            matches!(self.workload.writers, Writers::Threads(_)),
            "{}: none of these engines is asynchronous",
            self.workload
        );
        ensure!(is_empty(&self.dir)?, "{} is not empty", self.dir.display());
        (self.engine.writers)(&self.dir, &self.workload)
    }
}

fn is_empty(dir: &Path) -> anyhow::Result<bool> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(std::fs::read_dir(dir)?.next().is_none())
}
