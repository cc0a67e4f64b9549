//! okaywal: an entry with a chunk for each record; `commit` returns after the sync that covers it.

use std::io;
use std::path::Path;

use okaywal::{Entry, EntryId, LogManager, SegmentReader, WriteAheadLog};
use wal_load::Workload;

use super::Writer;

/// Keeps nothing: what was checkpointed may be reused at once.
#[derive(Debug)]
struct Forget;

impl LogManager for Forget {
    fn recover(&mut self, _: &mut Entry<'_>) -> io::Result<()> {
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        _: EntryId,
        _: &mut SegmentReader,
        _: &WriteAheadLog,
    ) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn writers(dir: &Path, load: &Workload) -> anyhow::Result<Vec<Writer>> {
    let log = WriteAheadLog::recover(dir, Forget)?;
    let (record, count) = (vec![b'r'; load.record], load.records_per_call());
    let writer = |_| {
        let (log, record) = (log.clone(), record.clone());
        Box::new(move || {
            let mut entry = log.begin_entry()?;
            for _ in 0..count {
                entry.write_chunk(&record)?;
            }
            entry.commit()?;
            Ok(())
        }) as Writer
    };
    Ok((0..load.writers.count()).map(writer).collect())
}
