//! `cargo xtask fuzz`: the fuzz targets, one after the other, each for a bounded time.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::ValueEnum;

/// What can be fuzzed; the targets of `fuzz/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Decoding of headers, frames and footers
    Frames,
    /// Reading one segment
    Scan,
    /// Recovery of arbitrary directories
    Recovery,
    /// The input of the command
    Cli,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("none is hidden").get_name())
    }
}

/// How it is run.
enum Manner {
    LibFuzzer,
    /// Kept inputs and mutations of them, on the present toolchain.
    Replay,
}

/// What the runs came to.
#[derive(Debug, Default)]
struct Total {
    targets: u64,
    executions: u64,
    crashes: u64,
}

pub(crate) fn run(target: Option<Target>, seconds: u64, stable: bool) -> anyhow::Result<()> {
    let manner = if stable { Manner::Replay } else { available() };
    let targets = target.map_or(Target::value_variants().to_vec(), |target| vec![target]);
    let mut total = Total::default();
    for target in targets {
        println!("\n=== {target}, {seconds} s");
        let mut command = match manner {
            Manner::LibFuzzer => lib_fuzzer(target, seconds)?,
            Manner::Replay => replay(target, seconds)?,
        };
        let (executions, succeeded) = watch(&mut command)?;
        total.targets += 1;
        total.executions += executions;
        total.crashes += u64::from(!succeeded);
        if succeeded && executions == 0 {
            bail!("{target} ended well without a single execution");
        }
    }
    let Total { targets, executions, crashes } = total;
    println!("\n{targets} targets, {executions} executions, {crashes} crashes");
    if crashes > 0 {
        bail!(
            "the failing inputs are in fuzz/artifacts; docs/fuzzing.md says what to do with them"
        );
    }
    Ok(())
}

/// libFuzzer if everything that it needs is here; otherwise says what is not.
fn available() -> Manner {
    let works = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        // Set by the cargo that runs this; it would decide for the other one.
        command.args(arguments).env_remove("RUSTUP_TOOLCHAIN");
        let outcome = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        outcome.is_ok_and(|status| status.success())
    };
    let needs = [
        (
            "a nightly toolchain",
            works(&["+nightly", "--version"]),
            "rustup toolchain install nightly",
        ),
        ("cargo-fuzz", works(&["fuzz", "--version"]), "cargo install cargo-fuzz"),
    ];
    let missing: Vec<_> = needs.iter().filter(|(_, works, _)| !works).collect();
    for (what, _, install) in &missing {
        println!("NOT FUZZING: {what} is missing; to install it: {install}");
    }
    if missing.is_empty() {
        return Manner::LibFuzzer;
    }
    println!("Instead the kept inputs and mutations of them are run, which finds less.");
    Manner::Replay
}

fn root() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")
}

/// Where builds and inputs that are not kept go.
fn target_dir() -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("CARGO_TARGET_DIR");
    let base = base.map_or(root()?.join("target"), PathBuf::from);
    Ok(base.join("fuzz"))
}

fn lib_fuzzer(target: Target, seconds: u64) -> anyhow::Result<Command> {
    let dir = target_dir()?;
    // New inputs go to the first corpus; only what was found and looked at is kept in the second.
    let found = dir.join("corpus").join(target.to_string());
    std::fs::create_dir_all(&found).with_context(|| format!("create {}", found.display()))?;
    let name = target.to_string();
    let mut command = Command::new("cargo");
    command
        .args(["+nightly", "fuzz", "run", "--fuzz-dir", "fuzz", "--target-dir"])
        .arg(dir.join("libfuzzer"))
        .arg(&name)
        .arg(&found)
        .arg(Path::new("fuzz/corpus").join(&name))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .args(["-rss_limit_mb=1024", "-timeout=10", "-print_final_stats=1", "-print_funcs=0"])
        .env_remove("RUSTUP_TOOLCHAIN")
        .current_dir(root()?);
    Ok(command)
}

fn replay(target: Target, seconds: u64) -> anyhow::Result<Command> {
    let mut command = Command::new("cargo");
    command
        .args(["run", "--locked", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--target-dir"])
        .arg(target_dir()?.join("stable"))
        .args(["--bin", &target.to_string(), "--", "--seconds", &seconds.to_string()])
        .current_dir(root()?);
    Ok(command)
}

/// Runs to the end, passing on what is printed; how many executions it speaks of, and whether it
/// succeeded.
fn watch(command: &mut Command) -> anyhow::Result<(u64, bool)> {
    // libFuzzer speaks on standard error, the replay on standard output: both, through one pipe.
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("cannot start cargo")?;
    // Our ends of the pipe, or reading would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut executions = 0;
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        executions = executions_in(&line).unwrap_or(executions);
    }
    Ok((executions, child.wait()?.success()))
}

/// The count in the last lines of libFuzzer or of the replay.
fn executions_in(line: &str) -> Option<u64> {
    let said = match line.strip_prefix("stat::number_of_executed_units:") {
        Some(count) => count,
        None => line.split_once(" executions (")?.0.rsplit_once(": ")?.1,
    };
    said.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_either_runner_says() {
        assert_eq!(executions_in("stat::number_of_executed_units: 4711"), Some(4711));
        let replay = "scan: 3361 executions (14 of them kept inputs), 0 crashes, slowest 1.2 ms";
        assert_eq!(executions_in(replay), Some(3361));
        assert_eq!(executions_in("#8192\tpulse  cov: 512 ft: 900 exec/s: 12"), None);
    }

    #[test]
    fn every_target_of_the_project_is_known_here() {
        let targets = root().unwrap().join("fuzz/fuzz_targets");
        let files = std::fs::read_dir(targets).unwrap().map(|entry| entry.unwrap().file_name());
        let mut files: Vec<String> = files.map(|name| name.into_string().unwrap()).collect();
        let mut known: Vec<String> =
            Target::value_variants().iter().map(|target| format!("{target}.rs")).collect();
        files.sort();
        known.sort();
        assert_eq!(files, known);
    }
}
