//! `cargo xtask api`: the public items of each crate, in a file of their own.
//!
//! A change of what a crate promises then shows in the diff of `api/CRATE.txt`, beside the change of the code.
//! The items are read from what rustdoc writes as JSON, which only a nightly toolchain does. Where there is
//! none, or one whose JSON this program does not read, it says so and does nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Parser;

/// Lists the public items of each crate in `api/CRATE.txt`.
///
/// Needs a nightly toolchain. Where there is none it says so, and does nothing.
#[derive(Parser)]
#[command(name = "cargo xtask api", bin_name = "cargo xtask api")]
struct Options {
    /// Writes nothing: fails if a list is not what the code says.
    #[arg(long)]
    check: bool,
}

/// How a line begins that says what was left out, and why: `cargo xtask ci` counts them.
const SKIPPED: &str = "SKIPPED: ";

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    if !nightly(root).args(["--version"]).stdout(Stdio::null()).status()?.success() {
        println!(
            "{SKIPPED}there is no nightly toolchain; to list what is public: rustup toolchain install nightly"
        );
        return Ok(());
    }
    let mut differ = Vec::new();
    for name in crates(root)? {
        let json = document(root, &name)?;
        let Some(items) = items(&json)? else { return Ok(()) };
        let file = root.join("api").join(format!("{name}.txt"));
        let listed = fs::read_to_string(&file).unwrap_or_default();
        let changes = changes(&listed, &items);
        println!("{name}: {} items, {} changes", items.lines().count(), changes.len());
        changes.iter().for_each(|line| println!("  {line}"));
        if !changes.is_empty() {
            differ.push(name);
        }
        if !options.check {
            fs::create_dir_all(root.join("api")).context("cannot create api/")?;
            fs::write(&file, items).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    if options.check && !differ.is_empty() {
        bail!(
            "what is public of {} is not what its list says; if that is meant: cargo xtask api",
            differ.join(", ")
        );
    }
    Ok(())
}

/// A cargo of the nightly toolchain, undisturbed by the one that runs this.
fn nightly(root: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.arg("+nightly").current_dir(root);
    cargo.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC").env_remove("CARGO");
    cargo
}

/// The libraries in `crates/`.
fn crates(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("crates"))? {
        let dir = entry?.path();
        if dir.join("src/lib.rs").is_file() {
            names.extend(dir.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Lets rustdoc describe a crate with all its features; where it has written that.
fn document(root: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let target = root.join(target).join("api");
    let mut cargo = nightly(root);
    cargo.args(["rustdoc", "--locked", "--quiet", "--lib", "--all-features", "--package", name]);
    cargo.arg("--target-dir").arg(&target);
    // Warnings are the business of the toolchain that everybody uses.
    cargo.args(["--", "-Z", "unstable-options", "--output-format", "json", "--cap-lints", "allow"]);
    let status = cargo.status().context("cannot start cargo")?;
    ensure!(status.success(), "rustdoc does not describe {name}: {status}");
    Ok(target.join("doc").join(format!("{}.json", name.replace('-', "_"))))
}

/// The items in what rustdoc has written, one a line. None, and it is said, if that cannot be read.
fn items(json: &Path) -> anyhow::Result<Option<String>> {
    let read = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(false)
        .build();
    match read {
        // What the compiler marks for itself promises nothing.
        Ok(api) => Ok(Some(without(&api.to_string(), "core::marker::StructuralPartialEq"))),
        Err(public_api::Error::SerdeJsonError(error)) => {
            println!(
                "{SKIPPED}this nightly toolchain describes items as {} is not read: {error}",
                json.display()
            );
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| json.display().to_string()),
    }
}

fn without(items: &str, word: &str) -> String {
    items.lines().filter(|line| !line.contains(word)).flat_map(|line| [line, "\n"]).collect()
}

/// What is listed and is not there any more, and what is not listed.
fn changes(listed: &str, items: &str) -> Vec<String> {
    let only = |a: &str, b: &str, sign: char| -> Vec<String> {
        let others: BTreeSet<_> = b.lines().collect();
        let missing = a.lines().filter(|line| !others.contains(line));
        missing.map(|line| format!("{sign} {line}")).collect()
    };
    [only(listed, items, '-'), only(items, listed, '+')].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_what_went_and_what_came() {
        let (old, new) = ("pub fn a()\npub fn b()\n", "pub fn b()\npub fn c()\n");
        assert_eq!(changes(old, new), ["- pub fn a()", "+ pub fn c()"]);
        assert!(changes(new, new).is_empty());
        assert_eq!(changes("", old).len(), 2);
    }

    #[test]
    fn each_library_is_listed_and_the_command_is_none() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let names = crates(root).unwrap();
        assert!(names.contains(&"wal-core".to_owned()) && !names.contains(&"wal-cli".to_owned()));
    }
}
