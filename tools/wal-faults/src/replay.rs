//! One case again.

use anyhow::{Context, bail};
use wal_testkit::mutants::seam_mutants;
use wal_testkit::{Case, Subject};

use super::options::subject_named;

/// Runs a case, and tells its story.
///
/// # Errors
/// If it fails, as it should if nothing has changed since.
pub(super) fn run(trace: &str) -> anyhow::Result<()> {
    let case: Case = trace.parse().context("the trace cannot be read")?;
    let subject = subject(&case)?;
    let outcome = case.replay(&subject);
    case.story(&subject).iter().for_each(|line| println!("{line}"));
    match outcome {
        Ok(()) => {
            println!("the case does not fail any more");
            Ok(())
        }
        Err(violation) if violation.oracle == "case" => {
            bail!("the case does not fit the code any more: {}", violation.what)
        }
        Err(violation) => {
            println!("{violation}");
            bail!("the case still fails");
        }
    }
}

/// What a case is about, with the mistake in it if there was one.
fn subject(case: &Case) -> anyhow::Result<Subject> {
    let Some(name) = &case.mutant else {
        return subject_named(&case.strategy, &case.storage);
    };
    let mutants = seam_mutants();
    let mutant = mutants.iter().find(|mutant| mutant.name == *name);
    let subject = mutant.with_context(|| format!("there is no mutant {name:?}"))?.subject();
    if (&*subject.spelling, subject.storage.name()) != (&case.strategy, &case.storage) {
        bail!("the mutant {name:?} is one of {subject:?}, not of the trace's strategy and storage");
    }
    Ok(subject)
}

/// The command that replays a case.
pub(super) fn command(case: &Case) -> String {
    format!("cargo xtask faults --replay {}", quoted(&case.to_string()))
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_quote_what_a_shell_would_take() {
        let line = "os | file | - | segment 4096; append 1x20 | power@17/512:kd > process@3";
        let case: Case = line.parse().unwrap();
        assert_eq!(command(&case), format!("cargo xtask faults --replay '{line}'"));
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

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
    fn a_mutants_failure_fails_again_and_the_original_does_not() {
        let mutants = seam_mutants();
        let mutant = mutants.iter().find(|m| m.name == "acknowledged-when-written").unwrap();
        let failure = mutant.explorer().run().failure.unwrap();
        let read: Case = failure.case.to_string().parse().unwrap();
        assert_eq!(read.replay(&subject(&read).unwrap()), Err(failure.violation));
        assert_eq!(read.story(&subject(&read).unwrap()), failure.story);
        let honest = Case { mutant: None, ..read };
        run(&honest.to_string()).unwrap();
    }
}
