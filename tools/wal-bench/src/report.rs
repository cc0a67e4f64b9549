//! What was measured, as it is written to a file and read from one.

use serde::{Deserialize, Serialize};
use wal_load::{Sample, Workload, Writers};

use super::cell::Cell;
use super::measure::Kind;

/// The share of the processors that the system itself may take.
const QUIET: f64 = 0.1;

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) rounds: usize,
    /// How often those who stand for the two sides of a bar met again.
    #[serde(default)]
    pub(super) duels: usize,
    /// Of one measurement.
    pub(super) seconds: f64,
    pub(super) suites: Vec<SuiteReport>,
}

/// Where it was measured, as far as that can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) system: String,
    pub(super) processors: usize,
    /// Of the disk that was written to.
    pub(super) file_system: Option<String>,
    /// The share of the processors that others took meanwhile, the system's own work included.
    #[serde(default)]
    pub(super) others: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SuiteReport {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) bars: Vec<BarReport>,
    pub(super) cells: Vec<CellReport>,
}

/// One contender with one load, in all rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct CellReport {
    pub(super) kind: Kind,
    pub(super) who: String,
    pub(super) load: String,
    /// What a power loss may take, if it may take anything.
    pub(super) claim: Option<String>,
    /// Why there are no samples.
    pub(super) skipped: Option<String>,
    pub(super) samples: Vec<Sample>,
}

/// A bar, and whether it was reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct BarReport {
    pub(super) text: String,
    pub(super) bound: Bound,
    pub(super) unit: Unit,
    /// Whose figure it is; none if nobody was measured.
    pub(super) ours: Option<String>,
    /// Whose figure it is divided by, if it is a ratio.
    pub(super) baseline: Option<String>,
    /// One for each duel, or for each round if it is no ratio.
    pub(super) values: Vec<f64>,
    /// The median of them.
    pub(super) value: Option<f64>,
}

/// What is asked of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Unit {
    Ratio,
    RecordsPerSecond,
    Bytes,
}

impl Machine {
    /// What is to be known before any figure is believed.
    pub(super) fn warning(&self) -> Option<String> {
        let share = self.others.filter(|share| *share > QUIET)?;
        let percent = (share * 100.0).round();
        Some(format!("Not a quiet machine: others took {percent} % of the processors meanwhile."))
    }
}

impl BarReport {
    /// None if it was not measured.
    pub(super) fn reached(&self) -> Option<bool> {
        self.value.map(|value| match self.bound {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
        })
    }
}

impl CellReport {
    /// Before anything was measured.
    pub(super) fn begun(cell: &Cell) -> Self {
        CellReport {
            kind: cell.kind,
            who: cell.who.clone(),
            load: cell.load.clone(),
            claim: cell.claim.clone(),
            skipped: None,
            samples: Vec::new(),
        }
    }

    /// Records per second, the median of the rounds; none if it was skipped.
    pub(super) fn rate(&self) -> Option<f64> {
        median(self.samples.iter().map(Sample::rate))
    }

    /// How long a measurement took, the median of the rounds.
    pub(super) fn seconds(&self) -> Option<f64> {
        median(self.samples.iter().map(|sample| sample.seconds))
    }

    /// A latency in microseconds, the median of the rounds.
    pub(super) fn latency(&self, quantile: f64) -> Option<f64> {
        median(self.samples.iter().map(|s| s.latency.at(quantile).as_secs_f64() * 1e6))
    }

    /// The longest call of all rounds, in microseconds.
    pub(super) fn longest(&self) -> Option<f64> {
        let all = self.samples.iter().map(|s| s.latency.max().as_secs_f64() * 1e6);
        all.reduce(f64::max)
    }

    /// Of the writer with the fewest records, its share of those of the one with the most.
    pub(super) fn fairness(&self) -> Option<f64> {
        median(self.samples.iter().filter(|s| s.most > 0).map(|s| s.fewest as f64 / s.most as f64))
    }

    /// The load, if it is one that is called again and again for a time.
    pub(super) fn workload(&self) -> Option<Workload> {
        self.load.parse().ok()
    }

    /// Who writes, if it is such a load.
    pub(super) fn writers(&self) -> Option<Writers> {
        self.workload().map(|load| load.writers)
    }
}

/// The middle one, or the mean of the two in the middle.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// A cell with so many records in a second, round by round.
    pub(in super::super) fn cell(kind: Kind, who: &str, load: &str, records: &[u64]) -> CellReport {
        let sample = |&n: &u64| Sample::once(n, Duration::from_secs(1));
        CellReport {
            kind,
            who: who.into(),
            load: load.into(),
            claim: None,
            skipped: records.is_empty().then(|| "not here".into()),
            samples: records.iter().map(sample).collect(),
        }
    }

    pub(in super::super) fn bar(value: Option<f64>, bound: Bound) -> BarReport {
        BarReport {
            text: "one < two".into(),
            bound,
            unit: Unit::Ratio,
            ours: value.map(|_| "wal file".into()),
            baseline: value.map(|_| "raw written".into()),
            values: value.into_iter().collect(),
            value,
        }
    }

    pub(in super::super) fn report() -> Report {
        let mut batch = cell(Kind::Ours, "wal file batch:100", "threads:1:100", &[500, 600, 700]);
        batch.claim = Some("at most 99 records".into());
        Report {
            machine: Machine {
                system: "test".into(),
                processors: 2,
                file_system: None,
                others: Some(0.25),
            },
            rounds: 3,
            duels: 5,
            seconds: 1.0,
            suites: vec![SuiteReport {
                name: "threads".into(),
                title: "Threads".into(),
                bars: vec![bar(Some(0.5), Bound::AtLeast(0.9)), bar(None, Bound::AtMost(1.25))],
                cells: vec![
                    cell(Kind::Raw, "raw <written>", "threads:1:100", &[1000, 1100, 900]),
                    cell(Kind::Raw, "raw direct 4096", "threads:1:100", &[]),
                    cell(Kind::Ours, "wal file group", "threads:4:100", &[2000, 2000, 2100]),
                    cell(Kind::Ours, "wal file group", "threads:16:100", &[9000, 8000, 8500]),
                    batch,
                ],
            }],
        }
    }

    #[test]
    fn a_machine_with_other_work_is_warned_of() {
        let mut machine = report().machine;
        assert!(machine.warning().unwrap().contains("others took 25 %"));
        machine.others = Some(0.05);
        assert_eq!(machine.warning(), None);
        machine.others = None;
        assert_eq!(machine.warning(), None);
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn bars_are_reached_at_their_bound() {
        assert_eq!(bar(Some(0.9), Bound::AtLeast(0.9)).reached(), Some(true));
        assert_eq!(bar(Some(0.89), Bound::AtLeast(0.9)).reached(), Some(false));
        assert_eq!(bar(Some(1.26), Bound::AtMost(1.25)).reached(), Some(false));
        assert_eq!(bar(None, Bound::AtMost(1.25)).reached(), None);
    }

    #[test]
    fn figures_of_cells() {
        let mut cell = cell(Kind::Ours, "x", "tasks:64:100", &[10, 30, 20]);
        assert_eq!((cell.rate(), cell.fairness()), (Some(20.0), Some(1.0)));
        assert_eq!(cell.writers(), Some(Writers::Tasks(64)));
        cell.load = "1 GiB of 100".into();
        assert_eq!(cell.writers(), None);
        cell.samples.clear();
        assert_eq!((cell.rate(), cell.longest()), (None, None));
    }

    #[test]
    fn reports_survive_json() {
        let report = report();
        let json = serde_json::to_string_pretty(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}
