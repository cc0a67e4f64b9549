//! redb: a transaction with `Durability::Immediate`, its default; one at a time.

use std::path::Path;
use std::sync::Arc;

use redb::{Database, TableDefinition};
use wal_load::Workload;

use super::Writer;

const LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log");

pub(super) fn writers(dir: &Path, load: &Workload) -> anyhow::Result<Vec<Writer>> {
    let database = Arc::new(Database::create(dir.join("log.redb"))?);
    let (record, count) = (vec![b'r'; load.record], load.records_per_call() as u64);
    let writers = load.writers.count() as u64;
    let writer = |number: u64| {
        let (database, record) = (database.clone(), record.clone());
        let mut next = number;
        Box::new(move || {
            let transaction = database.begin_write()?;
            {
                let mut log = transaction.open_table(LOG)?;
                for _ in 0..count {
                    log.insert(next, record.as_slice())?;
                    next += writers;
                }
            }
            Ok(transaction.commit()?)
        }) as Writer
    };
    Ok((0..writers).map(writer).collect())
}
