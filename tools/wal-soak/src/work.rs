//! What is done to a log: appends of every kind, checkpoints that truncate it, readers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use wal_core::{Durability, ErrorKind, LogStorage, Lsn, Settings, Wal, block_on};
use wal_fs::{DirectStorage, FileStorage, MmapStorage};
use wal_recovery::{Recovery, Verify};
use wal_sync::GroupCommit;
use wal_tool::number::grouped;

/// Small segments, so that there are many.
const SEGMENT: u64 = 1 << 20;
/// What a checkpoint leaves, in records.
const KEPT: u64 = 5000;

/// A storage by its name, and how it is built in a directory.
struct Storage {
    name: &'static str,
    build: fn(&Path) -> wal_core::Result<Arc<dyn LogStorage>>,
}

/// Each that writes in a way of its own.
const STORAGES: &[Storage] = &[
    Storage { name: "file", build: |dir| Ok(Arc::new(FileStorage::create(dir)?)) },
    Storage { name: "direct", build: |dir| Ok(Arc::new(DirectStorage::create(dir)?)) },
    Storage { name: "mmap", build: |dir| Ok(Arc::new(MmapStorage::create(dir)?)) },
];

/// A log that is soaked.
pub(super) struct Soaked {
    storage: &'static Storage,
    dir: PathBuf,
    log: Wal,
}

/// Works until it is told to stop.
pub(super) type Work<'a> = Box<dyn Fn(&AtomicBool) -> anyhow::Result<()> + Send + Sync + 'a>;

/// A log on each storage that this system has.
pub(super) fn open_all(dir: &Path) -> anyhow::Result<Vec<Soaked>> {
    let mut all = Vec::new();
    for storage in STORAGES {
        let name = storage.name;
        let dir = dir.join(name);
        match open(storage, &dir) {
            Ok((log, _)) => all.push(Soaked { storage, dir, log }),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                println!("skipped: {name}: {error}");
            }
            Err(error) => return Err(error).with_context(|| name),
        }
    }
    Ok(all)
}

/// The log, and how many records recovery found.
fn open(storage: &Storage, dir: &Path) -> wal_core::Result<(Wal, u64)> {
    let (recovered, report) = Recovery::new((storage.build)(dir)?).verify(Verify::All).run()?;
    let settings = Settings::default().segment_size(SEGMENT).buffer_bytes(SEGMENT);
    Ok((Wal::builder(GroupCommit::new()).settings(settings).open(recovered)?, report.records))
}

/// Records and segments of all logs.
pub(super) fn progress(logs: &[Soaked]) -> String {
    let records: u64 = logs.iter().map(Soaked::records).sum();
    let segments: u64 = logs.iter().map(|soaked| soaked.log.stats().segments_created).sum();
    format!("{} records in {} segments", grouped(records), grouped(segments))
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: appends of all kinds, checkpoints, readers in {}",
            self.storage.name,
            self.dir.display()
        )
    }
}

/// A stretch of bytes whose length changes from record to record.
fn record(turn: u64) -> Vec<u8> {
    // Now and then a large one.
    let len = if turn.is_multiple_of(500) { 60_000 } else { turn * 7919 % 1200 };
    vec![turn as u8; len as usize]
}

impl Soaked {
    pub(super) fn records(&self) -> u64 {
        self.log.stats().records
    }

    /// One for each thread.
    pub(super) fn works(&self) -> [Work<'_>; 5] {
        let log = &self.log;
        let repeat = |what: &'static str, turn: fn(&Wal, u64) -> anyhow::Result<()>| -> Work<'_> {
            Box::new(move |stop| {
                for number in 0.. {
                    if stop.load(Relaxed) {
                        break;
                    }
                    turn(log, number).with_context(|| format!("{}: {what}", self.storage.name))?;
                }
                Ok(())
            })
        };
        [
            repeat("append", |log, turn| {
                let level = match turn % 50 {
                    0..10 => Durability::Written,
                    10 => Durability::Durable,
                    _ => Durability::Buffered,
                };
                Ok(log.append_with(&record(turn), level).map(drop)?)
            }),
            repeat("append a batch", |log, turn| {
                let batch: Vec<_> = (0..turn % 40 + 1).map(|at| record(turn + at + 1)).collect();
                Ok(log.append_batch(&batch).map(drop)?)
            }),
            repeat("append from a task", |log, turn| {
                let log = log.clone().asynchronous();
                // Every third wait is given up.
                let (kept, given_up) = (record(turn + 1), record(turn + 2));
                if turn.is_multiple_of(3) {
                    let mut append = Box::pin(log.append(&given_up));
                    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                    let _ = append.as_mut().poll(&mut context);
                }
                Ok(block_on(log.append(&kept)).map(drop)?)
            }),
            repeat("checkpoint", |log, turn| {
                thread::sleep(Duration::from_millis(20));
                let last = log.durable_lsn().get();
                log.truncate_before(Lsn::new(last.saturating_sub(KEPT).max(1)))?;
                // Sometimes the newest records are taken back.
                if turn.is_multiple_of(100) {
                    let last = log.last_lsn().get();
                    log.truncate_after(Lsn::new(
                        last.saturating_sub(3).max(log.first_lsn().get()),
                    ))?;
                }
                Ok(())
            }),
            repeat("read", |log, _| {
                for entry in log.iter(Lsn::ZERO)?.take(2 * KEPT as usize) {
                    match entry {
                        Ok(_) => {}
                        // A checkpoint was faster.
                        Err(error) if error.kind() == ErrorKind::NotInLog => break,
                        Err(error) => return Err(error.into()),
                    }
                }
                thread::sleep(Duration::from_millis(50));
                Ok(())
            }),
        ]
    }

    /// Closes the log, and holds what a recovery finds against what was there.
    pub(super) fn close_and_check(self) -> anyhow::Result<()> {
        let Soaked { storage, dir, log } = self;
        let name = storage.name;
        let told = || format!("{name}: after the end");
        let content = |log: &Wal| -> wal_core::Result<(u64, Lsn)> {
            let mut found = (0, Lsn::ZERO);
            for entry in log.iter(Lsn::ZERO)? {
                found = (found.0 + 1, entry?.lsn);
            }
            Ok(found)
        };
        log.sync().with_context(told)?;
        let before = content(&log).with_context(told)?;
        log.close().with_context(told)?;
        drop(log);
        let (log, records) = open(storage, &dir).with_context(told)?;
        let after = content(&log).with_context(told)?;
        ensure!(
            before == after && records == after.0,
            "{name}: {before:?} before, {after:?} after"
        );
        log.close().with_context(told)
    }
}
