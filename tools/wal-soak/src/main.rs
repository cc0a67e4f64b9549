//! `cargo xtask soak`: logs under all kinds of work for a long time, whose memory and files must not grow.
//!
//! - `work`: what is done to each log
//! - `watch`: memory and files, and whether they stay as they are

mod watch;
mod work;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use wal_core::{Clock, SystemClock};
use wal_tool::number::grouped;

use self::watch::{Look, Watch};
use self::work::Soaked;

/// The same allocator as in the other tools.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Works on logs for ten minutes, and holds that neither memory nor files grow.
///
/// Appends of all kinds, checkpoints, truncation and readers on logs of small segments, on each storage.
/// Prints a line every ten seconds, and fails if the last third needs more than the one before, or if
/// what is left differs after closing and opening. Takes some 50 MiB of the disk.
#[derive(Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
struct Options {
    /// For how long, in seconds.
    #[arg(long, default_value_t = 600, value_name = "N", value_parser = clap::value_parser!(u64).range(3..))]
    seconds: u64,
    /// Where to put the logs; what is there is removed.
    #[arg(long, default_value = "target/soak")]
    dir: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(
        !cfg!(debug_assertions),
        "this build is not optimised; `cargo xtask soak` runs one that is"
    );
    let dir = &options.dir;
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot clear {}", dir.display()))?;
    }
    let logs = work::open_all(dir)?;
    for log in &logs {
        println!("{log}");
    }
    let (clock, stop) = (SystemClock::new(), &AtomicBool::new(false));
    let mut watch = Watch::default();
    let outcome = thread::scope(|scope| {
        let works: Vec<_> = logs
            .iter()
            .flat_map(|log| log.works())
            .map(|work| scope.spawn(move || work(stop)))
            .collect();
        for second in 1..=options.seconds {
            thread::sleep(Duration::from_secs(second).saturating_sub(clock.monotonic()));
            let look = Look::at(dir);
            if second % 10 == 0 || second == options.seconds {
                println!("{second:>5} s: {}, {look}", work::progress(&logs));
            }
            watch.add(look);
            // A log that failed says why when its thread is asked.
            if works.iter().any(|work| work.is_finished()) {
                break;
            }
        }
        stop.store(true, Relaxed);
        works.into_iter().try_for_each(|work| match work.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("a thread panicked"),
        })
    });
    outcome?;
    let records: u64 = logs.iter().map(Soaked::records).sum();
    logs.into_iter().try_for_each(Soaked::close_and_check)?;
    println!("closed and opened again: what was left of {} records is there", grouped(records));
    let verdict = watch.verdict();
    println!("{verdict}");
    ensure!(verdict.is_flat(), "it grew");
    fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))
}
