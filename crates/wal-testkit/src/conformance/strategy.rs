//! The checks of a sync strategy: its claim is held against every crash that can be explored.

use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use wal_core::{Claim, Durability, SyncStrategy, TailView, Trigger};

use super::{Breach, Checked};
use crate::explore::{Explorer, Outcome, Tightness};
use crate::simulation::{StorageUnderTest, Subject};
use crate::{Failure, Rng};

/// States explored on each storage, besides those that drive the strategy to its claim.
const STATES: u64 = 1500;
/// Random views that are shown to the strategy.
const VIEWS: u64 = 5000;

/// A strategy, and what the exploration of its crashes finds.
///
/// The exploration runs the real engine, storage and recovery over the model file system, under
/// workloads that drive the strategy to its claim. It is made when the first check looks at it, and once for all of them.
pub struct Proof {
    strategy: Arc<dyn SyncStrategy>,
    storages: Vec<StorageUnderTest>,
    explored: OnceLock<Vec<Outcome>>,
}

impl Proof {
    /// A strategy on all [storages that are shipped](StorageUnderTest::shipped). To explore them takes some seconds: one
    /// core for each, if there are as many, and several times as long in a build without optimisation.
    pub fn of(strategy: impl SyncStrategy) -> Self {
        Proof::on(strategy, StorageUnderTest::shipped())
    }

    /// A strategy on these storages: those that it is used with, or one of them to be told sooner.
    ///
    /// # Panics
    /// If there are none.
    pub fn on(
        strategy: impl SyncStrategy,
        storages: impl IntoIterator<Item = StorageUnderTest>,
    ) -> Self {
        let storages: Vec<_> = storages.into_iter().collect();
        assert!(!storages.is_empty(), "a strategy is explored on a storage");
        Proof { strategy: Arc::new(strategy), storages, explored: OnceLock::new() }
    }

    /// How many crash states were examined.
    #[must_use]
    pub fn states(&self) -> u64 {
        self.explored().iter().map(|explored| explored.states).sum()
    }

    /// What was found on each storage.
    fn explored(&self) -> &[Outcome] {
        self.explored.get_or_init(|| {
            let explore = |storage: &StorageUnderTest| {
                let subject = Subject::new(self.strategy.clone()).on(storage.clone());
                Explorer::new(subject).states(STATES).run()
            };
            thread::scope(|scope| {
                let spawn = |storage| scope.spawn(move || explore(storage));
                let threads: Vec<_> = self.storages.iter().map(spawn).collect();
                let outcome = |thread: ScopedJoinHandle<'_, Outcome>| {
                    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
                };
                threads.into_iter().map(outcome).collect()
            })
        })
    }

    fn broken(&self, promise: &'static str, seen: impl Into<String>) -> Breach {
        let (who, seen) = (format!("the strategy {}", self.strategy.name()), seen.into());
        Breach { who, promise, seen, calls: Vec::new() }
    }

    fn failure(&self, of: impl Fn(&Failure) -> bool) -> Option<&Failure> {
        self.explored().iter().filter_map(|explored| explored.failure.as_ref()).find(|f| of(f))
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategy = self.strategy.name();
        f.debug_struct("Proof").field("strategy", &strategy).finish_non_exhaustive()
    }
}

/// Whether a failure is that somebody waits in vain.
fn is_about_progress(failure: &Failure) -> bool {
    failure.violation.oracle == "progress"
}

fn told(failure: &Failure) -> String {
    let mut text = failure.violation.what.clone();
    let _ = write!(text, "\n  this is how:");
    for line in &failure.story {
        let _ = write!(text, "\n    {line}");
    }
    let _ = write!(text, "\n  replay: {}", failure.case);
    text
}

/// No crash takes more of the acknowledged records than the strategy claims.
pub fn no_crash_takes_more_than_the_claim(proof: &Proof) -> Result<Checked, Breach> {
    match proof.failure(|failure| !is_about_progress(failure)) {
        None => Ok(Checked::Passed),
        Some(failure) if failure.violation.oracle == "O3" => Err(proof.broken(
            "no crash takes more of the acknowledged records than `claim` says",
            told(failure),
        )),
        Some(failure) => Err(proof.broken(
            "what a log promises whatever its strategy holds with this one, too",
            format!("{}: {}", failure.violation.oracle, told(failure)),
        )),
    }
}

/// A caller that waits is served, whether or not anybody appends any more.
pub fn whoever_waits_is_served(proof: &Proof) -> Result<Checked, Breach> {
    match proof.failure(is_about_progress) {
        None => Ok(Checked::Passed),
        Some(failure) => Err(proof.broken(
            "an append that waits is acknowledged some time, also when nobody appends any more",
            told(failure),
        )),
    }
}

/// Some crash takes all that the strategy claims may be lost: a claim that is wider than needed says
/// nothing.
pub fn some_crash_takes_all_that_is_claimed(proof: &Proof) -> Result<Checked, Breach> {
    let (first, others) = proof.explored().split_first().expect("there is a storage");
    let mut all = first.clone();
    others.iter().for_each(|other| all.merge(other));
    if all.failure.is_some() {
        return Ok(Checked::Skipped("a crash takes more than is claimed".into()));
    }
    let (process, power) = all.tightness();
    for (crash, tightness) in [("the death of the process", process), ("a power loss", power)] {
        if let Tightness::Loose(why) = tightness {
            return Err(proof.broken(
                "a claim is tight: some crash takes all that it says may be lost",
                format!("of {} crashes by {crash} none did: {why}", all.states),
            ));
        }
    }
    Ok(Checked::Passed)
}

/// The same view always gives the same decision.
pub fn the_decision_depends_on_the_view_alone(proof: &Proof) -> Result<Checked, Breach> {
    let strategy = &proof.strategy;
    for view in views() {
        let (once, again) = (strategy.decide(&view), strategy.decide(&view));
        if once != again {
            let seen = format!("{once:?} and then {again:?} for the same view: {view:?}");
            return Err(proof.broken("`decide` depends on the view alone", seen));
        }
    }
    Ok(Checked::Passed)
}

/// A fixed decision is the one that is made for every append.
pub fn a_fixed_decision_is_the_one_that_is_made(proof: &Proof) -> Result<Checked, Breach> {
    let Some(fixed) = proof.strategy.fixed_decision() else { return Ok(Checked::Passed) };
    for view in views().filter(|view| view.trigger == Trigger::Append) {
        let made = proof.strategy.decide(&view);
        if made != fixed {
            let seen = format!("{fixed:?} is fixed, and {made:?} is made for {view:?}");
            return Err(
                proof.broken("`fixed_decision` is what `decide` says to every append", seen)
            );
        }
    }
    Ok(Checked::Passed)
}

/// No view makes the strategy panic: a panic under the log's lock poisons the log.
pub fn no_view_makes_it_panic(proof: &Proof) -> Result<Checked, Breach> {
    for view in views() {
        let decided = catch_unwind(AssertUnwindSafe(|| proof.strategy.decide(&view)));
        if decided.is_err() {
            return Err(proof.broken("`decide` never panics", format!("it does for {view:?}")));
        }
    }
    Ok(Checked::Passed)
}

/// Name and claim are constant, and there is a name.
pub fn name_and_claim_are_constant(proof: &Proof) -> Result<Checked, Breach> {
    let strategy = &proof.strategy;
    let promise = "`name` and `claim` are constant, and the name is not empty";
    let before = (strategy.name(), strategy.claim());
    views().take(100).for_each(|view| {
        let _ = strategy.decide(&view);
    });
    let after = (strategy.name(), strategy.claim());
    if before != after {
        return Err(proof.broken(promise, format!("{before:?} became {after:?}")));
    }
    match before.0.trim().is_empty() {
        true => Err(proof.broken(promise, "it has no name")),
        false => Ok(Checked::Passed),
    }
}

/// Bounds that say "nothing" say it in every unit.
pub fn the_claim_does_not_contradict_itself(proof: &Proof) -> Result<Checked, Breach> {
    let Claim { process_crash, power_loss, .. } = proof.strategy.claim();
    let promise = "the parts of a claim agree with each other";
    for loss in [process_crash, power_loss] {
        if loss.is_nothing() && loss.bytes.is_some_and(|bytes| bytes > 0) {
            return Err(
                proof.broken(promise, format!("no record is lost, but bytes are: {loss:?}"))
            );
        }
    }
    // What the death of a process takes was in its memory, and a power loss takes that, too.
    let more = |process: Option<u64>, power: Option<u64>| match (process, power) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(process), Some(power)) => process > power,
    };
    if more(process_crash.records, power_loss.records)
        || more(process_crash.bytes, power_loss.bytes)
    {
        let seen = format!("a process crash takes {process_crash}, a power loss {power_loss}");
        return Err(proof.broken(promise, seen));
    }
    Ok(Checked::Passed)
}

/// Views of all kinds, those first that stand at some edge.
fn views() -> impl Iterator<Item = TailView> {
    let mut rng = Rng::new(17);
    (0..VIEWS).map(move |_| {
        let triggers = [Trigger::Append, Trigger::Synced, Trigger::Deadline];
        let levels = [
            None,
            Some(Durability::Buffered),
            Some(Durability::Written),
            Some(Durability::Durable),
        ];
        let mut view = TailView::empty(triggers[rng.below(3) as usize]);
        view.requested = levels[rng.below(4) as usize];
        let number = |rng: &mut Rng| match rng.below(6) {
            0 => 0,
            1 => 1,
            2 => u64::MAX >> 1,
            3 => rng.below(1 << 40),
            _ => rng.below(5000),
        };
        view.records = number(&mut rng);
        view.bytes = number(&mut rng);
        view.pending_records = number(&mut rng).min(view.records);
        view.pending_bytes = number(&mut rng).min(view.bytes);
        view.waiting = number(&mut rng).min(view.records);
        let time = |rng: &mut Rng| Duration::from_nanos(number(rng));
        view.pending_age = time(&mut rng);
        view.in_flight = (rng.below(2) == 0).then(|| time(&mut rng));
        view.since_last_sync = time(&mut rng);
        view.sync_cost = time(&mut rng);
        view.records_per_sync = rng.below(1 << 20) as f64 / 7.0;
        view
    })
}

/// Makes a module of named tests that prove a [`SyncStrategy`](wal_core::SyncStrategy): that no crash
/// takes more than it claims, that some crash takes all of it, and that a caller that waits is served.
///
/// The first argument names the module, the second makes the strategy. Bounds should be small here:
/// a strategy that may lose a thousand records needs a thousand appends to be driven there, and each
/// is a place to crash. What holds for 8 records holds for 1000 by the same lines of code.
///
/// ```rust,test_harness
/// use wal_core::{Claim, Decision, Loss, SyncStrategy, SyncWhen, TailView};
///
/// /// At most `0` records are at risk.
/// struct AtMost(u64);
///
/// impl SyncStrategy for AtMost {
///     fn name(&self) -> String {
///         format!("at-most({})", self.0)
///     }
///     fn claim(&self) -> Claim {
///         Claim::written(Loss::UNBOUNDED.records(self.0))
///     }
///     fn decide(&self, tail: &TailView) -> Decision {
///         match tail.records > self.0 {
///             true => Decision::durable(SyncWhen::Now),
///             false => Decision::written(SyncWhen::OnRequest),
///         }
///     }
/// }
///
/// wal_testkit::strategy_conformance!(at_most, AtMost(8));
/// ```
///
/// The crashes are those of all storages that are shipped. Behind `on:` come others, or fewer:
/// `strategy_conformance!(at_most, AtMost(8), on: [my_storage()])`; see [`StorageUnderTest::new`](crate::StorageUnderTest::new).
///
/// One that counts `tail.pending_records`, and so forgets what a sync in flight covers, is told so,
/// with the steps that lead there:
///
/// ```text
/// the strategy at-most(8) breaks its contract
///   promised: no crash takes more of the acknowledged records than `claim` says
///   seen:     17 acknowledged records (17 bytes, …) are missing; the claim is: at most 8 records
///   this is how:
///     step    append 1x1
///     step    slow(append 1x1,append 1x1,…)
///     …
/// ```
#[macro_export]
macro_rules! strategy_conformance {
    ($(#[$meta:meta])* $module:ident, $strategy:expr $(,)?) => {
        $crate::strategy_conformance! { $(#[$meta])* $module, $strategy, on: $crate::StorageUnderTest::shipped() }
    };
    ($(#[$meta:meta])* $module:ident, $strategy:expr, on: $storages:expr $(,)?) => {
        $crate::__strategy_tests! { [$(#[$meta])*] $module, $strategy, $storages,
            no_crash_takes_more_than_the_claim
            some_crash_takes_all_that_is_claimed
            whoever_waits_is_served
            the_decision_depends_on_the_view_alone
            a_fixed_decision_is_the_one_that_is_made
            no_view_makes_it_panic
            name_and_claim_are_constant
            the_claim_does_not_contradict_itself
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __strategy_tests {
    ([$($meta:tt)*] $module:ident, $strategy:expr, $storages:expr, $($check:ident)*) => {
        $($meta)*
        mod $module {
            #[allow(unused_imports, reason = "the expression may be a path from here")]
            use super::*;

            fn proof() -> &'static $crate::conformance::strategy::Proof {
                static PROOF: ::std::sync::OnceLock<$crate::conformance::strategy::Proof> =
                    ::std::sync::OnceLock::new();
                PROOF.get_or_init(|| $crate::conformance::strategy::Proof::on($strategy, $storages))
            }

            $(#[test]
            fn $check() {
                let outcome = $crate::conformance::strategy::$check(proof());
                $crate::conformance::report(
                    ::core::module_path!(),
                    ::core::stringify!($check),
                    outcome,
                );
            })*
        }
    };
}
