//! Measuring the cells of a suite in turns, and then the best of them one against one.

use std::fs;
use std::path::Path;

use anyhow::Context;
use wal_load::Timing;

use super::bars::{Duels, Pair};
use super::cell::Site;
use super::measure::Measured;
use super::peers::Peers;
use super::progress::Progress;
use super::report::{CellReport, SuiteReport};
use super::suites::Suite;

/// Everything that all suites have in common.
pub(super) struct Rounds<'a> {
    pub(super) dir: &'a Path,
    pub(super) rounds: usize,
    pub(super) duels: usize,
    pub(super) timing: Timing,
    pub(super) peers: Option<&'a Peers>,
    pub(super) progress: &'a Progress,
}

impl Rounds<'_> {
    /// Every round measures every cell once, so that whatever slows the machine down for a while slows
    /// all of them. A round begins at another cell than the one before it.
    pub(super) fn run(&self, suite: &Suite) -> anyhow::Result<SuiteReport> {
        let kept = tempfile::tempdir_in(self.dir)
            .with_context(|| format!("cannot write to {}", self.dir.display()))?;
        for cell in &suite.cells {
            self.progress.tell(suite.name, &cell.who, &cell.load);
            let site = self.site(kept.path(), kept.path());
            cell.prepare(&site).with_context(|| format!("preparing {}", cell.who))?;
        }
        let mut cells: Vec<_> = suite.cells.iter().map(CellReport::begun).collect();
        for round in 0..self.rounds {
            for number in in_turns(round, self.rounds, cells.len()) {
                let report = &mut cells[number];
                if report.skipped.is_some() {
                    self.progress.measured(1);
                    continue;
                }
                match self.measure(suite, number, kept.path())? {
                    Measured::Sample(sample) => report.samples.push(sample),
                    Measured::Skipped(why) => report.skipped = Some(why),
                }
            }
        }
        let duels = self.duels(suite, &cells, kept.path())?;
        Ok(SuiteReport {
            name: suite.name.to_owned(),
            title: suite.title.to_owned(),
            bars: suite.bars.iter().map(|bar| bar.judge(&cells, &duels)).collect(),
            cells,
        })
    }

    /// Between two measurements of the same round lies a minute, in which a disk may change its mind. So
    /// those who stand for the two sides of a bar meet again, right after each other, and each of them
    /// begins every other time.
    fn duels(&self, suite: &Suite, cells: &[CellReport], kept: &Path) -> anyhow::Result<Duels> {
        let pairs = || suite.bars.iter().map(|bar| bar.pair(cells));
        let mut duels: Duels = pairs().flatten().map(|pair| (pair, Vec::new())).collect();
        self.progress.measured((suite.ratios() - duels.len()) * self.duels * 2);
        for duel in 0..self.duels {
            for (&Pair { ours, baseline }, fought) in &mut duels {
                let [first, second] = turned(duel, [ours, baseline]);
                let first = self.measure(suite, first, kept)?;
                let second = self.measure(suite, second, kept)?;
                if let (Measured::Sample(first), Measured::Sample(second)) = (first, second) {
                    fought.push(turned(duel, [first, second]));
                }
            }
        }
        Ok(duels)
    }

    fn measure(&self, suite: &Suite, number: usize, kept: &Path) -> anyhow::Result<Measured> {
        let cell = &suite.cells[number];
        self.progress.tell(suite.name, &cell.who, &cell.load);
        let fresh = tempfile::tempdir_in(self.dir)?;
        let measured = cell
            .measure(&self.site(fresh.path(), kept), &self.timing)
            .with_context(|| format!("{}, {}", cell.who, cell.load))?;
        fresh.close()?;
        // Removing it is still on its way to the disk; the next cell shall not pay for that. Where a
        // directory cannot be synced, it may.
        fs::File::open(self.dir).and_then(|dir| dir.sync_all()).ok();
        self.progress.measured(1);
        Ok(measured)
    }

    fn site(&self, fresh: &Path, kept: &Path) -> Site<'_> {
        Site { fresh: fresh.to_owned(), kept: kept.to_owned(), peers: self.peers }
    }
}

/// Every other time the other way round.
fn turned<T>(duel: usize, [first, second]: [T; 2]) -> [T; 2] {
    if duel.is_multiple_of(2) { [first, second] } else { [second, first] }
}

/// The order of the cells in a round: each round begins a part of the way further on.
fn in_turns(round: usize, rounds: usize, cells: usize) -> impl Iterator<Item = usize> {
    let first = cells * round / rounds;
    (0..cells).map(move |number| (first + number) % cells)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use wal_load::Workload;

    use super::super::bars::{Bar, Figure, Pick};
    use super::super::cell::Cell;
    use super::super::measure::Kind;
    use super::super::ours::Ours;
    use super::super::raw::Raw;
    use super::super::report::Bound;
    use super::super::storages::PLAIN;
    use super::*;

    #[test]
    fn every_round_has_every_cell_once_and_begins_elsewhere() {
        let mut firsts = BTreeSet::new();
        for round in 0..5 {
            let order: Vec<_> = in_turns(round, 5, 12).collect();
            assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 12);
            firsts.insert(order[0]);
        }
        assert_eq!(firsts.len(), 5);
        assert_eq!(in_turns(0, 3, 0).count(), 0);
    }

    #[test]
    fn in_duels_the_one_begins_and_then_the_other() {
        assert_eq!([0, 1, 2].map(|duel| turned(duel, ['a', 'b'])[0]), ['a', 'b', 'a']);
        assert_eq!(turned(1, turned(1, ['a', 'b'])), ['a', 'b'], "turned back");
    }

    #[test]
    fn samples_and_reasons_are_kept_and_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let load = Workload::threads(1, 100);
        let pick = |kind| Pick::new(kind, load);
        let bar = |figure| {
            Bar::ratio("t", figure, Bound::AtLeast(1.0), pick(Kind::Ours), pick(Kind::Raw))
        };
        let suite = Suite {
            name: "test",
            title: "Test",
            cells: vec![
                Cell::raw(Raw::Copy, load).stride(64),
                Cell::peer("okaywal", load),
                Cell::ours(Ours::new(PLAIN, "batch:10"), load),
            ],
            bars: [Figure::Rate, Figure::P99].map(bar).into(),
        };
        let timing = Timing::of(Duration::from_millis(10));
        let progress = Progress::new(6);
        let rounds = Rounds {
            dir: dir.path(),
            rounds: 2,
            duels: 3,
            timing,
            peers: None,
            progress: &progress,
        };
        assert_eq!(suite.measurements(2, 3), 6 + 12);
        let report = rounds.run(&suite).unwrap();
        let counts: Vec<_> = report.cells.iter().map(|cell| cell.samples.len()).collect();
        assert_eq!(counts, [2, 0, 2], "duels do not count for those who fought them");
        for bar in &report.bars {
            assert_eq!(bar.values.len(), 3, "{bar:?}");
        }
        assert_eq!(report.cells[1].skipped.as_deref(), Some("--peers was not given"));
        assert_eq!(report.cells[2].claim.as_deref(), Some("at most 9 records"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
