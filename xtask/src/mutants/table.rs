//! One line for each mutant, and the count.

use std::io::{IsTerminal, Write, stderr};

use anyhow::bail;

use super::BOUND;

/// What became of one mutant.
pub(super) struct Row {
    pub(super) name: String,
    /// What found it; nothing if it survived.
    pub(super) by: Option<String>,
    /// How many states or executions that took.
    pub(super) tried: String,
    pub(super) seconds: f64,
    pub(super) story: String,
}

pub(super) struct Table {
    pub(super) verbose: bool,
    caught: usize,
    survived: Vec<String>,
    /// Seconds that the slowest took, and its name.
    slowest: (f64, String),
    terminal: bool,
}

impl Table {
    pub(super) fn new(verbose: bool) -> Self {
        println!("{:<50} {:<36} {:>7} {:>8}", "mutant", "caught by", "tried", "seconds");
        let terminal = stderr().is_terminal();
        Table { verbose, caught: 0, survived: Vec::new(), slowest: (0.0, "none".into()), terminal }
    }

    /// Says what is being done, on a terminal.
    pub(super) fn working(&self, what: &str) {
        if self.terminal {
            eprint!("\r\x1b[K{what}");
            let _ = stderr().flush();
        }
    }

    pub(super) fn row(&mut self, row: &Row) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
        let late = row.by.is_some() && row.seconds > BOUND;
        let by = if late { "TOO LATE" } else { row.by.as_deref().unwrap_or("SURVIVED") };
        println!("{:<50} {by:<36} {:>7} {:>8.2}", row.name, row.tried, row.seconds);
        if self.verbose && !row.story.is_empty() {
            row.story.lines().for_each(|line| println!("    {line}"));
        }
        match row.by {
            Some(_) if !late => self.caught += 1,
            _ => self.survived.push(row.name.clone()),
        }
        if row.seconds > self.slowest.0 {
            self.slowest = (row.seconds, row.name.clone());
        }
    }

    /// The count.
    ///
    /// # Errors
    /// If one survived.
    pub(super) fn end(self, (seams, patches): (usize, usize)) -> anyhow::Result<()> {
        let all = seams + patches;
        let (seconds, slowest) = self.slowest;
        println!("tried: states, executions or tests; seconds: of looking, not of building");
        println!(
            "{seams} at seams, {patches} patches; the slowest was found in {seconds:.2} s: {slowest}"
        );
        println!("{}/{all} mutants caught", self.caught);
        if !self.survived.is_empty() {
            bail!("nothing finds {} within {BOUND} s", self.survived.join(", "));
        }
        Ok(())
    }
}
