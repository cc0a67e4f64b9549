//! Few producers that feed many logs.

use std::path::Path;

use wal_core::{Durability, Recovered, Wal};
use wal_load::{Sample, Timing, Workload, threads};
use wal_recovery::Recovery;
use wal_streams::{Stream, Streams};

use super::measure::strategy;
use super::storages::Storage;

const PRODUCERS: usize = 4;
const LOGS: usize = 32;
const RECORDS: usize = 2000;
const RECORD: usize = 128;

/// The same work, differently spread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Many {
    storage: &'static Storage,
    spread: Spread,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// All producers feed one log.
    One,
    /// Each producer goes round logs of its own, which share one log and its syncs.
    Streams,
    /// Each producer goes round logs of its own, each with files and syncs of its own.
    Separate,
}

impl Many {
    pub(super) fn one(storage: &'static Storage) -> Self {
        Many { storage, spread: Spread::One }
    }

    pub(super) fn streams(storage: &'static Storage) -> Self {
        Many { storage, spread: Spread::Streams }
    }

    pub(super) fn separate(storage: &'static Storage) -> Self {
        Many { storage, spread: Spread::Separate }
    }

    pub(super) fn name(&self) -> String {
        let spread = match self.spread {
            Spread::One => "one log".to_owned(),
            Spread::Streams => format!("{LOGS} streams"),
            Spread::Separate => format!("{LOGS} logs"),
        };
        format!("wal {} {spread}", self.storage.name)
    }

    pub(super) fn load(&self) -> Workload {
        Workload::threads(PRODUCERS, RECORD).batch(RECORDS)
    }

    pub(super) fn measure(&self, dir: &Path, timing: &Timing) -> anyhow::Result<Sample> {
        let recovered = |number: usize| -> anyhow::Result<Recovered> {
            let storage = (self.storage.build)(&dir.join(number.to_string()))?;
            Ok(Recovery::new(storage).run()?.0)
        };
        let group = || Wal::builder(strategy("group"));
        let records = vec![vec![b'r'; RECORD]; RECORDS];
        if self.spread == Spread::Streams {
            let streams = Streams::open(group(), recovered(0)?)?;
            let all: Vec<_> = (0..LOGS as u64).map(|id| streams.stream(id)).collect();
            let append =
                |stream: &Stream| stream.append_batch_with(&records, Durability::Durable).map(drop);
            let sample = self.feed(&all, timing, append)?;
            let syncs = streams.stats().log.syncs;
            streams.close()?;
            return Ok(Sample { syncs: Some(syncs), ..sample });
        }
        let count = if self.spread == Spread::One { 1 } else { LOGS };
        let open = |number| -> anyhow::Result<Wal> { Ok(group().open(recovered(number)?)?) };
        let logs: Vec<_> = (0..count).map(open).collect::<anyhow::Result<_>>()?;
        let append = |log: &Wal| log.append_batch_with(&records, Durability::Durable).map(drop);
        let sample = self.feed(&logs, timing, append)?;
        let syncs = logs.iter().map(|log| log.stats().syncs).sum();
        logs.iter().try_for_each(Wal::close)?;
        Ok(Sample { syncs: Some(syncs), ..sample })
    }

    /// Each producer goes round its share of the logs.
    fn feed<L: Clone + Send>(
        &self,
        logs: &[L],
        timing: &Timing,
        append: impl Fn(&L) -> wal_core::Result<()> + Sync,
    ) -> anyhow::Result<Sample> {
        let share = logs.len().div_ceil(PRODUCERS);
        let append = &append;
        let producer = |number: usize| {
            let mine: Vec<_> =
                logs.iter().cycle().skip(number * share).take(share).cloned().collect();
            let mut turn = 0;
            move || {
                turn = (turn + 1) % mine.len();
                Ok(append(&mine[turn])?)
            }
        };
        threads(&self.load(), timing, (0..PRODUCERS).map(producer).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wal_core::Lsn;

    use super::super::storages::PLAIN;
    use super::*;

    #[test]
    fn every_log_is_fed() {
        let dir = tempfile::tempdir().unwrap();
        let many = Many::separate(PLAIN);
        assert_eq!(many.load().to_string(), "threads:4:2000x128");
        let fed = |number: usize| {
            let dir = dir.path().join(number.to_string());
            std::fs::read_dir(dir)
                .unwrap()
                .any(|e| e.unwrap().path().extension().is_some_and(|e| e == "wal"))
        };
        // On a slow disk a single measurement may be too short for every one to have its turn.
        let all_are_fed = (1..=8).any(|longer| {
            let timing = Timing::of(Duration::from_millis(300) * longer);
            let sample = many.measure(dir.path(), &timing).unwrap();
            assert!(sample.syncs > Some(0), "{sample:?}");
            (0..LOGS).all(fed)
        });
        assert!(all_are_fed);
    }

    #[test]
    fn streams_share_one_log() {
        let dir = tempfile::tempdir().unwrap();
        let many = Many::streams(PLAIN);
        assert_eq!(many.name(), "wal file 32 streams");
        let sample = many.measure(dir.path(), &Timing::of(Duration::from_millis(100))).unwrap();
        assert!(sample.syncs > Some(0), "{sample:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let (recovered, _) =
            Recovery::new((PLAIN.build)(&dir.path().join("0")).unwrap()).run().unwrap();
        let streams = Streams::open(Wal::builder(strategy("group")), recovered).unwrap();
        // On a slow disk not every one has its turn.
        let fed = (0..LOGS as u64).filter(|&id| streams.stream(id).last_lsn() > Lsn::ZERO).count();
        assert!(fed >= PRODUCERS, "{fed} streams were fed");
    }
}
