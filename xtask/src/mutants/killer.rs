//! What is to find a mutant: an exploration, a test, a model.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::stopwatch::Stopwatch;
use crate::tools;

/// A check that must fail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Killer {
    /// Arguments of an exploration.
    Faults(Vec<String>),
    /// A test of a package: the target (`lib` for unit tests), and what its name contains.
    Test { package: String, target: String, filter: String },
    /// A model of the commit pipeline, by a part of its name.
    Loom(String),
}

impl FromStr for Killer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["faults", ref arguments @ ..] => {
                Ok(Killer::Faults(arguments.iter().map(ToString::to_string).collect()))
            }
            ["test", package, target, filter] => {
                let [package, target, filter] = [package, target, filter].map(str::to_owned);
                Ok(Killer::Test { package, target, filter })
            }
            ["loom", model] => Ok(Killer::Loom(model.into())),
            _ => bail!("{text:?} is no check: faults ARGS, test PACKAGE TARGET FILTER, loom NAME"),
        }
    }
}

impl fmt::Display for Killer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Killer::Faults(arguments) => write!(f, "faults {}", arguments.join(" ")),
            Killer::Test { package, target, filter } => {
                write!(f, "test {package} {target} {filter}")
            }
            Killer::Loom(model) => write!(f, "loom {model}"),
        }
    }
}

/// What a check found.
pub(super) enum Found {
    Nothing { tried: String, seconds: f64 },
    Something { by: String, tried: String, seconds: f64, story: String },
}

/// A check that runs for so long hangs. Without a mistake in the code, some need a good part of it.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

/// Builds and runs checks in the copy of the tree.
pub(super) struct Cargo {
    pub(super) tree: PathBuf,
    pub(super) builds: PathBuf,
    pub(super) jobs: u16,
}

impl Cargo {
    fn command(&self, killer: &Killer) -> Command {
        let mut cargo = Command::new("cargo");
        // All of one folder, and nothing of what the caller builds with.
        cargo.current_dir(&self.tree).env_remove("CARGO_TARGET_DIR");
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
        match killer {
            Killer::Faults(_) => {
                cargo.args(["build", "--package", "wal-testkit", "--example", "explore"]);
            }
            Killer::Test { package, target, .. } => {
                cargo.args(["test", "--all-features", "--package", package.as_str()]);
                match target.as_str() {
                    "lib" => cargo.arg("--lib"),
                    target => cargo.args(["--test", target]),
                };
            }
            Killer::Loom(_) => {
                cargo.args(["test", "--release", "--package", "wal-core", "--test", "loom"]);
                cargo.env("RUSTFLAGS", "--cfg wal_loom").env("WAL_LOOM_SLICE", "1");
            }
        }
        let builds = match killer {
            Killer::Loom(_) => self.builds.join("loom"),
            _ => self.builds.clone(),
        };
        cargo.arg("--target-dir").arg(builds);
        cargo.args(["--quiet", "--jobs", &self.jobs.to_string()]);
        cargo
    }

    /// Builds a check.
    ///
    /// # Errors
    /// The compiler's messages.
    pub(super) fn build(&self, killer: &Killer) -> anyhow::Result<()> {
        let mut cargo = self.command(killer);
        if !matches!(killer, Killer::Faults(_)) {
            cargo.arg("--no-run");
        }
        let built = cargo.output().context("cannot start cargo")?;
        if !built.status.success() {
            bail!("{}", String::from_utf8_lossy(&built.stderr).trim_end());
        }
        Ok(())
    }

    /// Runs a check that was built. With `story`, an exploration also looks for its shortest case.
    pub(super) fn run(&self, killer: &Killer, story: bool) -> anyhow::Result<Found> {
        let watch = Stopwatch::start();
        let mut command = match killer {
            Killer::Faults(arguments) => {
                let mut explore = Command::new(self.builds.join("debug/examples/explore"));
                explore.args(arguments).args(story.then_some("--story"));
                explore
            }
            Killer::Test { filter, .. } => self.test(killer, filter),
            Killer::Loom(model) => self.test(killer, model),
        };
        let output = self.builds.join("output.txt");
        let file = File::create(&output)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut child = command.spawn().with_context(|| format!("cannot start {killer}"))?;
        let ended = tools::wait(&mut child, LONGEST)?;
        let seconds = watch.seconds();
        let mut text = String::new();
        File::open(&output)?.read_to_string(&mut text)?;
        let (by, tried, seconds) = match killer {
            Killer::Faults(_) => explored(&text).unwrap_or(("crash".into(), "-".into(), seconds)),
            Killer::Test { filter, .. } => (format!("test {filter}"), tests(&text), seconds),
            Killer::Loom(model) => (format!("loom {model}"), executions(&text), seconds),
        };
        if ended.is_some_and(|status| status.success()) {
            if tried == "0" {
                bail!("{killer}: no check is called like that");
            }
            return Ok(Found::Nothing { tried, seconds });
        }
        let by = if ended.is_none() { format!("{by}, which hangs") } else { by };
        Ok(Found::Something { by, tried, seconds, story: text })
    }

    fn test(&self, killer: &Killer, filter: &str) -> Command {
        let mut cargo = self.command(killer);
        cargo.args(["--", "--nocapture", "--test-threads", "1", filter]);
        cargo
    }
}

/// The first line of an exploration: what it found, states, seconds.
fn explored(text: &str) -> Option<(String, String, f64)> {
    let mut words = text.lines().next()?.split('\t');
    Some((words.next()?.into(), words.next()?.into(), words.next()?.parse().ok()?))
}

/// How many tests ran.
fn tests(text: &str) -> String {
    let count = |line: &str| line.strip_prefix("running ")?.split(' ').next()?.parse::<u64>().ok();
    text.lines().filter_map(count).sum::<u64>().to_string()
}

/// How many executions the models had; those of one that fails are not told.
fn executions(text: &str) -> String {
    let row = |line: &str| line.split("model\t").nth(1)?.split('\t').nth(2)?.parse::<u64>().ok();
    match text.lines().filter_map(row).sum::<u64>() {
        0 if tests(text) != "0" => "-".into(),
        executions => executions.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_killer_gives_it_back() {
        for text in ["faults --strategy os --states 9", "test wal-core lib a_b", "loom x_2x1"] {
            assert_eq!(text.parse::<Killer>().unwrap().to_string(), text);
        }
        for text in ["", "loom", "loom a b", "test wal-core lib", "shuttle x"] {
            assert!(text.parse::<Killer>().is_err(), "{text}");
        }
    }

    #[test]
    fn counts_what_ran() {
        assert_eq!(explored("O3\t17\t0.25\nmore"), Some(("O3".into(), "17".into(), 0.25)));
        assert_eq!(explored("thread main panicked"), None);
        assert_eq!(tests("running 2 tests\n..\nrunning 1 test\n"), "3");
        assert_eq!(executions("running 1 test\nmodel\tx\t3\t10\t0.1\t0\n"), "10");
        assert_eq!(executions("running 1 test\nFAILED"), "-");
        assert_eq!(executions("running 0 tests\n"), "0");
    }
}
