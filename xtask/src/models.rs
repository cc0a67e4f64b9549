//! Runs models of the commit pipeline under a checker, and makes a table of what they print.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// A test target of wal-core that is built for a checker.
pub(crate) struct Models<'a> {
    /// The target's name, and that of its build folder.
    pub(crate) target: &'static str,
    /// The `cfg` under which the engine takes the checker's primitives.
    pub(crate) cfg: &'static str,
    /// What the second column says.
    pub(crate) how: &'static str,
    /// Only models whose names contain this.
    pub(crate) filter: Option<&'a str>,
    pub(crate) env: Vec<(&'static str, String)>,
}

impl Models<'_> {
    /// Builds and runs them; prints the table and its totals.
    ///
    /// # Errors
    /// If it does not build, if a model fails, if no model has that name.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let built = self.cargo()?.arg("--no-run").status().context("cannot start cargo")?;
        if !built.success() {
            bail!("the models do not build; the compiler's messages are above");
        }
        let mut cargo = self.cargo()?;
        cargo.args(["--", "--nocapture", "--test-threads", "1"]);
        cargo.args(self.filter).envs(self.env.iter().cloned()).stdout(Stdio::piped());
        let mut child = cargo.spawn().context("cannot start cargo")?;
        let mut table = Table::new(self.how);
        for line in BufReader::new(child.stdout.take().context("piped")?).lines() {
            table.read(&line?);
        }
        let status = child.wait()?;
        table.end();
        if let Some(failed) = table.failed.first() {
            bail!("model {failed} failed; why, and what its storage saw, is printed above");
        }
        if !status.success() {
            bail!("the models ended with {status}");
        }
        if table.models.is_empty() {
            bail!("no model is called like that; run without a name to see all of them");
        }
        Ok(())
    }

    fn cargo(&self) -> anyhow::Result<Command> {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(root()?).args(["test", "--locked", "--release"]);
        cargo.args(["--package", "wal-core", "--test", self.target]);
        // Another cfg means another build of everything: a folder of its own keeps both.
        cargo.arg("--target-dir").arg(target_dir()?.join(self.target));
        let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        cargo.env("RUSTFLAGS", format!("{flags} --cfg {}", self.cfg).trim());
        Ok(cargo)
    }
}

/// The workspace's folder.
pub(crate) fn root() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")
}

/// Where builds go.
pub(crate) fn target_dir() -> anyhow::Result<PathBuf> {
    Ok(root()?.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into())))
}

/// Prints a row for each model as it ends.
struct Table {
    how: &'static str,
    /// The test that the runner has begun.
    present: Option<String>,
    models: Vec<String>,
    executions: u64,
    failed: Vec<String>,
}

impl Table {
    fn new(how: &'static str) -> Self {
        Table { how, present: None, models: Vec::new(), executions: 0, failed: Vec::new() }
    }

    /// Takes account of a line of the test runner, or of a model's own:
    /// `model`, name, bound or scheduler, executions, seconds, records lost, separated by tabs.
    fn read(&mut self, line: &str) {
        if let Some((name, outcome)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
        {
            self.present = Some(name.into());
            self.outcome(outcome);
        } else if let Some(row) = line.strip_prefix("model\t") {
            self.row(&row.split('\t').collect::<Vec<_>>());
        } else {
            self.outcome(line);
        }
    }

    fn outcome(&mut self, outcome: &str) {
        match outcome {
            "ok" => self.present = None,
            "FAILED" => self.failed.extend(self.present.take()),
            _ => {}
        }
    }

    fn row(&mut self, row: &[&str]) {
        let &[name, how, executions, seconds, lost] = row else { return };
        if self.models.is_empty() {
            print_row(["model", self.how, "executions", "seconds", "lost"]);
        }
        if self.models.last().is_none_or(|last| last != name) {
            self.models.push(name.into());
        }
        self.executions += executions.parse::<u64>().unwrap_or(0);
        print_row([name, how, executions, seconds, lost]);
    }

    /// The runner has ended; a test that it had begun has taken it down.
    fn end(&mut self) {
        self.failed.extend(self.present.take());
        println!("lost: acknowledged records that the worst crash took, as the claim allows");
        let (models, failures) = (self.models.len(), self.failed.len());
        println!("{models} models, {} executions, {failures} failures", self.executions);
    }
}

fn print_row([name, how, executions, seconds, lost]: [&str; 5]) {
    println!("{name:<38} {how:>11} {executions:>10} {seconds:>8} {lost:>5}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Table {
        let mut table = Table::new("preemptions");
        lines.iter().for_each(|line| table.read(line));
        table.end();
        table
    }

    #[test]
    fn adds_up_executions() {
        let table = read(&[
            "running 2 tests",
            "test a::one ... ",
            "model\tone\t3\t10\t0.01\t0",
            "ok",
            "test a::two ... ",
            "model\ttwo\trandom\t5\t0.01\t0",
            "model\ttwo\tpct\t6\t0.01\t0",
            "ok",
        ]);
        assert_eq!((table.models.len(), table.executions, table.failed.len()), (2, 21, 0));
    }

    #[test]
    fn sees_failures_of_every_kind() {
        let loose = read(&["test a::loose ... ", "model\tloose\t3\t10\t0.01\t0", "FAILED"]);
        assert_eq!(loose.failed, ["a::loose"]);
        assert_eq!(read(&["test a::wrong ... FAILED"]).failed, ["a::wrong"]);
        assert_eq!(read(&["test a::hangs ... "]).failed, ["a::hangs"], "the runner was aborted");
    }
}
