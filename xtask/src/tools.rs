//! The programs in `tools/`: built and run.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, exit};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::stopwatch::Stopwatch;

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

/// Waits for a command to end, and kills it if it has not after so long: then there is no status.
///
/// # Errors
/// If the command cannot be waited for, or not be killed.
pub(crate) fn wait(child: &mut Child, longest: Duration) -> io::Result<Option<ExitStatus>> {
    let watch = Stopwatch::start();
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some(status)),
            None if watch.elapsed() < longest => thread::sleep(Duration::from_millis(5)),
            None => {
                kill(child)?;
                child.wait()?;
                return Ok(None);
            }
        }
    }
}

/// Kills a command that hangs, with what it started itself: what cargo runs would go on without it.
///
/// # Errors
/// If the command cannot be killed.
pub(crate) fn kill(child: &mut Child) -> io::Result<()> {
    // Where there is no such command, what was started goes on.
    let _ = Command::new("pkill").args(["-KILL", "-P", &child.id().to_string()]).status();
    child.kill()
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
