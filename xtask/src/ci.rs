//! `cargo xtask ci`: one list of steps, run in order.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use wal_core::{Clock, SystemClock};

/// A step: what it is called, the directory it runs in, the command, extra environment.
struct Step {
    name: &'static str,
    dir: &'static str,
    command: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

const STEPS: &[Step] = &[
    Step { name: "format", dir: ".", command: &["cargo", "fmt", "--all", "--check"], env: &[] },
    Step {
        name: "lints",
        dir: ".",
        command: &[
            "cargo",
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        env: &[],
    },
    Step {
        name: "documentation",
        dir: ".",
        command: &["cargo", "doc", "--locked", "--workspace", "--no-deps"],
        env: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    Step {
        name: "example quickstart",
        dir: ".",
        command: &["cargo", "run", "--locked", "--quiet", "--example", "quickstart"],
        env: &[],
    },
    Step {
        name: "example kv",
        dir: ".",
        command: &["cargo", "run", "--locked", "--quiet", "--example", "kv"],
        env: &[],
    },
    Step {
        name: "downstream project: lints",
        dir: "examples/downstream",
        command: &[
            "cargo",
            "clippy",
            "--locked",
            "--all-targets",
            "--target-dir",
            "../../target/downstream",
            "--",
            "-D",
            "warnings",
        ],
        env: &[],
    },
    Step {
        name: "downstream project: tests",
        dir: "examples/downstream",
        command: &[
            "cargo",
            "test",
            "--locked",
            "--quiet",
            "--target-dir",
            "../../target/downstream",
        ],
        env: &[],
    },
    Step {
        name: "downstream project: run",
        dir: "examples/downstream",
        command: &[
            "cargo",
            "run",
            "--locked",
            "--quiet",
            "--target-dir",
            "../../target/downstream",
        ],
        env: &[],
    },
    Step {
        name: "tests of the documentation",
        dir: ".",
        command: &["cargo", "test", "--locked", "--workspace", "--doc", "--quiet"],
        env: &[],
    },
    // Last, so that the run ends with a test runner's closing line.
    Step {
        name: "tests",
        dir: ".",
        command: &["cargo", "test", "--locked", "--workspace", "--all-targets", "--no-fail-fast"],
        env: &[],
    },
];

pub(crate) fn run() -> anyhow::Result<()> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let clock = SystemClock::new();
    let mut times = Vec::new();
    for (at, step) in STEPS.iter().enumerate() {
        let last = at + 1 == STEPS.len();
        if last {
            println!("\nsteps so far:");
            times.iter().for_each(|(name, took)| println!("  {took:>6.1} s  {name}"));
        }
        println!("\n=== {} ({}/{}): {}", step.name, at + 1, STEPS.len(), step.command.join(" "));
        let started = clock.monotonic();
        let status = Command::new(step.command[0])
            .args(&step.command[1..])
            .current_dir(root.join(step.dir))
            .envs(step.env.iter().copied())
            .status()
            .with_context(|| format!("cannot start {}", step.command[0]))?;
        if !status.success() {
            bail!("step \"{}\" failed: {status}", step.name);
        }
        times.push((step.name, (clock.monotonic() - started).as_secs_f64()));
    }
    Ok(())
}
