//! SQLite: a write-ahead journal with `synchronous=FULL`, a transaction for each call.
//!
//! One connection behind a lock: writers of several connections would only wait for each other longer.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{anyhow, ensure};
use rusqlite::Connection;
use wal_load::Workload;

use super::Writer;

pub(super) fn writers(dir: &Path, load: &Workload) -> anyhow::Result<Vec<Writer>> {
    let connection = Connection::open(dir.join("log.sqlite"))?;
    let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
    ensure!(mode == "wal", "SQLite uses journal mode {mode}");
    connection.execute_batch(
        "PRAGMA synchronous=FULL; CREATE TABLE log (id INTEGER PRIMARY KEY, record BLOB NOT NULL)",
    )?;
    let connection = Arc::new(Mutex::new(connection));
    let (record, count) = (vec![b'r'; load.record], load.records_per_call());
    let writer = |_| {
        let (connection, record) = (connection.clone(), record.clone());
        Box::new(move || {
            let mut connection = connection.lock().map_err(|_| anyhow!("a writer panicked"))?;
            let transaction = connection.transaction()?;
            {
                let mut insert =
                    transaction.prepare_cached("INSERT INTO log (record) VALUES (?1)")?;
                for _ in 0..count {
                    insert.execute([&record])?;
                }
            }
            Ok(transaction.commit()?)
        }) as Writer
    };
    Ok((0..load.writers.count()).map(writer).collect())
}
