//! The storages that are measured: one line for each.

use std::path::Path;
use std::sync::Arc;

use wal_core::{LogStorage, MemoryStorage, Result};
use wal_fs::{DirectSettings, DirectStorage, FileSettings, FileStorage, LastBlock, MmapStorage};

/// A storage, and how it is set up.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) name: &'static str,
    /// Whether a sync survives a power loss here.
    pub(super) durable: bool,
    /// Whether the log is truncated as it goes, as after checkpoints, so that segments are recycled.
    pub(super) recycles: bool,
    /// Builds it in an empty directory.
    pub(super) build: fn(&Path) -> Result<Arc<dyn LogStorage>>,
}

/// All of them.
pub(super) const STORAGES: &[Storage] = &[
    Storage {
        name: "file",
        durable: true,
        recycles: false,
        build: |dir| shared(FileStorage::create(dir)),
    },
    Storage {
        name: "file-recycled",
        durable: true,
        recycles: true,
        build: |dir| shared(FileStorage::create(dir)),
    },
    Storage {
        name: "file-through",
        durable: true,
        recycles: false,
        build: |dir| shared(through(dir)),
    },
    Storage {
        name: "direct",
        durable: true,
        recycles: false,
        build: |dir| shared(DirectStorage::create(dir)),
    },
    Storage {
        name: "direct-recycled",
        durable: true,
        recycles: true,
        build: |dir| shared(DirectStorage::create(dir)),
    },
    Storage {
        name: "direct-padded",
        durable: true,
        recycles: false,
        build: |dir| shared(padded(dir)),
    },
    Storage {
        name: "direct-padded-recycled",
        durable: true,
        recycles: true,
        build: |dir| shared(padded(dir)),
    },
    Storage {
        name: "mmap",
        durable: true,
        recycles: false,
        build: |dir| shared(MmapStorage::create(dir)),
    },
    Storage {
        name: "mmap-recycled",
        durable: true,
        recycles: true,
        build: |dir| shared(MmapStorage::create(dir)),
    },
    #[cfg(target_os = "linux")]
    Storage {
        name: "uring",
        durable: true,
        recycles: false,
        build: |dir| shared(wal_fs::UringStorage::create(dir)),
    },
    Storage {
        name: "memory",
        durable: false,
        recycles: false,
        build: |_| shared(Ok(MemoryStorage::new())),
    },
    Storage {
        name: "memory-recycled",
        durable: false,
        recycles: true,
        build: |_| shared(Ok(MemoryStorage::new())),
    },
];

/// The one that is taken where only one is measured.
pub(super) const PLAIN: &Storage = &STORAGES[0];

fn shared(storage: Result<impl LogStorage>) -> Result<Arc<dyn LogStorage>> {
    storage.map(|storage| Arc::new(storage) as Arc<dyn LogStorage>)
}

fn through(dir: &Path) -> Result<FileStorage> {
    FileStorage::create_with(dir, FileSettings::default().write_through(true))
}

fn padded(dir: &Path) -> Result<DirectStorage> {
    DirectStorage::create_with(dir, DirectSettings::default().last_block(LastBlock::Padded))
}

/// For command lines.
pub(super) fn named(name: &str) -> std::result::Result<&'static Storage, String> {
    let names: Vec<_> = STORAGES.iter().map(|storage| storage.name).collect();
    let known = || format!("{name:?} is no storage; there are {}", names.join(", "));
    STORAGES.iter().find(|storage| storage.name == name).ok_or_else(known)
}

/// Those that this system can do. It is said which it cannot.
#[cfg(test)]
pub(super) fn possible() -> impl Iterator<Item = &'static Storage> {
    STORAGES.iter().filter(|storage| {
        let dir = tempfile::tempdir().unwrap();
        let built = (storage.build)(&dir.path().join("log"));
        let refused = built.err().filter(|error| error.kind() == wal_core::ErrorKind::Unsupported);
        if let Some(error) = &refused {
            // Past the capture of the test harness.
            let line = format!("skipped: {}: {error}\n", storage.name);
            std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
        }
        refused.is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_storage_is_what_it_says() {
        for storage in possible() {
            let dir = tempfile::tempdir().unwrap();
            let capabilities = (storage.build)(&dir.path().join("log")).unwrap().capabilities();
            assert_eq!(capabilities.survives_power_loss, storage.durable, "{}", storage.name);
            // Memory that is used again holds nothing old, so of that the storage has nothing to say.
            let leaves_old_bytes = storage.recycles && storage.durable;
            assert!(capabilities.recycles || !leaves_old_bytes, "{}", storage.name);
            assert_eq!(named(storage.name).unwrap().name, storage.name);
        }
        assert!(named("tape").unwrap_err().contains("there are file, file-recycled"));
    }
}
