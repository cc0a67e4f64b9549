//! What was asked of a file system: one entry per call that changes something, and counters.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The calls that can be counted and made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// A file was created.
    Create,
    /// A directory was created.
    CreateDir,
    /// A file was opened.
    Open,
    /// Bytes were read.
    Read,
    /// Bytes were written, through the cache or into it.
    Write,
    /// Bytes were copied into a mapping.
    Copy,
    /// A part of a file was mapped into memory.
    Map,
    /// A length was set.
    SetLen,
    /// A file was synced.
    Sync,
    /// A directory was synced.
    SyncDir,
    /// A file was renamed, whether or not what had the name may go, or exchanged its name with another.
    Rename,
    /// A file was removed.
    Remove,
    /// A file was to be locked.
    Lock,
}

/// One call that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Op {
    /// What it was asked to do.
    pub kind: OpKind,
    /// The file's present name, or the directory's.
    pub path: PathBuf,
    /// Why it failed, if it did.
    pub error: Option<io::ErrorKind>,
}

/// What an [`Op`] was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpKind {
    /// Create a file.
    Create,
    /// Create a directory.
    CreateDir,
    /// Write bytes.
    Write {
        /// Where.
        offset: u64,
        /// How many bytes.
        len: usize,
        /// Whether through the cache.
        through: bool,
    },
    /// Copy bytes into a mapping.
    Copy {
        /// Where in the file.
        offset: u64,
        /// How many bytes.
        len: usize,
    },
    /// Set the length, in bytes.
    SetLen(u64),
    /// Sync a file's bytes.
    SyncData,
    /// Sync a file's bytes and metadata.
    SyncAll,
    /// Sync a directory.
    SyncDir,
    /// Rename a file.
    Rename {
        /// Its new path.
        to: PathBuf,
    },
    /// Rename a file, unless the new name is taken.
    RenameNew {
        /// Its new path.
        to: PathBuf,
    },
    /// Exchange the names of two files.
    Exchange {
        /// The path of the other one.
        with: PathBuf,
    },
    /// Remove a file.
    Remove,
}

impl Op {
    pub(crate) fn new(kind: OpKind, path: &Path) -> Self {
        Op { kind, path: path.to_path_buf(), error: None }
    }

    /// The class of the call.
    #[must_use]
    pub fn call(&self) -> Call {
        match self.kind {
            OpKind::Create => Call::Create,
            OpKind::CreateDir => Call::CreateDir,
            OpKind::Write { .. } => Call::Write,
            OpKind::Copy { .. } => Call::Copy,
            OpKind::SetLen(_) => Call::SetLen,
            OpKind::SyncData | OpKind::SyncAll => Call::Sync,
            OpKind::SyncDir => Call::SyncDir,
            OpKind::Rename { .. } | OpKind::RenameNew { .. } | OpKind::Exchange { .. } => {
                Call::Rename
            }
            OpKind::Remove => Call::Remove,
        }
    }
}

/// `write a.wal 64+128`, with names but without directories.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |path: &Path| match path.file_name() {
            Some(name) => name.to_string_lossy().into_owned(),
            None => path.display().to_string(),
        };
        let path = short(&self.path);
        match &self.kind {
            OpKind::Create => write!(f, "create {path}"),
            OpKind::CreateDir => write!(f, "create dir {path}"),
            OpKind::Write { offset, len, through: false } => {
                write!(f, "write {path} {offset}+{len}")
            }
            OpKind::Write { offset, len, through: true } => {
                write!(f, "write through {path} {offset}+{len}")
            }
            OpKind::Copy { offset, len } => write!(f, "copy {path} {offset}+{len}"),
            OpKind::SetLen(len) => write!(f, "set len {path} {len}"),
            OpKind::SyncData => write!(f, "sync data {path}"),
            OpKind::SyncAll => write!(f, "sync all {path}"),
            OpKind::SyncDir => write!(f, "sync dir {path}"),
            OpKind::Rename { to } => write!(f, "rename {path} -> {}", short(to)),
            OpKind::RenameNew { to } => write!(f, "rename new {path} -> {}", short(to)),
            OpKind::Exchange { with } => write!(f, "exchange {path} <-> {}", short(with)),
            OpKind::Remove => write!(f, "remove {path}"),
        }?;
        self.error.map_or(Ok(()), |error| write!(f, " => {error}"))
    }
}

/// How many calls of each kind were made, failed ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Files created.
    pub creates: u64,
    /// Files opened.
    pub opens: u64,
    /// Reads.
    pub reads: u64,
    /// Writes of both kinds.
    pub writes: u64,
    /// Those that went through the cache.
    pub through_writes: u64,
    /// Bytes that the writes were given; short writes count the rest again.
    pub write_bytes: u64,
    /// Copies into mappings.
    pub copies: u64,
    /// Syncs of a file's bytes.
    pub data_syncs: u64,
    /// Syncs of a file's bytes and metadata.
    pub full_syncs: u64,
    /// Syncs of a directory.
    pub dir_syncs: u64,
    /// Renames of all kinds.
    pub renames: u64,
    /// Files removed.
    pub removes: u64,
    /// Lengths set.
    pub set_lens: u64,
    /// Bytes that the system was asked to begin to write to the device.
    pub write_back_bytes: u64,
}

impl Counters {
    pub(crate) fn count(&mut self, op: &Op) {
        match op.kind {
            OpKind::Create => self.creates += 1,
            OpKind::CreateDir => {}
            OpKind::Write { len, through, .. } => {
                self.writes += 1;
                self.through_writes += u64::from(through);
                self.write_bytes += len as u64;
            }
            OpKind::Copy { .. } => self.copies += 1,
            OpKind::SetLen(_) => self.set_lens += 1,
            OpKind::SyncData => self.data_syncs += 1,
            OpKind::SyncAll => self.full_syncs += 1,
            OpKind::SyncDir => self.dir_syncs += 1,
            OpKind::Rename { .. } | OpKind::RenameNew { .. } | OpKind::Exchange { .. } => {
                self.renames += 1;
            }
            OpKind::Remove => self.removes += 1,
        }
    }
}
