//! `cargo xtask builds`: the workspace compiled in ways that nobody uses while working.
//!
//! | file | idea |
//! | --- | --- |
//! | `features` | each feature of each crate alone, none, the usual ones |
//! | `oldest` | the oldest compiler that is promised |
//! | `systems` | the systems that are promised and are not this one |
//! | `metadata` | the packages of the workspace, as cargo tells them |

mod features;
mod metadata;
mod oldest;
mod systems;

use std::process::Command;

use anyhow::{Context, bail};
use clap::ValueEnum;

use self::metadata::Package;
use crate::models::root;

/// What is compiled differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// Lints each crate with each feature alone, with none and with the usual ones
    Features,
    /// Checks with the oldest compiler that is promised, if it is installed
    Oldest,
    /// Checks for other systems, if their standard libraries are installed
    Systems,
}

pub(crate) fn run(way: Way) -> anyhow::Result<()> {
    let packages = metadata::packages()?;
    match way {
        Way::Features => features::run(&packages),
        Way::Oldest => oldest::run(&packages),
        Way::Systems => systems::run(&packages),
    }
}

/// The crates that users depend on; all others are tools.
fn shipped(packages: &[Package]) -> impl Iterator<Item = &Package> {
    packages.iter().filter(|package| package.dir.starts_with("crates/"))
}

/// Runs cargo at the top of the workspace.
fn cargo(prepared: impl FnOnce(&mut Command)) -> anyhow::Result<()> {
    let mut cargo = Command::new("cargo");
    prepared(cargo.current_dir(root()?));
    let words: Vec<_> = cargo.get_args().map(|word| word.to_string_lossy()).collect();
    let told = format!("cargo {}", words.join(" "));
    println!("{told}");
    let status = cargo.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("{told}: {status}");
    }
    Ok(())
}
