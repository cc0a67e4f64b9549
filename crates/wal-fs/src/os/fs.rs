//! `FileSystem` and `File`: the few POSIX calls that a log on files needs.
//!
//! They are the seam at which the storage of this crate meets the operating system, so that a
//! model file system can stand below the very same code and lose whatever a power loss may lose.
//! The calls mean what POSIX and the kernel's habits say, with nothing made nicer: a write may be
//! short, a sync covers one inode, and a directory entry is durable only once the *directory* was
//! synced.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;

use wal_core::format::Owner;
use wal_core::{Access, Changes};

use super::FsProfile;

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "every file system makes them, and has to say all of it"
)]
pub struct DirEntry {
    /// The name, without its directory.
    pub name: OsString,
    /// Whether it is a directory itself.
    pub is_dir: bool,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeKind {
    /// A directory.
    Directory,
    /// Anything else: a file, a device, a socket.
    File,
}

/// A file opened by [`FileSystem::open_direct`].
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "what wraps a file system has to pass on all of it")]
pub struct DirectFile<H> {
    /// The file.
    pub file: H,
    /// Offsets and lengths must be multiples of this many bytes; `None` if the system does not say.
    pub block_bytes: Option<u32>,
}

/// Which file a handle has open, and how many names lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "every file system makes them, and has to say all of it"
)]
pub struct Links {
    /// How many names the file has, in all directories of its file system. 0: the last one was removed.
    pub count: u64,
    /// The number of the file in its file system.
    pub inode: u64,
    /// The number of the file system. Two handles with the same two numbers have the same file open.
    pub device: u64,
}

/// A file system.
///
/// # Contract
/// All calls block and may come from any thread. A change is seen by every later call at once, and
/// by what comes after a power loss only as far as **Durability** says. After an `Err` of a
/// changing call the change may or may not have happened, unless the text says otherwise.
///
/// A wrong caller, and why it is wrong:
///
/// ```text
/// let file = fs.create_new("a.tmp")?; write(&file)?; fs.rename("a.tmp", "a")?; fs.sync_dir(".")?;
/// ```
///
/// The name `a` is durable, its bytes are not: `sync_all` on the file has to come before `rename`.
pub trait FileSystem: Send + Sync + 'static {
    /// An open file.
    type File: File;

    /// Creates a file that does not exist yet, for reading and writing.
    ///
    /// - **On `Ok`**: the file exists and is empty.
    /// - **On `Err`**: `AlreadyExists` if the name is taken; that file was not touched.
    /// - **Concurrency**: of several callers with one name, one wins.
    /// - **Durability**: of the name, after `sync_dir` on its directory.
    fn create_new(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens an existing file.
    ///
    /// - **On `Ok`**: the file can be used as `access` says.
    /// - **On `Err`**: nothing changed.
    /// - **Concurrency**: any number of handles on one file, each seeing the writes of all.
    /// - **Durability**: none.
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File>;

    /// Opens an existing file for writing past the cache, straight to the device.
    ///
    /// Offsets and lengths of its writes must be multiples of the block size, and the memory must be
    /// aligned to it; [`write_at`](File::write_at) of anything else is refused as `InvalidInput`. What a
    /// call wrote, should it be short, is a number of whole blocks.
    ///
    /// - **On `Ok`**: the file can be written so. Whoever reads it through another handle, opened by
    ///   [`open`](Self::open), sees every write that returned before.
    /// - **On `Err`**: `Unsupported` if this file system or platform has no such writes. So it is for
    ///   every file system that does not implement this method.
    /// - **Concurrency**: as for `open`. A cached write to a range that is being written directly
    ///   leaves either.
    /// - **Durability**: none. A direct write is in the device, whose own cache a power loss may
    ///   empty; it takes `sync_data`, or `write_through_at`, as any other.
    fn open_direct(&self, path: &Path) -> io::Result<DirectFile<Self::File>> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Says what a path leads to, links followed.
    ///
    /// - **On `Ok`**: it existed at that moment.
    /// - **On `Err`**: `NotFound` if nothing is there.
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none.
    fn kind(&self, path: &Path) -> io::Result<NodeKind>;

    /// Says which file a path leads to, and how many names it has.
    ///
    /// - **On `Ok`**: so it was at some moment of the call.
    /// - **On `Err`**: `NotFound` if nothing is there; `Unsupported` if the system does not tell. So it is for every file
    ///   system that does not implement this method.
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none.
    fn links(&self, path: &Path) -> io::Result<Links> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The process in which this call is made. Called before every write, so it should cost next to nothing.
    fn process(&self) -> u64 {
        0
    }

    /// The same, certain, at the price of a system call.
    fn ask_process(&self) -> u64 {
        self.process()
    }

    /// Random bytes, for the token of an owner.
    ///
    /// # Errors
    /// If the system has no source of random numbers.
    fn random(&self) -> io::Result<[u8; 16]> {
        Owner::random(0).map(|owner| owner.token).map_err(io::Error::other)
    }

    /// Lists a directory, in any order, without `.` and `..`.
    ///
    /// - **On `Ok`**: every name that existed all the time the call took.
    /// - **On `Err`**: nothing changed.
    /// - **Concurrency**: names that come or go meanwhile may or may not be listed.
    /// - **Durability**: none; a name that is listed need not be durable.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Creates one directory in an existing one.
    ///
    /// - **On `Ok`**: it exists and is empty.
    /// - **On `Err`**: `AlreadyExists` if the name is taken.
    /// - **Concurrency**: of several callers with one name, one wins.
    /// - **Durability**: after `sync_dir` on its *parent*.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Renames a file within its directory, in one step, replacing a file that had the new name.
    ///
    /// - **On `Ok`**: `to` names the file that `from` named; `from` is gone. Open handles go on
    ///   working on the file they were opened on.
    /// - **On `Err`**: both names mean what they meant, unless the error is one of the device.
    /// - **Concurrency**: other callers see the state before or after, nothing in between.
    /// - **Durability**: after `sync_dir`; a power loss before that leaves the state before or
    ///   after. The *bytes* of the file need a sync of their own, before the rename.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames a file within its directory, unless the new name is taken.
    ///
    /// - **On `Ok`**: as for [`rename`](Self::rename); nothing was replaced.
    /// - **On `Err`**: `AlreadyExists` if the new name was taken. Both names mean what they meant, unless the
    ///   error is one of the device.
    /// - **Concurrency**: of several callers with one new name, one wins. A file system that does not implement
    ///   this method looks for the name and then renames: what gets the name in between is replaced.
    /// - **Durability**: as for `rename`.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.kind(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.rename(from, to),
            Err(error) => Err(error),
        }
    }

    /// Exchanges what two names in one directory stand for, in one step.
    ///
    /// - **On `Ok`**: each name stands for the file that the other one named.
    /// - **On `Err`**: `NotFound` if one of them does not exist, `Unsupported` if this file system has no such
    ///   call; so it is for every file system that does not implement this method. Both names mean what they
    ///   meant, unless the error is one of the device.
    /// - **Concurrency**: other callers see the state before or after, nothing in between.
    /// - **Durability**: as for [`rename`](Self::rename).
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        let _ = (one, other);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes the name of a file; its bytes live on as long as it is open.
    ///
    /// - **On `Ok`**: the name is free.
    /// - **On `Err`**: `NotFound` if there was no such name.
    /// - **Concurrency**: beside everything.
    /// - **Durability**: after `sync_dir`.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable: those created, renamed and removed before the call.
    ///
    /// - **On `Ok`**: they are. The bytes of the files need not be.
    /// - **On `Err`**: nothing is known about any of them; a later `Ok` would prove nothing. `Unsupported` if this
    ///   file system syncs no directories at all, and has no other call that makes names durable.
    /// - **Concurrency**: changes made meanwhile are not covered.
    /// - **Durability**: the only source of it for names.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// What is known of the file system that a directory lies in. Nothing, unless this method is implemented.
    ///
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none.
    fn profile(&self, dir: &Path) -> FsProfile {
        let _ = dir;
        FsProfile::UNKNOWN
    }

    /// Begins to notice changes of the names in a directory and of the bytes of its files; `None` if nothing tells of
    /// them. So it is for every file system that does not implement this method.
    ///
    /// Bytes that are stored to a [`Mapping`] are not noticed, unless the file is [touched](File::touch).
    ///
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none.
    fn changes(&self, path: &Path) -> Option<Box<dyn Changes>> {
        let _ = path;
        None
    }
}

/// An open file.
///
/// # Contract
/// Every call takes its offset, so a handle may be shared by threads. Dropping the handle closes
/// the file and syncs nothing.
#[expect(clippy::len_without_is_empty, reason = "len asks the operating system, which may fail")]
pub trait File: Send + Sync + 'static {
    /// Reads into `buf` from `offset`.
    ///
    /// - **On `Ok`**: that many bytes were read, maybe fewer than asked for; 0 only at the end.
    /// - **On `Err`**: `Interrupted` means nothing happened and the call may be repeated.
    /// - **Concurrency**: any number of readers beside a writer.
    /// - **Durability**: none; the bytes read need not be durable.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes from `buf` at `offset` into the cache; what lies between the old end and `offset`
    /// becomes zeros.
    ///
    /// - **On `Ok`**: that many bytes were written, maybe fewer than given.
    /// - **On `Err`**: `Interrupted` means nothing happened and the call may be repeated. After any
    ///   other error the range may hold any mix of old and new bytes.
    /// - **Concurrency**: writers of different ranges do not disturb each other.
    /// - **Durability**: bytes and length after the next `sync_data` or `sync_all`.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// Writes from `buf` at `offset` through the cache.
    ///
    /// - **On `Ok`**: that many bytes, maybe fewer than given, are written *and durable*.
    /// - **On `Err`**: as for `write_at`, and as for `sync_data`.
    /// - **Concurrency**: as for `write_at`.
    /// - **Durability**: of these bytes and the length they need; other bytes of the file gain none.
    fn write_through_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the bytes durable that were written before the call, and the length they need.
    ///
    /// - **On `Ok`**: they are; the file's *name* is not, unless its directory was synced.
    /// - **On `Err`**: any of them may be lost although reads still show them, and a later `Ok`
    ///   proves nothing about them: the kernel reports a failed write-back once and then takes the
    ///   pages for clean (Rebello et al., "Can Applications Recover from fsync Failures?", 2020).
    ///   Through another handle the error may never show at all.
    /// - **Concurrency**: writes may run beside it and are not covered.
    /// - **Durability**: the source of it.
    fn sync_data(&self) -> io::Result<()>;

    /// The same, with all of the file's metadata.
    ///
    /// - **On `Ok`**, **`Err`**, **Concurrency**, **Durability**: as for `sync_data`.
    fn sync_all(&self) -> io::Result<()>;

    /// Asks the system to begin to write a part of the file to the device, so that the next sync has less to
    /// wait for. A hint: does nothing unless it is implemented.
    ///
    /// Call it for what was written and not synced yet, where a little waiting does no harm. What is clean may
    /// be dropped from the system's cache.
    ///
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none. No error is taken away from the sync that comes.
    fn begin_write_back(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Cuts the file to `len` bytes, or grows it with zeros that take no space yet.
    ///
    /// - **On `Ok`**: later reads see the new length.
    /// - **On `Err`**: the length is the old or the new one.
    /// - **Concurrency**: not beside writes.
    /// - **Durability**: after the next sync.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes the file `len` bytes long, all of which have their space: writing to them cannot fail for the lack of it.
    /// What was not written reads as zeros.
    ///
    /// - **On `Ok`**: so it is. Where each write gets a new place, it may still fail.
    /// - **On `Err`**: the file may be longer; `Unsupported` if this place has no such call. So it is for every file that
    ///   does not implement this method.
    /// - **Concurrency**: not beside writes.
    /// - **Durability**: after the next `sync_all`.
    fn allocate(&self, len: u64) -> io::Result<()> {
        let _ = len;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Maps bytes of the file into memory, to be written without a call.
    ///
    /// Every byte of the range must have been written before, or [allocated](Self::allocate), so that storing to it can need no
    /// space: a full disk has no other way to refuse a store than to kill the process.
    ///
    /// - **On `Ok`**: what is written to the mapping is written to the file.
    /// - **On `Err`**: nothing changed; `Unsupported` if this place maps no files. So it is for every
    ///   file that does not implement this method.
    /// - **Concurrency**: beside everything but a `set_len` that cuts the range off. On most systems the
    ///   next store kills the process then.
    /// - **Durability**: see [`Mapping`].
    fn map(&self, offset: u64, len: usize) -> io::Result<Box<dyn Mapping>> {
        let _ = (offset, len);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Has those told who [notice changes](FileSystem::changes). A hint: does nothing unless it is implemented. A write
    /// does that by itself, a store to a mapping does not.
    ///
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none.
    fn touch(&self) {}

    /// The file's length in bytes.
    ///
    /// - **On `Ok`**: it was that long at some moment of the call.
    /// - **On `Err`**: nothing changed.
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none.
    fn len(&self) -> io::Result<u64>;

    /// Says which file this is, and how many names it has.
    ///
    /// - **On `Ok`**: so it was at some moment of the call.
    /// - **On `Err`**: nothing changed; `Unsupported` if the system does not tell. So it is for every file that does
    ///   not implement this method.
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none.
    fn links(&self) -> io::Result<Links> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// This file as [`share_blocks_of`](Self::share_blocks_of) of another one of the same file system takes it; `None` if
    /// it cannot be shared, or if reads have to come through here. So it is for every file that does not implement this
    /// method.
    fn backing(&self) -> Option<&dyn std::any::Any> {
        None
    }

    /// Gives this empty file the bytes of another one, by sharing its blocks (a *reflink*): neither has a second
    /// name, and what is written to one is not seen in the other.
    ///
    /// - **On `Ok`**: this file has the bytes that the other one had at one moment of the call.
    /// - **On `Err`**: this file may have any of them; `Unsupported` if the file system shares no blocks, or not with
    ///   this file. So it is for every file that does not implement this method.
    /// - **Concurrency**: beside everything that is done with the other file.
    /// - **Durability**: after the next sync.
    fn share_blocks_of(&self, source: &dyn std::any::Any) -> io::Result<()> {
        let _ = source;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Tries to lock the file against every other handle, in this process or another.
    ///
    /// - **On `Ok(true)`**: no other handle has the lock until `unlock`, or until this handle is
    ///   dropped or its process is gone.
    /// - **On `Ok(false)`**: another handle has it.
    /// - **On `Err`**: the lock is not held; `Unsupported` if this place knows no locks.
    /// - **Concurrency**: of several callers, one wins.
    /// - **Durability**: none; a lock never outlives its process.
    fn try_lock(&self) -> io::Result<bool>;

    /// Gives the lock back.
    ///
    /// - **On `Ok`**: others can have it.
    /// - **On `Err`**: it goes with the handle.
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none.
    fn unlock(&self) -> io::Result<()>;
}

/// Bytes of a file in memory. It keeps the file open.
///
/// # Contract
/// What is written to it is in the system's cache of the file at once, and so survives the process.
pub trait Mapping: Send + Sync {
    /// Copies `data` to `at`, counted from the beginning of the mapping.
    ///
    /// - **On `Ok`**: every later read of the file sees the bytes, through any handle.
    /// - **On `Err`**: `InvalidInput` if the range is not within the mapping; nothing was written.
    /// - **If the process dies meanwhile**: any part of the range may hold old and any new bytes.
    /// - **Durability**: after the file's next `sync_data`, provided that `flush` came before it.
    fn write(&mut self, data: &[u8], at: usize) -> io::Result<()>;

    /// Gives what was copied to the file system, for `sync_data` of the file to cover it. Where the
    /// mapping and the file's cache are one anyway it does nothing.
    ///
    /// - **On `Ok`**: a `sync_data` that follows covers it.
    /// - **On `Err`**: as for [`sync_data`](File::sync_data).
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none by itself.
    fn flush(&self) -> io::Result<()>;
}

// A method with a body of its own has to be passed on as well.
#[deny(clippy::missing_trait_methods)]
impl<F: FileSystem + ?Sized> FileSystem for Arc<F> {
    type File = F::File;

    fn create_new(&self, path: &Path) -> io::Result<Self::File> {
        (**self).create_new(path)
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Self::File> {
        (**self).open(path, access)
    }
    fn open_direct(&self, path: &Path) -> io::Result<DirectFile<Self::File>> {
        (**self).open_direct(path)
    }
    fn kind(&self, path: &Path) -> io::Result<NodeKind> {
        (**self).kind(path)
    }
    fn links(&self, path: &Path) -> io::Result<Links> {
        (**self).links(path)
    }
    fn process(&self) -> u64 {
        (**self).process()
    }
    fn ask_process(&self) -> u64 {
        (**self).ask_process()
    }
    fn random(&self) -> io::Result<[u8; 16]> {
        (**self).random()
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        (**self).read_dir(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        (**self).create_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (**self).rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        (**self).rename_new(from, to)
    }
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        (**self).exchange(one, other)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        (**self).remove_file(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        (**self).sync_dir(path)
    }
    fn profile(&self, dir: &Path) -> FsProfile {
        (**self).profile(dir)
    }

    fn changes(&self, path: &Path) -> Option<Box<dyn Changes>> {
        (**self).changes(path)
    }
}
