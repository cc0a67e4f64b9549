//! Every mistake at a seam is found, shrunk, told, and found again by its own text.

use std::collections::BTreeSet;

use wal_testkit::Explorer;
use wal_testkit::mutants::{Mutant, Status, seam_mutants};

/// What is left of a workload when it is as short as it gets.
const MOST_STEPS: usize = 8;

/// That each is caught is seen by `cargo xtask mutants`, in the build that is fast. Here one of four is shrunk and
/// replayed.
#[test]
fn one_of_four_is_caught_by_a_short_case_that_replays() {
    are_caught_by_short_cases_that_replay(seam_mutants().into_iter().step_by(4));
}

#[test]
#[ignore = "takes minutes: every mistake at a seam is searched for, shrunk and replayed"]
fn each_is_caught_by_a_short_case_that_replays() {
    are_caught_by_short_cases_that_replay(seam_mutants());
}

fn are_caught_by_short_cases_that_replay(mutants: impl IntoIterator<Item = Mutant>) {
    let mut wrong = Vec::new();
    for mutant in mutants {
        let (by, states, failure) = match mutant.run() {
            Status::Caught { by, states, failure } => (by, states, failure),
            status => {
                wrong.push(format!("{}: {status:?}", mutant.name));
                continue;
            }
        };
        println!("{}: {by} after {states} states", mutant.name);
        let Some(failure) = failure else { continue };
        println!("{failure}\n");
        let mut check = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{}: {what}\n{failure}", mutant.name));
            }
        };
        let replayed = failure.case.to_string().parse().unwrap_or_else(|e| panic!("{e}"));
        check(failure.case == replayed, "the case's text is another case");
        let again = replayed.replay(&mutant.subject());
        check(again == Err(failure.violation.clone()), &format!("a replay gives {again:?}"));
        // Without the mistake other changes may be pending there: then the case says nothing.
        let honest = replayed.replay(&mutant.original());
        let holds = honest.as_ref().err().is_none_or(|violation| violation.oracle == "case");
        check(holds, &format!("without the mistake: {honest:?}"));
        check(replayed.mutant.as_deref() == Some(mutant.name), "the case does not name it");
        check(failure.story.len() > 1, "the story is empty");
        check(replayed.workload.steps.len() <= MOST_STEPS, "the case is long");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Without its mistake each of them holds, so what was found is the mistake.
#[test]
fn the_originals_hold() {
    let mut seen = BTreeSet::new();
    for mutant in seam_mutants() {
        let original = mutant.original();
        if !seen.insert((original.spelling.clone(), original.storage.name().to_owned())) {
            continue;
        }
        let outcome = Explorer::new(original).states(2000).run();
        assert!(outcome.holds(), "{outcome:?}");
    }
}

#[test]
fn names_are_unique_and_kebab_case() {
    let mutants = seam_mutants();
    let names: BTreeSet<_> = mutants.iter().map(|mutant| mutant.name).collect();
    assert_eq!(names.len(), mutants.len());
    for mutant in &mutants {
        let kebab = mutant.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(kebab && !mutant.name.starts_with('-'), "{}", mutant.name);
        assert!(mutant.bug.len() > 20 && !mutant.bug.ends_with('.'), "{}", mutant.name);
    }
}
