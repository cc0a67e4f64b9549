//! A directory in the model file system, a clock that only counts, a codec that takes any log.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use wal_core::{Clock, Codec, CodecId, Result, Settings, Timestamp};
use wal_fs::{File, FileSettings, FileStorage, FileSystem};
use wal_testkit::ModelFs;

/// Where the log is.
pub(crate) const DIR: &str = "/log";

/// The files of a directory.
pub(crate) type Files = BTreeMap<OsString, Vec<u8>>;

/// The storage on a disk; `setup` chooses its settings.
pub(crate) fn storage(disk: &ModelFs, setup: u8) -> Result<FileStorage<ModelFs>> {
    let settings = FileSettings::default()
        .preallocate_bytes([0, 512, 1024, 4096][usize::from(setup % 4)])
        .max_spares(usize::from(setup / 4 % 3));
    FileStorage::create_with_file_system(disk.clone(), DIR, settings)
}

/// Small segments, so that a few records fill some.
pub(crate) fn settings() -> Settings {
    Settings::default().segment_size(4096).buffer_bytes(4096)
}

/// A disk that holds these files, all of them durable, and these directories beside them.
pub(crate) fn disk_of(files: &Files, directories: &[OsString]) -> ModelFs {
    let disk = ModelFs::new();
    let fill = || -> std::io::Result<()> {
        let path = Path::new(DIR);
        disk.create_dir(path)?;
        for (name, bytes) in files {
            let file = disk.create_new(&path.join(name))?;
            assert_eq!(file.write_at(bytes, 0)?, bytes.len());
            file.sync_all()?;
        }
        for name in directories {
            disk.create_dir(&path.join(name))?;
        }
        disk.sync_dir(path)?;
        disk.sync_dir(Path::new("/"))
    };
    fill().expect("the model has room, and the names differ");
    disk
}

/// The files of the log's directory.
pub(crate) fn files_of(disk: &ModelFs) -> Files {
    let entries = disk.read_dir(Path::new(DIR)).expect("the directory is there");
    let files = entries.into_iter().filter(|entry| !entry.is_dir);
    files
        .map(|entry| {
            let path = PathBuf::from(DIR).join(&entry.name);
            let bytes = disk.contents(&path).expect("the file is there");
            (entry.name, bytes)
        })
        .collect()
}

/// Time that passes by being asked for, so that every run is like every other.
#[derive(Default)]
pub(crate) struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Bytes as they are, in a log of whatever codec.
pub(crate) struct AnyCodec(pub(crate) CodecId);

impl Codec for AnyCodec {
    type Record = [u8];
    type Decoded = Bytes;

    fn id(&self) -> CodecId {
        self.0
    }
    fn encode(&self, record: &[u8], out: &mut BytesMut) -> Result<()> {
        out.extend_from_slice(record);
        Ok(())
    }
    fn decode(&self, bytes: Bytes) -> Result<Bytes> {
        Ok(bytes)
    }
}
