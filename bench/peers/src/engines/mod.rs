//! The engines, each opened so that a call returns only when its records are on the disk.

#[cfg(feature = "others")]
mod fjall;
#[cfg(feature = "others")]
mod okaywal;
#[cfg(feature = "others")]
mod raft_engine;
#[cfg(feature = "others")]
mod redb;
#[cfg(feature = "others")]
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
    #[cfg(feature = "others")]
    Engine { name: "okaywal", writers: okaywal::writers },
    #[cfg(feature = "others")]
    Engine { name: "raft-engine", writers: raft_engine::writers },
    #[cfg(feature = "others")]
    Engine { name: "fjall", writers: fjall::writers },
    #[cfg(feature = "others")]
    Engine { name: "sqlite", writers: sqlite::writers },
    #[cfg(feature = "others")]
    Engine { name: "redb", writers: redb::writers },
    Engine { name: "wal", writers: wal::writers },
];
