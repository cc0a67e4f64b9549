//! The log of this repository, as a stranger would open it: files, group commit, default settings.

use std::path::Path;

use wal_core::Wal;
use wal_fs::FileStorage;
use wal_load::Workload;
use wal_recovery::Recovery;
use wal_sync::GroupCommit;

use super::Writer;

pub(super) fn writers(dir: &Path, load: &Workload) -> anyhow::Result<Vec<Writer>> {
    let (recovered, _) = Recovery::new(FileStorage::create(dir)?).run()?;
    let log = Wal::builder(GroupCommit::new()).open(recovered)?;
    let batch = load.batch.map(|records| vec![vec![b'r'; load.record]; records]);
    let record = vec![b'r'; load.record];
    let writer = |_| {
        let (log, record) = (log.clone(), record.clone());
        match batch.clone() {
            Some(batch) => Box::new(move || Ok(log.append_batch(&batch).map(drop)?)) as Writer,
            None => Box::new(move || Ok(log.append(&record).map(drop)?)) as Writer,
        }
    };
    Ok((0..load.writers.count()).map(writer).collect())
}
