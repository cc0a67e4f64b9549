//! Mutants and subjects, spread over threads and over the time there is.

use std::io;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::Duration;

use wal_core::{Clock, SystemClock};
use wal_testkit::mutants::{Mutant, seam_mutants};
use wal_testkit::{Explorer, Outcome, Subject};

use super::owners::{self, Owned, Owners};
use super::progress::{Length, Progress};
use super::report::{Report, Timing};
use super::risk::merged;
use super::trial::Trial;

/// The name of the threads on which code under test may panic: that is a finding, and told as one.
const EXPLORER: &str = "explorer";

/// How much of each subject is explored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effort {
    /// So many states.
    States(u64),
    /// All subjects together for so long.
    Budget(Duration),
}

/// Who is told of the progress.
pub(super) type Tell = Arc<dyn Fn(Progress) + Send + Sync>;

/// All that was asked for.
pub(super) struct Plan {
    pub(super) subjects: Vec<Subject>,
    pub(super) effort: Effort,
    pub(super) seed: u64,
    pub(super) threads: usize,
    pub(super) exotic: bool,
    pub(super) mutants: bool,
    pub(super) owners: Owners,
    pub(super) tell: Tell,
}

/// Explores all that was asked for.
pub(super) fn all(plan: &Plan) -> io::Result<Report> {
    expect_panics();
    let clock = SystemClock::new();
    let owners = owners_of_one(plan)?;
    let for_owners = clock.monotonic();
    let trials = if plan.mutants { Some(mutants(plan)?) } else { None };
    let for_mutants = clock.monotonic();
    let (outcomes, timing) = match plan.effort {
        Effort::States(states) => (counted(plan, states)?, None),
        Effort::Budget(budget) => {
            // The mutants come on top: the machine's speed must not decide who is caught.
            let outcomes = timed(plan, budget)?;
            let seconds = (clock.monotonic() - for_mutants).as_secs_f64();
            let mutants = (for_mutants - for_owners).as_secs_f64();
            (outcomes, Some(Timing { threads: plan.threads, seconds, mutants }))
        }
    };
    Ok(Report::new(plan.seed, plan.exotic, timing, outcomes, trials).with_owners(owners))
}

/// Lets panics on explorers' threads be silent: the explorer catches and reports them.
fn expect_panics() {
    static EXPECTED: Once = Once::new();
    EXPECTED.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(EXPLORER) {
                usual(info);
            }
        }));
    });
}

fn owners_of_one(plan: &Plan) -> io::Result<Vec<Owned>> {
    let scenarios = owners::scenarios(plan.owners);
    if scenarios.is_empty() {
        return Ok(Vec::new());
    }
    (plan.tell)(Progress::Begun { part: "owners", length: Length::Jobs(scenarios.len()) });
    spread(scenarios.len(), plan.threads, |at, _| {
        let owned = owners::run(plan.owners, at, &scenarios[at], plan.seed);
        (plan.tell)(Progress::States(owned.orders));
        (plan.tell)(Progress::JobDone);
        owned
    })
}

fn mutants(plan: &Plan) -> io::Result<Vec<Trial>> {
    let mutants = seam_mutants();
    (plan.tell)(Progress::Begun { part: "mutants", length: Length::Jobs(mutants.len()) });
    spread(mutants.len(), plan.threads, |at, _| {
        let mutant: &Mutant = &mutants[at];
        let explorer = watched(mutant.explorer().seed(plan.seed).shrink(false), &plan.tell);
        let trial = Trial::of(mutant, explorer.run());
        (plan.tell)(Progress::JobDone);
        trial
    })
}

/// Each subject to a number of states.
fn counted(plan: &Plan, states: u64) -> io::Result<Vec<Outcome>> {
    let subjects = &plan.subjects;
    (plan.tell)(Progress::Begun { part: "claims", length: Length::Jobs(subjects.len()) });
    spread(subjects.len(), plan.threads, |at, _| {
        let explorer = Explorer::new(subjects[at].clone()).states(states).turn(at as u64);
        let explorer = explorer.seed(plan.seed).exotic(plan.exotic);
        let outcome = watched(explorer, &plan.tell).run();
        (plan.tell)(Progress::JobDone);
        outcome
    })
}

/// All subjects for a time, of which each gets the same share.
fn timed(plan: &Plan, time: Duration) -> io::Result<Vec<Outcome>> {
    let (subjects, threads) = (&plan.subjects, plan.threads);
    let copies = copies(subjects.len(), threads);
    (plan.tell)(Progress::Begun { part: "claims", length: Length::Time(time) });
    let clock = SystemClock::new();
    let outcomes = spread(subjects.len() * copies, threads, |at, left| {
        // What others took too long for, or did not need, is shared by those that are left.
        let share = time.saturating_sub(clock.monotonic()) / left.div_ceil(threads) as u32;
        let (subject, copy) = (&subjects[at / copies], at % copies);
        let explorer = Explorer::new(subject.clone()).time(share).turn(at as u64);
        let explorer = explorer.seed(plan.seed + copy as u64).exotic(plan.exotic);
        watched(explorer, &plan.tell).run()
    })?;
    Ok(outcomes.chunks(copies).map(merged).collect())
}

/// How often each subject is explored, from a different seed each time, so that no thread is idle at
/// the end.
fn copies(subjects: usize, threads: usize) -> usize {
    let (mut a, mut b) = (subjects, threads);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    threads / a
}

fn watched(explorer: Explorer, tell: &Tell) -> Explorer {
    let tell = tell.clone();
    explorer.progress(move |more| tell(Progress::States(more)))
}

/// Runs jobs on so many threads, each thread one at a time; results are in the order of the jobs.
/// Each job is told its number, and how many are left with it.
fn spread<T: Send>(
    jobs: usize,
    threads: usize,
    run: impl Fn(usize, usize) -> T + Sync,
) -> io::Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<_>> = Mutex::new((0..jobs).map(|_| None).collect());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= jobs {
                return;
            }
            let result = run(at, jobs - at);
            results.lock().expect("nothing panics while it is held")[at] = Some(result);
        }
    };
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..threads.min(jobs) {
            workers.push(thread::Builder::new().name(EXPLORER.into()).spawn_scoped(scope, work)?);
        }
        for worker in workers {
            if let Err(panic) = worker.join() {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                let text = text.unwrap_or("without a message");
                return Err(io::Error::other(format!("the explorer itself panicked: {text}")));
            }
        }
        Ok(())
    })?;
    let results = results.into_inner().expect("nothing panics while it is held");
    Ok(results.into_iter().map(|result| result.expect("every job was run")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whoever_is_first() {
        let squares = spread(50, 4, |at, left| {
            thread::sleep(Duration::from_micros(left as u64 % 7 * 100));
            at * at
        });
        assert_eq!(squares.unwrap(), (0..50).map(|n| n * n).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_of_the_explorer_is_an_error() {
        let error = spread(3, 2, |at, _| assert_ne!(at, 1, "one is bad")).unwrap_err();
        assert!(error.to_string().contains("one is bad"), "{error}");
    }

    #[test]
    fn copies_fill_every_thread() {
        assert_eq!(copies(24, 2), 1);
        assert_eq!(copies(1, 2), 2);
        assert_eq!(copies(24, 16), 2);
        assert_eq!(copies(3, 2), 2);
    }
}
