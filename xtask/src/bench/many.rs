//! Few producers that feed many logs.

use std::path::Path;

use wal_core::{Durability, Wal};
use wal_load::{Sample, Timing, Workload, threads};
use wal_recovery::Recovery;

use super::cell::strategy;
use super::ours::Writer;
use super::storages::Storage;

const PRODUCERS: usize = 4;
const LOGS: usize = 32;
const RECORDS: usize = 2000;
const RECORD: usize = 128;

/// The same work for one log, or for several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Many {
    storage: &'static Storage,
    /// Each with files and syncs of its own; a producer goes round those that are its own.
    logs: usize,
}

impl Many {
    /// All producers feed one log.
    pub(super) fn one(storage: &'static Storage) -> Self {
        Many { storage, logs: 1 }
    }

    /// Each producer feeds eight logs.
    pub(super) fn separate(storage: &'static Storage) -> Self {
        Many { storage, logs: LOGS }
    }

    pub(super) fn name(&self) -> String {
        let logs =
            if self.logs == 1 { "one log".to_owned() } else { format!("{} logs", self.logs) };
        format!("wal {} {logs}", self.storage.name)
    }

    pub(super) fn load(&self) -> Workload {
        Workload::threads(PRODUCERS, RECORD).batch(RECORDS)
    }

    pub(super) fn measure(&self, dir: &Path, timing: &Timing) -> anyhow::Result<Sample> {
        let open = |number: usize| -> anyhow::Result<Wal> {
            let storage = (self.storage.build)(&dir.join(number.to_string()))?;
            let (recovered, _) = Recovery::new(storage).run()?;
            Ok(Wal::builder(strategy("group")).open(recovered)?)
        };
        let logs: Vec<_> = (0..self.logs).map(open).collect::<anyhow::Result<_>>()?;
        let writer = Writer::new(&self.load(), Durability::Durable);
        let producer = |number: usize| {
            let share = logs.len().div_ceil(PRODUCERS);
            let mine: Vec<_> =
                logs.iter().cycle().skip(number * share).take(share).cloned().collect();
            let (mut turn, writer) = (0, writer.clone());
            move || {
                turn = (turn + 1) % mine.len();
                writer.write(&mine[turn])
            }
        };
        let sample = threads(&self.load(), timing, (0..PRODUCERS).map(producer).collect())?;
        let syncs = logs.iter().map(|log| log.stats().syncs).sum();
        logs.iter().try_for_each(Wal::close)?;
        Ok(Sample { syncs: Some(syncs), ..sample })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::storages::PLAIN;
    use super::*;

    #[test]
    fn every_log_is_fed() {
        let dir = tempfile::tempdir().unwrap();
        let many = Many::separate(PLAIN);
        assert_eq!(many.load().to_string(), "threads:4:2000x128");
        let sample = many.measure(dir.path(), &Timing::of(Duration::from_millis(300))).unwrap();
        let fed = |number: usize| {
            let dir = dir.path().join(number.to_string());
            std::fs::read_dir(dir)
                .unwrap()
                .any(|e| e.unwrap().path().extension().is_some_and(|e| e == "wal"))
        };
        assert!((0..LOGS).all(fed), "{sample:?}");
    }
}
