//! What is asked for.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use wal_load::Timing;

use super::choice::Choice;
use super::peers::Which;
use super::storages::{STORAGES, Storage, named};
use super::suites::{SUITES, usual};

/// What to measure, and for how long.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// What to measure, such as one-writer,threads. [default: all but pace and matrix]
    #[arg(long = "suite", value_name = "NAMES", value_delimiter = ',', value_parser = suite())]
    suites: Vec<&'static str>,
    /// Where to put the files; must lie on the disk that is to be measured.
    #[arg(long, default_value = "target/bench")]
    pub(super) dir: PathBuf,
    /// Rounds, in each of which every cell of a suite is measured once. Medians are printed.
    /// [default: 5, quick: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Duels after that: the best cells of the two sides of a bar are measured right after each other, so
    /// many times. A bar's ratio is the median of theirs. [default: 11, quick: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    duels: Option<u32>,
    /// Seconds of each measurement, besides a fifth of it to warm up. [default: 1, quick: 0.2]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
    /// A first look: fewer rounds, short measurements, small logs.
    #[arg(long)]
    quick: bool,
    /// Opens a log of 10 GiB instead of one of 1 GiB.
    #[arg(long)]
    full: bool,
    /// Only these storages.
    #[arg(long = "storage", value_name = "NAMES", value_delimiter = ',', value_parser = named)]
    storages: Vec<&'static Storage>,
    /// Only what has each of these in its name or load, such as "file always",tasks:64: to look at a
    /// profile of it.
    #[arg(long, value_name = "TEXTS", value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Also other logs, each in a process of its own. The first time, building them takes minutes.
    #[arg(long, value_enum, default_value_t, num_args = 0..=1, default_missing_value = "fast")]
    pub(super) peers: Which,
    /// Writes everything that was measured into this file.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Writes a page for people into this file.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Writes the tables between the markers of this document.
    #[arg(long, value_name = "FILE")]
    pub(super) doc: Option<PathBuf>,
    /// Measures nothing: reads what `--json` wrote.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "suites", "peers", "quick", "full"])]
    pub(super) from: Option<PathBuf>,
    /// Reads the log of this directory and prints what that took: for a suite that runs this program
    /// again.
    #[arg(long, hide = true, value_name = "DIR")]
    pub(super) replay: Option<PathBuf>,
    /// Gives each record to the one who reads, instead of lending it.
    #[arg(long, hide = true, requires = "replay")]
    pub(super) given: bool,
}

impl Options {
    pub(super) fn suites(&self) -> Vec<&'static str> {
        if self.suites.is_empty() { usual().collect() } else { self.suites.clone() }
    }

    pub(super) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 }) as usize
    }

    pub(super) fn duels(&self) -> usize {
        self.duels.unwrap_or(if self.quick { 3 } else { 11 }) as usize
    }

    pub(super) fn timing(&self) -> Timing {
        let usual = Duration::from_millis(if self.quick { 200 } else { 1000 });
        Timing::of(self.seconds.unwrap_or(usual))
    }

    pub(super) fn choice(&self) -> Choice {
        Choice {
            storages: match &self.storages[..] {
                [] => STORAGES.iter().collect(),
                named => named.to_vec(),
            },
            peers: self.peers,
            recovery_bytes: if self.quick { 128 << 20 } else { 1 << 30 },
            open_segments: match (self.full, self.quick) {
                (true, _) => 160,
                (false, true) => 4,
                (false, false) => 16,
            },
        }
    }
}

fn suite() -> impl TypedValueParser<Value = &'static str> {
    let names = || SUITES.iter().map(|(name, _)| *name);
    let known = move |name: String| names().find(|known| **known == name);
    PossibleValuesParser::new(names()).map(move |name| known(name).expect("one of those"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    let expected = || format!("{text:?} is not a number of seconds from 0.01 on");
    seconds.filter(|time| *time >= Duration::from_millis(10)).ok_or_else(expected)
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
        let words = std::iter::once("bench").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.options)
    }

    #[test]
    fn without_options_what_the_log_has_to_reach_is_measured_five_times() {
        let options = parse("").unwrap();
        assert_eq!(options.suites().len(), SUITES.len() - 2);
        assert!(!options.suites().iter().any(|name| ["matrix", "pace"].contains(name)));
        assert_eq!((options.rounds(), options.duels()), (5, 11));
        assert_eq!(options.timing().measured.as_millis(), 1000);
        let choice = options.choice();
        assert_eq!((choice.recovery_bytes, choice.open_segments), (1 << 30, 16));
        assert_eq!((choice.peers, choice.plain().name), (Which::None, "file"));
    }

    #[test]
    fn quick_is_short_unless_it_is_told_otherwise() {
        let options = parse("--quick --rounds 7 --suite threads,matrix --peers").unwrap();
        assert_eq!(options.suites(), ["threads", "matrix"]);
        assert_eq!((options.rounds(), options.duels()), (7, 3));
        assert_eq!(options.timing().measured.as_millis(), 200);
        assert_eq!(options.choice().peers, Which::Fast);
        let line = "--quick --seconds 0.5 --storage memory,file-through --full";
        let choice = parse(line).unwrap().choice();
        assert_eq!((choice.plain().name, choice.open_segments), ("file-through", 160));
        assert_eq!(choice.storages().count(), 2);
    }

    #[test]
    fn mistakes_are_told_with_what_there_is() {
        let told = |line| parse(line).unwrap_err().to_string();
        assert!(told("--suite speed").contains("possible values: one-writer, threads"));
        assert!(told("--storage tape").contains("there are file,"));
        assert!(told("--seconds 0").contains("a number of seconds from 0.01 on"));
        assert!(told("--seconds=-1").contains("a number of seconds"));
        assert!(told("--rounds 0").contains("--rounds"));
        assert!(told("--duels 0").contains("--duels"));
        assert!(told("--from a --json b").contains("cannot be used with"));
    }
}
