//! `cargo xtask shuttle`: many threads, under schedules drawn at random.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::models::{Models, target_dir};

/// What to check, how often, or what to repeat.
#[derive(Args)]
pub(crate) struct Options {
    /// Only models whose names contain this.
    model: Option<String>,
    /// Executions of each model under each of the two schedulers.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    iterations: u32,
    /// Where the random numbers begin; the same seed draws the same schedules.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Repeats one execution that failed, from the file that the failure has left; needs the model.
    #[arg(long, value_name = "FILE", requires = "model", conflicts_with_all = ["iterations", "seed"])]
    replay: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let failures = target_dir()?.join("shuttle-failures");
    let env = match &options.replay {
        Some(schedule) => {
            let schedule = fs::canonicalize(schedule)
                .with_context(|| format!("no schedule in {}", schedule.display()))?;
            vec![("WAL_SHUTTLE_REPLAY", schedule.display().to_string())]
        }
        None => {
            if failures.exists() {
                fs::remove_dir_all(&failures).context("cannot remove schedules of earlier runs")?;
            }
            vec![
                ("WAL_SHUTTLE_ITERATIONS", options.iterations.to_string()),
                ("WAL_SHUTTLE_SEED", options.seed.to_string()),
                ("WAL_SHUTTLE_FAILURES", failures.display().to_string()),
            ]
        }
    };
    let outcome = Models {
        target: "shuttle",
        cfg: "wal_shuttle",
        how: "scheduler",
        filter: options.model.as_deref(),
        env,
    }
    .run();
    if options.replay.is_none() && outcome.is_err() {
        print_replays(&failures);
    }
    outcome
}

/// The command that repeats each failure: its schedules lie in a folder named after the model.
fn print_replays(failures: &Path) {
    let Ok(models) = fs::read_dir(failures) else { return };
    for model in models.flatten() {
        for schedule in fs::read_dir(model.path()).into_iter().flatten().flatten() {
            let (model, file) = (model.file_name(), schedule.path());
            println!("cargo xtask shuttle {} --replay {}", model.display(), file.display());
        }
    }
}
