//! The programs in `tools/`: built and run.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, exit};

use anyhow::Context;

/// How a tool is built.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Build {
    /// With optimisation: the release explores 1.4 times as fast as a build for development, and is what
    /// users run, so it alone is worth measuring.
    Release,
    /// Sooner.
    Dev,
}

/// Runs a tool with these words, in the caller's folder, and ends this program as it does if it fails.
///
/// # Errors
/// If cargo does not start.
pub(crate) fn run(tool: &str, build: Build, words: &[impl AsRef<OsStr>]) -> anyhow::Result<()> {
    let mut command = command(tool, build);
    let status = command.args(words).status().context("cannot start cargo for a tool")?;
    if !status.success() {
        exit(status.code().unwrap_or(1));
    }
    Ok(())
}

/// The command that builds and runs a tool; what is added goes to the tool.
pub(crate) fn command(tool: &str, build: Build) -> Command {
    let mut cargo = Command::new("cargo");
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let profile = match build {
        Build::Release => "release",
        Build::Dev => "dev",
    };
    cargo.args(["run", "--quiet", "--locked", "--profile", profile, "--package", tool]);
    cargo.arg("--manifest-path");
    cargo.arg(root.join("Cargo.toml")).arg("--");
    cargo
}
