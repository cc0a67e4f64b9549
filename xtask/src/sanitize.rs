//! `cargo xtask sanitize`: the tests that reach `unsafe` code, under the address sanitizer.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::models::{root, target_dir};
use crate::steps::SKIPPED;

/// The tests that run what is unsafe, with their packages: the processor's cycle counter, the allocator that
/// counts, copying into mapped memory, and giving the kernel addresses of bytes, from within and through a
/// log's storage.
const TESTS: &[(&str, &str)] = &[
    ("wal-core", "--lib clock::"),
    ("wal-testkit", "--test codecs lies::"),
    ("wal-fs", "--all-features --test it mmap"),
    ("wal-fs", "--all-features --lib uring::"),
    ("wal-fs", "--all-features --test it uring::"),
];

pub(crate) fn run() -> anyhow::Result<()> {
    let Some(host) = nightly_host() else {
        println!(
            "{SKIPPED}not sanitized, as there is no nightly toolchain; `rustup toolchain install nightly` brings one"
        );
        return Ok(());
    };
    for (package, tests) in TESTS {
        let mut command = Command::new("cargo");
        command
            .args(["+nightly", "test", "--locked", "--target", &host])
            .args(["--package", package])
            .args(tests.split(' '))
            .arg("--target-dir")
            .arg(target_dir()?.join("sanitize"))
            // The compiler that builds this program must not be passed on.
            .env_remove("RUSTC")
            .env_remove("CARGO")
            .env("RUSTFLAGS", "-Zsanitizer=address")
            // Built once, for a few short tests: what makes the compiler slow gains nothing.
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
            .env("CARGO_INCREMENTAL", "0")
            .current_dir(root()?);
        let status = command.status().context("cannot start cargo")?;
        if !status.success() {
            bail!("{tests} of {package} failed under the address sanitizer: {status}");
        }
    }
    println!("{} test programs ran under the address sanitizer", TESTS.len());
    Ok(())
}

/// The nightly toolchain's own target; `None` if there is no such toolchain.
fn nightly_host() -> Option<String> {
    let version =
        Command::new("rustc").args(["+nightly", "-vV"]).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(version.stdout).ok()?;
    text.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}
