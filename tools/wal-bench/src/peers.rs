//! Other logs, each in a process of its own; see `bench/peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use wal_load::{Sample, Timing, Workload};

/// Which of them are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Which {
    /// None
    #[default]
    None,
    /// The two fastest that are durable: okaywal and raft-engine
    Fast,
    /// All
    All,
}

impl Which {
    /// Their names.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Which::None => &[],
            Which::Fast => &["okaywal", "raft-engine"],
            Which::All => &["okaywal", "raft-engine", "fjall", "sqlite", "redb"],
        }
    }
}

/// The program that runs them.
pub(super) struct Peers {
    program: PathBuf,
}

impl Peers {
    /// Builds it; the first time takes minutes.
    pub(super) fn build() -> anyhow::Result<Self> {
        let project = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/peers"));
        let status = Command::new("cargo")
            .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
            .arg(project.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(project.join("target"))
            .status()
            .context("cannot start cargo for the peers")?;
        ensure!(status.success(), "the peers do not build");
        let name = format!("wal-peers{}", std::env::consts::EXE_SUFFIX);
        Ok(Peers { program: project.join("target").join("release").join(name) })
    }

    pub(super) fn measure(
        &self,
        engine: &str,
        load: &Workload,
        timing: &Timing,
        dir: &Path,
    ) -> anyhow::Result<Sample> {
        let output = Command::new(&self.program)
            .args(["run", "--engine", engine, "--workload", &load.to_string()])
            .args(["--seconds", &timing.measured.as_secs_f64().to_string(), "--dir"])
            .arg(dir.join("peer"))
            .output()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{engine}, {load}: {told}");
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("what {engine} printed for {load}"))
    }
}
