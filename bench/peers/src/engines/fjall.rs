//! fjall: a batch with `PersistMode::SyncData`, keys ascending.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use wal_load::Workload;

use super::Writer;

pub(super) fn writers(dir: &Path, load: &Workload) -> anyhow::Result<Vec<Writer>> {
    let database = Database::builder(dir).open()?;
    let log = database.keyspace("log", KeyspaceCreateOptions::default)?;
    let next = Arc::new(AtomicU64::new(0));
    let (record, count) = (vec![b'r'; load.record], load.records_per_call());
    let writer = |_| {
        let (database, log, next) = (database.clone(), log.clone(), next.clone());
        let record = record.clone();
        Box::new(move || {
            let mut batch = database.batch().durability(Some(PersistMode::SyncData));
            for _ in 0..count {
                let key = next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
                batch.insert(&log, key, record.as_slice());
            }
            Ok(batch.commit()?)
        }) as Writer
    };
    Ok((0..load.writers.count()).map(writer).collect())
}
