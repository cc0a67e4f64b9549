//! The seeded mistakes at the seams, one by one, for `cargo xtask mutants`.
//!
//! What is printed is read by a program: a line for each mutant, its fields separated by tabs.

use std::io::{self, Write};

use anyhow::Context;
use wal_core::{Clock, SystemClock};
use wal_testkit::mutants::{Mutant, Status, seam_mutants};

/// Prints the name of each, and what is wrong.
pub(super) fn list() -> io::Result<()> {
    let mut out = io::stdout().lock();
    seam_mutants().iter().try_for_each(|mutant| writeln!(out, "{}\t{}", mutant.name, mutant.bug))
}

/// Explores these. Prints the name of each, what found it (`-` if nothing did), states and seconds. With
/// `story`, lines that begin with a tab follow: the shortest case that shows it.
///
/// # Errors
/// If there is none of that name.
pub(super) fn look(names: &[String], story: bool) -> anyhow::Result<()> {
    let mutants = seam_mutants();
    for name in names {
        let mutant = mutants.iter().find(|mutant| mutant.name == *name);
        let mutant = mutant.with_context(|| format!("there is no mutant {name:?}"))?;
        let mut out = io::stdout().lock();
        out.write_all(told(mutant, story).as_bytes())?;
        // The reader of this shows it at once.
        out.flush()?;
    }
    Ok(())
}

/// Shrinking is no exploration: it comes after the clock is read, and only if somebody looks.
fn told(mutant: &Mutant, story: bool) -> String {
    let clock = SystemClock::new();
    let verdict = mutant.look();
    let seconds = clock.monotonic().as_secs_f64();
    let (by, states) = match &verdict {
        Status::Caught { by, states, .. } => (by.as_str(), states),
        Status::Survived { states } => ("-", states),
    };
    let mut text = format!("{}\t{by}\t{states}\t{seconds}\n", mutant.name);
    if let Some(Status::Caught { failure: Some(failure), .. }) = story.then(|| mutant.run()) {
        failure.to_string().lines().for_each(|line| text += &format!("\t{line}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_told_in_one_line_and_its_story_below() {
        let mutants = seam_mutants();
        let early = mutants.iter().find(|m| m.name == "acknowledged-when-written").unwrap();
        let text = told(early, true);
        let (row, story) = text.split_once('\n').unwrap();
        let fields: Vec<_> = row.split('\t').collect();
        assert_eq!(fields[..2], ["acknowledged-when-written", "O3"]);
        assert!(fields[2].parse::<u64>().unwrap() > 0 && fields[3].parse::<f64>().is_ok());
        assert!(!story.is_empty() && story.lines().all(|line| line.starts_with('\t')), "{story}");
        assert!(look(&["nobody".into()], false).is_err());
    }
}
