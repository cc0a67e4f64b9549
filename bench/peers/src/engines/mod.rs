//! The engines, each opened so that a call returns only when its records are on the disk.

mod fjall;
mod okaywal;
mod raft_engine;
mod redb;
mod sqlite;
mod wal;

use std::path::Path;

use wal_load::Workload;

/// Appends the records of one call, and returns when they are durable.
pub(crate) type Writer = Box<dyn FnMut() -> anyhow::Result<()> + Send>;

/// An engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    /// Opens it in an empty directory; as many writers as the workload says.
    pub(crate) writers: fn(&Path, &Workload) -> anyhow::Result<Vec<Writer>>,
}

/// All of them.
pub(crate) const ENGINES: &[Engine] = &[
    Engine { name: "okaywal", writers: okaywal::writers },
    Engine { name: "raft-engine", writers: raft_engine::writers },
    Engine { name: "fjall", writers: fjall::writers },
    Engine { name: "sqlite", writers: sqlite::writers },
    Engine { name: "redb", writers: redb::writers },
    Engine { name: "wal", writers: wal::writers },
];
