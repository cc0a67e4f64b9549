//! An optimised build of this program, for what explores and measures.

use std::env;
use std::process::{Command, exit};

use anyhow::Context;

/// Returns if this build is optimised; otherwise runs one that is, with the same arguments, and ends
/// as it does.
///
/// `cargo xtask` builds for development, which suits everything else here: it compiles sooner. The
/// release explores 1.4 times as fast, and is what users run, so it alone is worth measuring.
pub(crate) fn ensure() -> anyhow::Result<()> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--release", "--locked", "--manifest-path"])
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "--"])
        .args(env::args_os().skip(1))
        .status()
        .context("cannot start cargo for an optimised build")?;
    exit(status.code().unwrap_or(1))
}
