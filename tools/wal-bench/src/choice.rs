//! What suites are made of.

use super::peers::Which;
use super::storages::{PLAIN, Storage};

/// Storages, peers, and how large the logs are.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) storages: Vec<&'static Storage>,
    pub(super) peers: Which,
    /// Of the records of a log that is read back.
    pub(super) recovery_bytes: u64,
    /// Of the log that is opened.
    pub(super) open_segments: u64,
}

impl Choice {
    pub(super) fn storages(&self) -> impl Iterator<Item = &'static Storage> {
        self.storages.iter().copied()
    }

    pub(super) fn durable_storages(&self) -> impl Iterator<Item = &'static Storage> {
        self.storages().filter(|storage| storage.durable)
    }

    /// The one that is taken where only one is measured.
    pub(super) fn plain(&self) -> &'static Storage {
        self.durable_storages().next().unwrap_or(PLAIN)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::storages::{STORAGES, named};
    use super::*;

    /// These storages, or all, and the sizes of a run without options.
    pub(in super::super) fn choice(storages: &[&str], peers: Which) -> Choice {
        let storages = match storages {
            [] => STORAGES.iter().collect(),
            some => some.iter().map(|name| named(name).unwrap()).collect(),
        };
        Choice { storages, peers, recovery_bytes: 1 << 30, open_segments: 16 }
    }
}
