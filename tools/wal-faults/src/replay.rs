//! One case again.

use std::io::{Error, ErrorKind, Result};

use wal_testkit::mutants::seam_mutants;
use wal_testkit::{Case, Subject, Violation};

/// What became of a case that was run again.
#[derive(Clone, Debug)]
#[must_use]
pub struct Replay {
    story: Vec<String>,
    violation: Option<Violation>,
}

impl Replay {
    /// The case told step by step.
    #[must_use]
    pub fn story(&self) -> &[String] {
        &self.story
    }

    /// The promise that it breaks, if it still does.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }
}

/// Runs a case on the subject that it speaks of.
pub(super) fn replay(subjects: &[Subject], line: &str) -> Result<Replay> {
    let case: Case = line.parse()?;
    let subject = subject(subjects, &case)?;
    let outcome = case.replay(&subject);
    let violation = match outcome {
        Ok(()) => None,
        Err(violation) if violation.oracle == "case" => {
            let told = format!("the case does not fit the code any more: {}", violation.what);
            return Err(Error::new(ErrorKind::InvalidData, told));
        }
        Err(violation) => Some(violation),
    };
    Ok(Replay { story: case.story(&subject), violation })
}

/// What a case is about, with the mistake in it if there was one.
fn subject(subjects: &[Subject], case: &Case) -> Result<Subject> {
    let unknown = |told: String| Error::new(ErrorKind::InvalidInput, told);
    let fits = |s: &Subject| s.spelling == case.strategy && s.storage.name() == case.storage;
    let Some(name) = &case.mutant else {
        let subject = subjects.iter().find(|subject| fits(subject));
        let Case { strategy, storage, .. } = case;
        return subject.cloned().ok_or_else(|| {
            unknown(format!("the trace is one of {strategy} on {storage}, which is not here"))
        });
    };
    let mutants = seam_mutants();
    let mutant = mutants.iter().find(|mutant| mutant.name == *name);
    let mutant = mutant.ok_or_else(|| unknown(format!("there is no mutant {name:?}")))?;
    let subject = mutant.subject();
    if !fits(&subject) {
        let told = format!(
            "the mutant {name:?} is one of {subject:?}, not of the trace's strategy and storage"
        );
        return Err(unknown(told));
    }
    Ok(subject)
}

/// How to see a case again: with the command, or by a call.
pub(super) fn again(command: Option<&str>, case: &Case) -> String {
    match command {
        Some(command) => format!("{command} --replay {}", quoted(&case.to_string())),
        None => format!("Faults::replay({:?})", case.to_string()),
    }
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
        let command = again(Some("cargo xtask faults"), &case);
        assert_eq!(command, format!("cargo xtask faults --replay '{line}'"));
        assert_eq!(again(None, &case), format!("Faults::replay(\"{line}\")"));
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_mutants_failure_fails_again_and_the_original_does_not() {
        let mutants = seam_mutants();
        let mutant = mutants.iter().find(|m| m.name == "acknowledged-when-written").unwrap();
        let mut failure = mutant.explorer().run().failure.unwrap();
        let replayed = replay(&[], &failure.case.to_string()).unwrap();
        assert_eq!(replayed.violation(), Some(&failure.violation));
        assert_eq!(replayed.story(), failure.story);
        failure.case.mutant = None;
        let honest = failure.case.to_string();
        let error = replay(&[], &honest).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(replay(&[mutant.original()], &honest).unwrap().violation().is_none());
    }
}
