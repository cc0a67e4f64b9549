//! The log under a workload.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::Context;
use wal_core::{AsyncWal, Durability, ErrorKind, Event, Lsn, Pace, Settings, SyncStrategy, Wal};
use wal_load::{AsyncWriter, Sample, Timing, Workload, Writers, tasks, threads};
use wal_recovery::Recovery;
use wal_sync::Policy;

use super::measure::strategy;
use super::mechanism::Mechanism;
use super::storages::Storage;

/// How the names end of those whose tasks commit in place.
pub(super) const IN_PLACE: &str = " in place";

/// A log, and how safe its appends are.
#[derive(Clone, Debug)]
pub(super) struct Ours {
    pub(super) storage: &'static Storage,
    pub(super) strategy: Policy,
    /// `None`: what the strategy says.
    durability: Option<Durability>,
    /// Tasks commit on their executor's threads.
    in_place: bool,
    /// A mechanism that is switched off.
    without: Option<Mechanism>,
}

impl Ours {
    /// Appends as safe as the strategy makes them.
    pub(super) fn new(storage: &'static Storage, name: &str) -> Self {
        Ours { storage, strategy: strategy(name), durability: None, in_place: false, without: None }
    }

    /// The same, by tasks that commit in place.
    pub(super) fn in_place(storage: &'static Storage, name: &str) -> Self {
        Ours { in_place: true, ..Ours::new(storage, name) }
    }

    /// Appends that are acknowledged as soon as they are in memory, or have been written.
    pub(super) fn unsynced(storage: &'static Storage, durability: Durability) -> Self {
        Ours { durability: Some(durability), ..Ours::new(storage, "os") }
    }

    /// The same, with a mechanism switched off.
    pub(super) fn without(mut self, mechanism: Mechanism) -> Self {
        self.without = Some(mechanism);
        self
    }

    pub(super) fn is_unsynced(&self) -> bool {
        self.durability.is_some_and(|durability| durability < Durability::Durable)
    }

    pub(super) fn name(&self) -> String {
        let what = match self.durability {
            Some(Durability::Buffered) => "buffered".to_owned(),
            Some(Durability::Written) => "written".to_owned(),
            Some(Durability::Durable) | None => self.strategy.to_string(),
        };
        let place = if self.in_place { IN_PLACE } else { "" };
        let without = self.without.map_or("", Mechanism::without);
        format!("wal {} {what}{place}{without}", self.storage.name)
    }

    /// What a crash may take, if it may take anything.
    pub(super) fn claim(&self) -> Option<String> {
        let loss = self.strategy.claim().power_loss;
        match self.durability {
            Some(Durability::Buffered) => Some(format!("{loss}; if killed, the buffer")),
            _ => (!loss.is_nothing()).then(|| loss.to_string()),
        }
    }

    /// Opens a log in an empty directory, runs the workload on it, and closes it.
    pub(super) fn measure(
        &self,
        dir: &Path,
        load: &Workload,
        timing: &Timing,
    ) -> anyhow::Result<Sample> {
        let (recovered, _) = Recovery::new((self.storage.build)(&dir.join("log"))?).run()?;
        let settings = Settings::default().commit_in_place(self.in_place);
        let pace = self.without.map_or_else(Pace::default, Mechanism::pace);
        let builder = Wal::builder(self.strategy).settings(settings).pace(pace);
        let sample = if self.storage.recycles {
            let (tell, told) = mpsc::channel();
            let log = builder.on_event(move |event| tell_segments(&tell, event)).open(recovered)?;
            let checkpoints = thread::spawn({
                let log = log.clone();
                move || checkpoint(&log, &told)
            });
            run_in(&log)?;
            let sample = self.run(&log, load, timing);
            log.close()?;
            checkpoints.join().ok().context("the checkpoints panicked")??;
            sample
        } else {
            let log = builder.open(recovered)?;
            let sample = self.run(&log, load, timing);
            log.close()?;
            sample
        };
        sample.with_context(|| format!("{}: {load}", self.name()))
    }

    fn run(&self, log: &Wal, load: &Workload, timing: &Timing) -> anyhow::Result<Sample> {
        let syncs = log.stats().syncs;
        let writer = Writer::new(load, self.durability);
        let count = load.writers.count();
        let sample = match load.writers {
            Writers::Threads(_) => {
                let thread = |_| {
                    let (log, writer) = (log.clone(), writer.clone());
                    move || writer.write(&log)
                };
                threads(load, timing, (0..count).map(thread).collect())?
            }
            Writers::Tasks(_) => {
                let log = log.asynchronous();
                let writer = Arc::new(writer);
                let task = |_| Task { log: log.clone(), writer: writer.clone() };
                tasks(load, timing, (0..count).map(task).collect())?
            }
        };
        Ok(Sample { syncs: Some(log.stats().syncs - syncs), ..sample })
    }
}

/// What one writer appends in each call.
#[derive(Clone)]
pub(super) struct Writer {
    record: Vec<u8>,
    batch: Option<Vec<Vec<u8>>>,
    durability: Option<Durability>,
}

impl Writer {
    pub(super) fn new(load: &Workload, durability: Option<Durability>) -> Self {
        let record = vec![b'r'; load.record];
        Writer {
            batch: load.batch.map(|records| vec![record.clone(); records]),
            record,
            durability,
        }
    }

    #[inline]
    pub(super) fn write(&self, log: &Wal) -> anyhow::Result<()> {
        match &self.batch {
            Some(records) => log.append_batch_with(records, self.durability).map(drop)?,
            None => log.append_with(&self.record, self.durability).map(drop)?,
        }
        Ok(())
    }
}

/// What tasks append was made just before, so it is to lie in a cache: one record for all of them, since ten
/// thousand would not.
struct Task {
    log: AsyncWal,
    writer: Arc<Writer>,
}

impl AsyncWriter for Task {
    async fn write(&mut self) -> anyhow::Result<()> {
        let Writer { record, batch, durability } = &*self.writer;
        match batch {
            Some(records) => self.log.append_batch_with(records, *durability).await.map(drop)?,
            None => self.log.append_with(record, *durability).await.map(drop)?,
        }
        Ok(())
    }
}

/// Fills segments until some were given back, so that those to come are recycled.
fn run_in(log: &Wal) -> anyhow::Result<()> {
    let records = vec![vec![b'r'; 16 << 10]; 64];
    while log.stats().segments_created < 4 {
        log.append_batch_with(&records, Durability::Written)?;
    }
    log.sync()?;
    Ok(())
}

/// Tells of each segment, and `None` at the end.
fn tell_segments(tell: &mpsc::Sender<Option<Lsn>>, event: &Event) {
    let news = match event {
        Event::SegmentCreated { first_lsn, .. } => Some(*first_lsn),
        Event::Closed { .. } | Event::Poisoned { .. } => None,
        _ => return,
    };
    // Nobody listens any more after an error, which is told elsewhere.
    let _ = tell.send(news);
}

/// Keeps the segment that is written to and the one before it.
fn checkpoint(log: &Wal, told: &mpsc::Receiver<Option<Lsn>>) -> anyhow::Result<()> {
    let mut previous = None;
    while let Ok(Some(newest)) = told.recv() {
        let Some(lsn) = previous.replace(newest) else { continue };
        match log.truncate_before(lsn) {
            // The measurement was over before this was done.
            Err(error) if error.kind() == ErrorKind::Closed => break,
            outcome => drop(outcome?),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::storages::{STORAGES, possible};
    use super::*;

    fn measure(ours: &Ours, load: &str) -> Sample {
        let dir = tempfile::tempdir().unwrap();
        let timing = Timing::of(Duration::from_millis(20));
        ours.measure(dir.path(), &load.parse().unwrap(), &timing).unwrap()
    }

    #[test]
    fn every_storage_takes_threads_tasks_and_batches() {
        for storage in possible() {
            for load in ["threads:2:100", "tasks:3:100", "threads:1:10x100", "tasks:2:10x100"] {
                let sample = measure(&Ours::new(storage, "group"), load);
                assert!(sample.syncs.unwrap() > 0, "{} {load}: {sample:?}", storage.name);
            }
        }
    }

    #[test]
    fn unsynced_means_that() {
        let ours = Ours::unsynced(&STORAGES[0], Durability::Buffered);
        assert_eq!(ours.name(), "wal file buffered");
        assert_eq!(ours.claim().unwrap(), "unbounded; if killed, the buffer");
        assert_eq!(Ours::new(&STORAGES[0], "always").claim(), None);
        assert_eq!(measure(&ours, "threads:1:100").syncs, Some(0));
    }
}
