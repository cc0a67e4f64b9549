//! `cargo xtask ci`: one list of steps, run in order.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, bail};

use crate::stopwatch::Stopwatch;

/// A step: what it is called, the directory it runs in, the command, extra environment.
struct Step {
    name: &'static str,
    dir: &'static str,
    /// Words without blanks in them.
    command: &'static str,
    env: &'static [(&'static str, &'static str)],
}

impl Step {
    const fn new(name: &'static str, command: &'static str) -> Self {
        Step { name, dir: ".", command, env: &[] }
    }

    const fn of(name: &'static str, dir: &'static str, command: &'static str) -> Self {
        Step { name, dir, command, env: &[] }
    }
}

const STEPS: &[Step] = &[
    Step::new("format", "cargo fmt --all --check"),
    Step::new("rules of the house", "cargo xtask tidy"),
    Step::new("lints", "cargo clippy --locked --workspace --all-targets -- -D warnings"),
    Step {
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        ..Step::new("documentation", "cargo doc --locked --workspace --no-deps")
    },
    Step::new("example quickstart", "cargo run --locked --quiet --example quickstart"),
    Step::new("example kv", "cargo run --locked --quiet --example kv"),
    Step::of(
        "downstream project: lints",
        "examples/downstream",
        "cargo clippy --locked --all-targets --target-dir ../../target/downstream -- -D warnings",
    ),
    Step::of(
        "downstream project: tests",
        "examples/downstream",
        "cargo test --locked --quiet --target-dir ../../target/downstream",
    ),
    Step::of(
        "downstream project: run",
        "examples/downstream",
        "cargo run --locked --quiet --target-dir ../../target/downstream",
    ),
    Step::of("fuzz targets: format", "fuzz", "cargo fmt -p wal-fuzz -p wal-command --check"),
    Step::of(
        "fuzz targets: lints",
        "fuzz",
        "cargo clippy --locked --all-targets --target-dir ../target/fuzz/stable -- -D warnings",
    ),
    Step::of(
        "fuzz targets: kept inputs and mutations of them",
        "fuzz",
        "cargo test --locked --quiet --target-dir ../target/fuzz/stable",
    ),
    Step::of("peers: format", "bench/peers", "cargo fmt --check"),
    // Slices: without options these commands go on for minutes.
    Step::new("loom models", "cargo xtask loom --slice"),
    Step::new("shuttle models", "cargo xtask shuttle --iterations 500"),
    Step::new("crashes", "cargo xtask faults --states 2500 --mutants none"),
    Step::new("seeded mistakes", "cargo xtask mutants --slice"),
    Step::new("unsafe code under a sanitizer", "cargo xtask sanitize"),
    Step::new("tests of the documentation", "cargo test --locked --workspace --doc --quiet"),
    // Last, so that the run ends with a test runner's closing line.
    Step::new("tests", "cargo test --locked --workspace --all-targets --no-fail-fast"),
];

pub(crate) fn run() -> anyhow::Result<()> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let mut times = Vec::new();
    let mut counts = Counts::default();
    for (at, step) in STEPS.iter().enumerate() {
        println!("\n=== {} ({}/{}): {}", step.name, at + 1, STEPS.len(), step.command);
        let watch = Stopwatch::start();
        let status = execute(step, root, &mut counts)?;
        if !status.success() {
            bail!("step \"{}\" failed: {status}", step.name);
        }
        times.push((step.name, watch.seconds()));
    }
    println!("\n=== all steps passed");
    times.iter().for_each(|(name, took)| println!("{took:>7.1} s  {name}"));
    let Counts { passed, failed, ignored } = counts;
    println!("\ntests: {passed} passed, {failed} failed, {ignored} skipped");
    Ok(())
}

/// Runs a step; passes on what it prints, and adds up what test runners say at their end.
fn execute(step: &Step, root: &Path, counts: &mut Counts) -> anyhow::Result<ExitStatus> {
    let mut words = step.command.split(' ');
    let program = words.next().context("a command has a program")?;
    let mut child = Command::new(program)
        .args(words)
        .current_dir(root.join(step.dir))
        .envs(step.env.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    for line in BufReader::new(child.stdout.take().context("piped")?).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counts.add(&line);
    }
    Ok(child.wait()?)
}

/// Tests that were run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Takes account of a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|l| l.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            match count.split_once(' ').map(|(n, what)| (n.parse::<u64>(), what)) {
                Some((Ok(n), "passed")) => self.passed += n,
                Some((Ok(n), "failed")) => self.failed += n,
                Some((Ok(n), "ignored")) => self.ignored += n,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_what_test_runners_say() {
        let mut counts = Counts::default();
        counts.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 9 filtered out");
        counts.add("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured");
        counts.add("test something ... ok");
        counts.add("error: 7 passed; 7 failed");
        assert_eq!(counts, Counts { passed: 7, failed: 2, ignored: 1 });
    }

    #[test]
    fn the_tests_come_last() {
        assert_eq!(STEPS.last().unwrap().name, "tests");
    }
}
