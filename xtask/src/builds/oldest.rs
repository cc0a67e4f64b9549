//! The oldest compiler that is promised (`rust-version`). Where it is not installed, clippy's
//! `incompatible_msrv` holds what of the standard library is used.

use std::process::Command;

use anyhow::Context;

use super::cargo;
use super::metadata::Package;
use crate::models::target_dir;
use crate::steps::SKIPPED;

pub(super) fn run(packages: &[Package]) -> anyhow::Result<()> {
    let oldest = packages.iter().find_map(|package| package.rust_version.as_deref());
    let oldest = oldest.context("no package says its rust-version")?;
    let listed = Command::new("rustup").args(["toolchain", "list"]).output();
    let listed = listed.map_or_else(|_| Vec::new(), |output| output.stdout);
    let listed = String::from_utf8_lossy(&listed);
    let Some(toolchain) = installed(&listed, oldest) else {
        println!(
            "{SKIPPED}Rust {oldest} is not installed; to build with it: rustup toolchain install {oldest}"
        );
        return Ok(());
    };
    // A folder of its own: another compiler builds everything anew.
    let target = target_dir()?.join("oldest");
    cargo(|cargo| {
        cargo.arg(format!("+{toolchain}"));
        cargo.args(["check", "--locked", "--quiet", "--workspace", "--all-features"]);
        cargo.arg("--target-dir").arg(target);
        // Set by the cargo that runs this; they would decide for the other one.
        cargo.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC").env_remove("CARGO");
    })
}

/// The toolchain of that version, in what rustup lists.
fn installed<'a>(listed: &'a str, version: &str) -> Option<&'a str> {
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    names.into_iter().find(|name| {
        let behind = name.strip_prefix(version);
        behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['.', '-']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_version_and_no_other() {
        let listed = "stable-x86_64-unknown-linux-gnu (active, default)\n1.890.0-x\n1.89.0-x (y)\n";
        assert_eq!(installed(listed, "1.89"), Some("1.89.0-x"));
        assert_eq!(installed("1.89-x", "1.89"), Some("1.89-x"));
        assert_eq!(installed("1.95.0-x\nnightly-x\n", "1.89"), None);
        assert_eq!(installed("", "1.89"), None);
    }
}
