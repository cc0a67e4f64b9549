//! What is asked for.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use wal_core::Error;
use wal_faults::{Faults, Owners, StorageUnderTest};
use wal_sync::Policy;

/// How long an exploration takes if nobody says it.
const BUDGET: Duration = Duration::from_secs(60);

/// What to explore, and for how long.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// A strategy, spelled as everywhere: batch:8,400,3ms. May be repeated. [default: one or two of each]
    #[arg(long = "strategy", value_name = "SPEC")]
    strategies: Vec<Strategy>,
    /// A storage. May be repeated. [default: every shipped one; direct-padded and direct-untried with a few strategies]
    #[arg(long = "storage", value_name = "NAME", value_parser = storage)]
    storages: Vec<StorageUnderTest>,
    /// How long the claims are explored, such as 90s or 10min; the mutants come on top. Counts differ from run
    /// to run. [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    budget: Option<Duration>,
    /// Instead of a time: so many states of each strategy on each storage. The same seed then prints the
    /// same.
    #[arg(long, value_name = "N", conflicts_with = "budget",
          value_parser = clap::value_parser!(u64).range(1..))]
    states: Option<u64>,
    /// Where the random choices begin.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Runs one case again that an exploration has printed, and nothing else. Fails if the case does.
    #[arg(long, value_name = "TRACE",
          conflicts_with_all = ["strategies", "storages", "budget", "states", "json", "html", "exotic",
                               "mutants", "owners", "threads", "seed"])]
    pub(super) replay: Option<String>,
    /// Which seeded mistakes the test kit has to find.
    #[arg(long, value_enum, default_value_t = Mutants::Seams)]
    mutants: Mutants,
    /// Whether several owners of one log are run, in every order of their calls: under a lock that is granted to
    /// everybody.
    #[arg(long, value_enum, default_value_t = Orders::Some)]
    owners: Orders,
    /// Threads that explore. [default: all that the machine runs at once]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Writes everything that was found into this file.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Writes a page for people into this file.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Also tries what no claim covers: sectors torn together with durable neighbours, renames that are
    /// not atomic. What is lost then is counted apart.
    #[arg(long)]
    exotic: bool,
    /// Only says which mutants there are at the seams: for `cargo xtask mutants`.
    #[arg(long, hide = true)]
    pub(super) seams: bool,
    /// Only explores this mutant. May be repeated.
    #[arg(long, hide = true, value_name = "MUTANT")]
    pub(super) look: Vec<String>,
    /// With the shortest case that shows it.
    #[arg(long, hide = true, requires = "look")]
    pub(super) story: bool,
}

/// Which seeded mistakes are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mutants {
    /// None: the claims alone
    None,
    /// Those at the seams: file system, storage, strategy
    Seams,
}

/// Which orders of the calls of several owners are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Orders {
    /// None
    None,
    /// All orders of one scenario, 400 random ones of each other: some seconds
    Some,
    /// All orders of five scenarios, 400 random ones of the sixth: minutes
    All,
}

impl From<Orders> for Owners {
    fn from(which: Orders) -> Owners {
        match which {
            Orders::None => Owners::None,
            Orders::Some => Owners::Some,
            Orders::All => Owners::All,
        }
    }
}

/// A strategy, and how it was spelled.
#[derive(Clone, Debug)]
struct Strategy {
    spelling: String,
    policy: Policy,
}

impl FromStr for Strategy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(Strategy { spelling: text.into(), policy: text.parse()? })
    }
}

impl Options {
    /// What is asked for, to be run.
    pub(super) fn faults(&self) -> Faults {
        let mut faults = Faults::new()
            .command("cargo xtask faults")
            .seed(self.seed)
            .exotic(self.exotic)
            .mutants(self.mutants == Mutants::Seams)
            .owners(self.owners.into());
        for Strategy { spelling, policy } in &self.strategies {
            faults = faults.strategy(spelling, *policy);
        }
        for storage in &self.storages {
            faults = faults.storage(storage.clone());
        }
        if let Some(threads) = self.threads {
            faults = faults.threads(threads);
        }
        match self.states {
            Some(states) => faults.states(states),
            None => faults.budget(self.budget()),
        }
    }

    fn budget(&self) -> Duration {
        self.budget.unwrap_or(BUDGET)
    }
}

/// The strategy and the storage that a trace speaks of, as they are shipped.
pub(super) fn named(strategy: &str, name: &str) -> anyhow::Result<Faults> {
    let policy: Policy = strategy.parse()?;
    let storage = storage(name).map_err(anyhow::Error::msg)?;
    Ok(Faults::new().strategy(strategy, policy).storage(storage))
}

fn storage(name: &str) -> Result<StorageUnderTest, String> {
    let all = StorageUnderTest::all();
    let names: Vec<_> = all.iter().map(StorageUnderTest::name).collect();
    let known = format!("{name:?} is no storage; there are {}", names.join(", "));
    StorageUnderTest::named(name).ok_or(known)
}

fn time(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let time = digits.parse().ok().and_then(|n: u64| n.checked_mul(millis)).filter(|n| *n > 0);
    let expected = || format!("{text:?} is not a time such as 90s; units are ms, s, min, h");
    time.map(Duration::from_millis).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parse(line: &str) -> Result<Options, clap::Error> {
        let words = std::iter::once("faults").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.options)
    }

    #[test]
    fn without_options_every_strategy_meets_every_storage_for_a_minute() {
        let options = parse("").unwrap();
        assert!(options.states.is_none() && options.budget().as_secs() == 60);
        let subjects = options.faults().subjects();
        assert_eq!(subjects.len(), 8 * StorageUnderTest::shipped().len() + 5 * 3);
        for other in
            ["direct-padded", "direct-untried", "file-reserve", "direct-reserve", "mmap-reserve"]
        {
            let on_it = subjects.iter().filter(|s| s.storage.name() == other);
            let on_it: Vec<_> = on_it.map(|s| s.spelling.as_str()).collect();
            assert_eq!(on_it, ["always", "batch:8,400,3ms", "os"]);
        }
        assert_eq!(format!("{:?}", subjects[1]), "always on file-plain");
        assert_eq!(options.mutants, Mutants::Seams);
    }

    #[test]
    fn subjects_are_what_was_named() {
        let options = parse("--strategy os --strategy batch:4 --storage file --states 9").unwrap();
        let names: Vec<_> = options.faults().subjects().iter().map(|s| format!("{s:?}")).collect();
        assert_eq!(names, ["os on file", "batch:4 on file"]);
        assert_eq!(options.states, Some(9));
    }

    #[test]
    fn mistakes_are_told_with_what_there_is() {
        let told = |line: &str| parse(line).unwrap_err().to_string();
        let storages = told("--storage tape");
        assert!(storages.contains("there are file, file-plain"), "{storages}");
        assert!(storages.contains("direct-padded"), "{storages}");
        assert!(told("--strategy never").contains("never"));
        assert!(told("--budget 60").contains("such as 90s"));
        assert!(told("--budget 0s").contains("such as 90s"));
        assert!(told("--states 0").contains("--states"));
        assert!(told("--states 5 --budget 5s").contains("cannot be used with"));
        for other in
            ["--seed 1", "--states 5", "--mutants none", "--owners all", "--threads 1", "--exotic"]
        {
            let line = format!("--replay x {other}");
            assert!(told(&line).contains("cannot be used with"), "{line}");
        }
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(time("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(time("2min"), Ok(Duration::from_secs(120)));
        assert!(time("99999999999999999999h").is_err());
    }
}
