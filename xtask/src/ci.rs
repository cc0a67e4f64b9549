//! `cargo xtask ci` and `cargo xtask test`: two lists of steps.

use crate::steps::{self, Step};

/// Everything that must hold.
const STEPS: &[Step] = &[
    Step::new("format", "cargo fmt --all --check"),
    Step::new("rules of the house", "cargo xtask tidy"),
    Step::new(
        "lints",
        "cargo clippy --locked --workspace --all-targets --all-features -- -D warnings",
    ),
    Step {
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        ..Step::new("documentation", "cargo doc --locked --workspace --all-features --no-deps")
    },
    Step::new("each feature alone", "cargo xtask builds features"),
    Step::new("the oldest compiler", "cargo xtask builds oldest"),
    Step::new("other systems", "cargo xtask builds systems"),
    Step::new("what is public", "cargo xtask api --check"),
    Step::new("example quickstart", "cargo run --locked --quiet --example quickstart"),
    Step::new("example kv", "cargo run --locked --quiet --example kv"),
    Step::of("downstream project: format", "examples/downstream", "cargo fmt --check"),
    Step::of(
        "downstream project: lints",
        "examples/downstream",
        "cargo clippy --locked --all-targets --target-dir ../../target -- -D warnings",
    ),
    Step::of(
        "downstream project: tests",
        "examples/downstream",
        "cargo test --locked --quiet --target-dir ../../target",
    ),
    Step::of(
        "downstream project: run",
        "examples/downstream",
        "cargo run --locked --quiet --target-dir ../../target",
    ),
    Step::of("fuzz targets: format", "fuzz", "cargo fmt -p wal-fuzz -p wal-command --check"),
    Step::of(
        "fuzz targets: lints",
        "fuzz",
        "cargo clippy --locked --all-targets --target-dir ../target -- -D warnings",
    ),
    Step::of(
        "fuzz targets: kept inputs and mutations of them",
        "fuzz",
        "cargo test --locked --quiet --target-dir ../target",
    ),
    Step::of("peers: format", "bench/peers", "cargo fmt --check"),
    // Without the engines of others, whose C takes minutes.
    Step::of(
        "peers: this log among them",
        "bench/peers",
        "cargo check --locked --quiet --no-default-features --target-dir ../../target/peers",
    ),
    Step::new("what would be published", "cargo xtask package"),
    // Slices: without options these commands go on for minutes.
    Step::new("loom models", "cargo xtask loom --slice"),
    Step::new("shuttle models", "cargo xtask shuttle --iterations 500"),
    Step::new("crashes", "cargo xtask faults --states 2500 --mutants none"),
    Step::new("seeded mistakes", "cargo xtask mutants --slice --jobs 2"),
    Step::new("unsafe code under a sanitizer", "cargo xtask sanitize"),
    Step::new(
        "tests of the documentation",
        "cargo test --locked --workspace --all-features --doc --quiet",
    ),
    // Last, so that the run ends with a test runner's closing line.
    Step::new(
        "tests",
        "cargo test --locked --workspace --all-targets --all-features --no-fail-fast",
    ),
];

/// What finds most mistakes, while one works: nothing is built for release.
const QUICK: &[Step] = &[
    Step::new("format", "cargo fmt --all --check"),
    Step::new("rules of the house", "cargo xtask tidy"),
    Step::new(
        "lints",
        "cargo clippy --locked --workspace --all-targets --all-features -- -D warnings",
    ),
    // A strategy with each way to wait, on files that are filled ahead and recycled.
    Step::new(
        "crashes",
        "cargo run --locked --quiet --package wal-faults -- --states 500 --mutants none --storage file \
         --strategy always --strategy group --strategy batch:8,400,3ms",
    ),
    Step::new(
        "tests of the documentation",
        "cargo test --locked --workspace --all-features --doc --quiet",
    ),
    // Those of the test kit itself take as long as all others together.
    Step::new(
        "tests",
        "cargo test --locked --workspace --exclude wal-testkit --all-targets --all-features \
         --no-fail-fast",
    ),
];

/// Everything is built once. What cargo keeps to build it quicker after a change makes the first build a quarter slower.
const BUILT_ONCE: &[(&str, &str)] = &[("CARGO_INCREMENTAL", "0")];

pub(crate) fn run() -> anyhow::Result<()> {
    steps::run(STEPS, BUILT_ONCE)
}

pub(crate) fn run_quick() -> anyhow::Result<()> {
    steps::run(QUICK, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_come_last() {
        assert_eq!(STEPS.last().unwrap().name, "tests");
        assert_eq!(QUICK.last().unwrap().name, "tests");
    }

    #[test]
    fn commands_have_single_blanks() {
        let mut all = STEPS.iter().chain(QUICK);
        assert!(all.all(|step| step.command.split(' ').all(|word| !word.is_empty())));
    }
}
