//! One case again.

use anyhow::{Context, bail};
use wal_faults::{Case, Faults};

use super::options::named;

/// Runs a case, and tells its story.
///
/// # Errors
/// If it fails, as it should if nothing has changed since.
pub(super) fn run(trace: &str) -> anyhow::Result<()> {
    let case: Case = trace.parse().context("the trace cannot be read")?;
    let faults = match &case.mutant {
        Some(_) => Faults::new(),
        None => named(&case.strategy, &case.storage)?,
    };
    let replay = faults.replay(trace)?;
    replay.story().iter().for_each(|line| println!("{line}"));
    match replay.violation() {
        None => {
            println!("the case does not fail any more");
            Ok(())
        }
        Some(violation) => {
            println!("{violation}");
            bail!("the case still fails");
        }
    }
}

#[cfg(test)]
mod tests {
    use wal_testkit::mutants::seam_mutants;

    use super::*;

    #[test]
    fn a_trace_names_what_it_is_about() {
        let told = |line: &str| run(line).unwrap_err().to_string();
        assert_eq!(told("nothing"), "the trace cannot be read");
        assert!(told("os | tape | - | append 1x1 | -").contains("\"tape\" is no storage"));
        assert!(told("never | file | - | append 1x1 | -").contains("never"));
        assert_eq!(told("os | file | x | append 1x1 | -"), "there is no mutant \"x\"");
        let known = seam_mutants()[0].name;
        let wrong = format!("batch:77 | file | {known} | append 1x1 | -");
        assert!(told(&wrong).contains("not of the trace's strategy"));
    }

    #[test]
    fn an_honest_case_does_not_fail() {
        let mutants = seam_mutants();
        let mutant = mutants.iter().find(|m| m.name == "acknowledged-when-written").unwrap();
        let mut failure = mutant.explorer().run().failure.unwrap();
        failure.case.mutant = None;
        run(&failure.case.to_string()).unwrap();
    }
}
