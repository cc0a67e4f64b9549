//! Runs one model, counts its executions and reports them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wal_core::{Clock, SystemClock};

use crate::models::explain_failure;

/// How many times loom may take the processor from a thread that could go on.
///
/// `None` is no bound: every interleaving that differs. The second one is for `cargo xtask loom --slice`.
#[derive(Clone, Copy)]
pub(crate) struct Preemptions {
    full: Option<usize>,
    slice: Option<usize>,
}

/// Every interleaving, also in the slice.
pub(crate) const EXHAUSTIVE: Preemptions = Preemptions { full: None, slice: None };

/// Every interleaving with up to `n` preemptions.
pub(crate) const fn up_to(n: usize) -> Preemptions {
    Preemptions { full: Some(n), slice: Some(n) }
}

impl Preemptions {
    /// With fewer in the slice.
    pub(crate) const fn slice(self, n: usize) -> Self {
        Preemptions { slice: Some(n), ..self }
    }

    fn chosen(self) -> Option<usize> {
        if std::env::var_os("WAL_LOOM_SLICE").is_some() { self.slice } else { self.full }
    }
}

/// Checks every interleaving of `execution` within the bound; it returns what a power loss took of the
/// acknowledged records. Prints a line for `cargo xtask loom`, and returns the worst of these losses.
pub(crate) fn model(
    name: &'static str,
    preemptions: Preemptions,
    execution: impl Fn() -> u64 + Send + Sync + 'static,
) -> u64 {
    let bound = preemptions.chosen();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = bound;
    builder.max_branches = 20_000;
    let (count, worst) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let running = count.clone();
    explain_failure(move || (name.into(), running.load(Ordering::Relaxed)));
    let clock = SystemClock::new();
    let (counted, seen) = (count.clone(), worst.clone());
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        seen.fetch_max(execution(), Ordering::Relaxed);
    });
    let (executions, worst) = (count.load(Ordering::Relaxed), worst.load(Ordering::Relaxed));
    let bound = bound.map_or("exhaustive".into(), |n| n.to_string());
    let took = clock.monotonic().as_secs_f64();
    // The runner has begun a line of its own.
    println!("\nmodel\t{name}\t{bound}\t{executions}\t{took:.2}\t{worst}");
    worst
}

/// A test for each model: its bound, one execution of it, and how many acknowledged records its worst
/// execution loses. A smaller loss fails as well: then the model does not reach what the claim is about.
macro_rules! models {
    ($($name:ident: $bound:expr, $execution:expr, loses $loss:literal;)*) => {$(
        #[test]
        fn $name() {
            let worst = model(stringify!($name), $bound, $execution);
            assert_eq!(worst, $loss, "records lost at worst");
        }
    )*};
}
pub(crate) use models;
