//! Measuring the cells of a suite in turns.

use std::fs;
use std::path::Path;

use anyhow::Context;
use wal_load::Timing;

use super::cell::{Cell, Measured, Site};
use super::peers::Peers;
use super::progress::Progress;
use super::report::{CellReport, SuiteReport};
use super::suites::Suite;

/// Everything that all suites have in common.
pub(super) struct Rounds<'a> {
    pub(super) dir: &'a Path,
    pub(super) rounds: usize,
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
        let mut cells: Vec<_> = suite.cells.iter().map(begun).collect();
        for round in 0..self.rounds {
            for number in in_turns(round, self.rounds, cells.len()) {
                let (cell, report) = (&suite.cells[number], &mut cells[number]);
                self.progress.tell(suite.name, &cell.who, &cell.load);
                if report.skipped.is_none() {
                    self.measure(cell, report, kept.path())
                        .with_context(|| format!("{}, {}", cell.who, cell.load))?;
                }
                self.progress.measured();
            }
        }
        Ok(SuiteReport {
            name: suite.name.to_owned(),
            title: suite.title.to_owned(),
            bars: suite.bars.iter().map(|bar| bar.judge(&cells)).collect(),
            cells,
        })
    }

    fn measure(&self, cell: &Cell, report: &mut CellReport, kept: &Path) -> anyhow::Result<()> {
        let fresh = tempfile::tempdir_in(self.dir)?;
        match cell.measure(&self.site(fresh.path(), kept), &self.timing)? {
            Measured::Sample(sample) => report.samples.push(sample),
            Measured::Skipped(why) => report.skipped = Some(why),
        }
        fresh.close()?;
        // Removing it is still on its way to the disk; the next cell shall not pay for that. Where a
        // directory cannot be synced, it may.
        fs::File::open(self.dir).and_then(|dir| dir.sync_all()).ok();
        Ok(())
    }

    fn site(&self, fresh: &Path, kept: &Path) -> Site<'_> {
        Site { fresh: fresh.to_owned(), kept: kept.to_owned(), peers: self.peers }
    }
}

fn begun(cell: &Cell) -> CellReport {
    CellReport {
        kind: cell.kind,
        who: cell.who.clone(),
        load: cell.load.clone(),
        claim: cell.claim.clone(),
        skipped: None,
        samples: Vec::new(),
    }
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

    use super::super::ours::Ours;
    use super::super::raw::Raw;
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
    fn samples_and_reasons_are_kept_and_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let load = Workload::threads(1, 100);
        let suite = Suite {
            name: "test",
            title: "Test",
            cells: vec![
                Cell::raw(Raw::Copy, load).stride(64),
                Cell::peer("okaywal", load),
                Cell::ours(Ours::new(PLAIN, "batch:10"), load),
            ],
            bars: Vec::new(),
        };
        let timing = Timing::of(Duration::from_millis(10));
        let progress = Progress::new(6);
        let rounds =
            Rounds { dir: dir.path(), rounds: 2, timing, peers: None, progress: &progress };
        let report = rounds.run(&suite).unwrap();
        let counts: Vec<_> = report.cells.iter().map(|cell| cell.samples.len()).collect();
        assert_eq!(counts, [2, 0, 2]);
        assert_eq!(report.cells[1].skipped.as_deref(), Some("--peers was not given"));
        assert_eq!(report.cells[2].claim.as_deref(), Some("at most 9 records"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
