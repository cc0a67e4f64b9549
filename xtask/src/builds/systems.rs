//! The systems that are promised and are not this one: whether the crates compile for them, with all features.

use std::path::PathBuf;
use std::process::Command;

use super::metadata::Package;
use super::{cargo, shipped};
use crate::steps::SKIPPED;

const TARGETS: [&str; 2] = ["x86_64-pc-windows-gnu", "x86_64-apple-darwin"];

/// Only the crates that users depend on: tools link a library in C, which needs a compiler for that system.
pub(super) fn run(packages: &[Package]) -> anyhow::Result<()> {
    for target in TARGETS {
        if !is_installed(target) {
            println!(
                "{SKIPPED}{target}: its standard library is not here; to check it: rustup target add {target}"
            );
            continue;
        }
        cargo(|cargo| {
            cargo.args(["check", "--locked", "--quiet", "--all-features", "--target", target]);
            shipped(packages).for_each(|package| {
                cargo.args(["--package", &package.name]);
            });
        })?;
    }
    Ok(())
}

/// Whether there is a standard library for a target.
fn is_installed(target: &str) -> bool {
    let mut rustc = Command::new("rustc");
    let told = rustc.args(["--print", "target-libdir", "--target", target]).output();
    let dir = told.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    dir.is_some_and(|dir| PathBuf::from(dir.trim()).is_dir())
}
