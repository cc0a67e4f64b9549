//! `cargo xtask package`: packs what would be published, without publishing it.
//!
//! Nothing here may be published yet, and what may not is not found by what depends on it. So it is a copy of
//! the tree that is packed, in which everything in `crates/` may.

use std::fs;
use std::process::Command;

use anyhow::{Context, bail};

use crate::models::{root, target_dir};
use crate::tree::Tree;

const FORBIDDEN: &str = "\npublish = false\n";
const ALLOWED: &str = "\npublish = true\n";

/// Under the name `wal-core` crates.io has a crate of somebody else, whose version is higher and compatible.
/// Until the name is changed (RELEASE.md) a package would be built with that one, unless it asks for exactly ours.
const LOOSE: &str = "wal-core = { path = \"crates/wal-core\", version = \"0";
const EXACT: &str = "wal-core = { path = \"crates/wal-core\", version = \"=0";

pub(crate) fn run(verify: bool) -> anyhow::Result<()> {
    let dir = target_dir()?.join("package-check");
    let tree = Tree::copy(root()?, &dir.join("tree"))?;
    let manifest = tree.dir().join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    if !text.contains(FORBIDDEN) && !text.contains(ALLOWED) {
        bail!("the workspace does not say whether its crates may be published");
    }
    fs::write(&manifest, text.replace(FORBIDDEN, ALLOWED).replace(LOOSE, EXACT))?;

    let mut words = vec!["package", "--allow-dirty"];
    if !verify {
        // Needs no network: what the crates depend on is in the lock file, and was looked up to build them.
        words.extend(["--no-verify", "--offline"]);
    }
    let crates = fs::read_dir(tree.dir().join("crates"))?
        .map(|entry| entry?.file_name().into_string().ok().context("a name is not UTF-8"))
        .collect::<anyhow::Result<Vec<_>>>()?;
    words.extend(crates.iter().flat_map(|name| ["--package", name]));
    cargo(&tree, &words)
}

fn cargo(tree: &Tree, words: &[&str]) -> anyhow::Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(tree.dir()).args(words).env("CARGO_TARGET_DIR", tree.dir().join("../built"));
    let status = cargo.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("cargo {}: {status}", words.join(" "));
    }
    Ok(())
}
