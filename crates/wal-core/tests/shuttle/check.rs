//! Runs one model under two schedulers, counts its executions and reports them.
//!
//! The random scheduler takes any thread that can run; PCT (Burckhardt and others, "A Randomized
//! Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010) gives priorities and changes
//! them at few points, which finds what needs a thread to stand still for long.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner};
use wal_core::{Clock, SystemClock};

use crate::models::explain_failure;

/// At how many points PCT changes priorities.
const PCT_DEPTH: usize = 3;

/// A test for each model: one execution of it. It returns how many acknowledged records it lost.
macro_rules! models {
    ($($name:ident: $execution:expr;)*) => {$(
        #[test]
        fn $name() {
            model(stringify!($name), $execution);
        }
    )*};
}
pub(crate) use models;

fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not what it should be")))
}

/// Checks `execution` under schedules of both kinds, or under one that failed before. Prints a line for
/// each to be read by `cargo xtask shuttle`.
pub(crate) fn model<F>(name: &'static str, execution: F)
where
    F: Fn() -> u64 + Send + Sync + 'static,
{
    let execution = Arc::new(execution);
    if let Some(schedule) = setting::<PathBuf>("WAL_SHUTTLE_REPLAY") {
        let scheduler = ReplayScheduler::new_from_file(&schedule)
            .unwrap_or_else(|e| panic!("cannot read {}: {e}", schedule.display()));
        return run(name, "replay", scheduler, &execution);
    }
    let iterations = setting("WAL_SHUTTLE_ITERATIONS").unwrap_or(100);
    let seed = setting("WAL_SHUTTLE_SEED").unwrap_or(1);
    run(name, "random", RandomScheduler::new_from_seed(seed, iterations), &execution);
    run(name, "pct", PctScheduler::new_from_seed(seed, PCT_DEPTH, iterations), &execution);
}

fn run<F>(
    name: &'static str,
    how: &'static str,
    scheduler: impl Scheduler + 'static,
    execution: &Arc<F>,
) where
    F: Fn() -> u64 + Send + Sync + 'static,
{
    let (count, worst) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.silence_warnings = true;
    config.failure_persistence = match setting::<PathBuf>("WAL_SHUTTLE_FAILURES") {
        // A folder for each model says whose schedules they are.
        Some(dir) => FailurePersistence::File(Some(dir.join(name))),
        None if how == "replay" => FailurePersistence::None,
        None => FailurePersistence::Print,
    };
    if let FailurePersistence::File(Some(dir)) = &config.failure_persistence {
        std::fs::create_dir_all(dir).expect("a place for schedules that fail");
    }
    let running = count.clone();
    explain_failure(move || (format!("{name} ({how})"), running.load(Ordering::Relaxed)));
    let clock = SystemClock::new();
    let (counted, seen, execution) = (count.clone(), worst.clone(), execution.clone());
    Runner::new(scheduler, config).run(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        seen.fetch_max(execution(), Ordering::Relaxed);
    });
    let (executions, worst) = (count.load(Ordering::Relaxed), worst.load(Ordering::Relaxed));
    let took = clock.monotonic().as_secs_f64();
    // The runner has begun a line of its own.
    println!("\nmodel\t{name}\t{how}\t{executions}\t{took:.2}\t{worst}");
}
