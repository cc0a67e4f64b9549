//! `LogStorage`: where the bytes live.
//!
//! The engine calls a storage once per *batch*, never once per record. A storage knows nothing of
//! records or checksums: it keeps named segments and says honestly what is durable.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Io, Lsn};

/// What a storage can do. The engine adapts to it, and the conformance suite skips what does not
/// apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether a synced byte survives a power loss (false for memory).
    pub survives_power_loss: bool,
    /// Whether a written byte survives the death of the process (false for memory).
    pub survives_process_crash: bool,
    /// Whether removed segments are kept as spares whose old bytes show up in new segments.
    pub recycles: bool,
    /// Frames of a new segment start at a multiple of this many bytes. At least 1.
    pub alignment: u32,
    /// The largest aligned write, in bytes, that a power loss leaves whole or absent.
    pub atomic_write_unit: u32,
    /// Whether one [`WriteMode::Through`] write is cheaper than a cached write and a sync.
    pub write_through: bool,
    /// Every write of frames is to end at a multiple of this many bytes: behind its last record comes
    /// [padding](crate::format::Padding), which takes up to this many bytes and 23 of the segment and of
    /// the buffer. So whatever is written next begins in a block that holds nothing yet, or the blank
    /// header of a storage that [`recycles`](Self::recycles). 1 if a write may end anywhere; otherwise the
    /// [`alignment`](Self::alignment) is a multiple of it.
    pub padding: u32,
}

impl Capabilities {
    /// Durable storage without alignment needs, tearing at 512-byte sectors.
    #[must_use]
    pub const fn durable() -> Self {
        Capabilities {
            survives_power_loss: true,
            survives_process_crash: true,
            recycles: false,
            alignment: 1,
            atomic_write_unit: 512,
            write_through: false,
            padding: 1,
        }
    }

    /// Storage that is gone with the process.
    #[must_use]
    pub const fn volatile() -> Self {
        Capabilities {
            survives_power_loss: false,
            survives_process_crash: false,
            ..Self::durable()
        }
    }
}

/// How a write is to reach the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a storage must know every mode: it is a claim of durability"
)]
pub enum WriteMode {
    /// Into the cache: survives the process, is durable after the next `sync`.
    Cached,
    /// Durable when the write returns (write-through, one call instead of write and sync).
    Through,
}

/// How a segment is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Reading only; must work on a read-only medium and while a writer runs.
    Read,
    /// Reading, writing, syncing and truncating.
    Write,
}

/// What a storage holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The first LSNs by which the segments are named, ascending.
    pub segments: Vec<Lsn>,
    /// Names of things in the place that are not the log's.
    pub foreign: Vec<String>,
}

impl Listing {
    /// The segments, ascending, and the names of what is not the log's.
    #[must_use]
    pub const fn new(segments: Vec<Lsn>, foreign: Vec<String>) -> Self {
        Listing { segments, foreign }
    }
}

/// The one-writer lock. It is released when this value is dropped.
pub struct StorageLock {
    _guard: Box<dyn Any + Send + Sync>,
}

impl StorageLock {
    /// Wraps whatever releases the lock when it is dropped.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        StorageLock { _guard: Box::new(guard) }
    }
}

impl fmt::Debug for StorageLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorageLock")
    }
}

/// Where the bytes of a log live.
///
/// # Contract
/// Segments are named by the LSN of their first record. Names are unique, and a name that was
/// removed may be created again. All methods may be called from any thread at any time. The
/// engine makes sure that at most one writer exists, by [`lock`](Self::lock).
///
/// A wrong storage, and why it is wrong:
///
/// ```text
/// fn create(..) { let f = File::create(name)?; f.write_all(&header)?; f.sync_all()?; Ok(f) }
/// ```
///
/// After a power loss the file may be missing although `create` returned `Ok`: the *directory*
/// was never synced. And the name appears before the header is durable, so that a crash leaves a
/// nameable segment without a header.
pub trait LogStorage: Send + Sync + 'static {
    /// What this storage can do; constant over its life.
    fn capabilities(&self) -> Capabilities;

    /// The place, for messages ("/var/lib/app/wal", "memory").
    fn describe(&self) -> String;

    /// Takes the one-writer lock.
    ///
    /// - **On `Ok`**: no other call returns `Ok`, in this process or another, until the lock is dropped.
    /// - **On `Err`**: [`Locked`](crate::ErrorKind::Locked) if somebody else holds it; nothing changed.
    /// - **If cancelled**: the lock is not held.
    /// - **Concurrency**: any number of callers; at most one wins.
    /// - **Durability**: the lock needs none; it dies with its holder, also by `kill -9`. But on `Ok` every
    ///   segment that [`list`](Self::list) shows is durable under its name: an earlier holder may have died
    ///   before it was, and the next one builds on what it reads.
    fn lock(&self) -> Io<'_, StorageLock>;

    /// Names the segments and whatever else is there.
    ///
    /// - **On `Ok`**: every segment whose creation returned `Ok` and whose removal did not begin.
    /// - **On `Err`**: the place cannot be read; nothing changed.
    /// - **If cancelled**: nothing changed.
    /// - **Concurrency**: may run beside everything else and then shows a state in between.
    /// - **Durability**: none.
    fn list(&self) -> Io<'_, Listing>;

    /// Creates a segment that starts with `header`, with room for `capacity` bytes in mind.
    ///
    /// A segment of that name is replaced in one step. The engine does so only with a segment that
    /// holds no record; recovery also with one whose records are all in `header`, which is then the
    /// whole segment.
    ///
    /// - **On `Ok`**: the segment exists under its name, `header` is its first bytes, and both facts
    ///   are durable, the directory entry included. The bytes behind `header` are zeros, or, with
    ///   [`recycles`](Capabilities::recycles), anything.
    /// - **On `Err`**: the name means what it meant before, or the storage can no longer tell; the
    ///   caller must not use it.
    /// - **If cancelled**: the name means what it meant before, or the new segment with its whole header.
    /// - **Concurrency**: one call at a time, by the writer.
    /// - **Durability**: a crash at any moment leaves what was there before, or the new segment with
    ///   its whole header: never a segment whose header is missing or torn.
    fn create(&self, name: Lsn, header: Bytes, capacity: u64) -> Io<'_, Arc<dyn Segment>>;

    /// Opens an existing segment.
    ///
    /// - **On `Ok`**: the segment can be used as `access` says.
    /// - **On `Err`**: `NotFound`, `Denied` or `Io`; nothing changed.
    /// - **If cancelled**: nothing changed.
    /// - **Concurrency**: any number of readers beside the writer.
    /// - **Durability**: none.
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>>;

    /// Removes a segment; the storage may keep its space as a spare for a later `create`.
    ///
    /// - **On `Ok`**: the name is gone and stays gone after a crash (directory synced). Readers that
    ///   had opened the segment get its old bytes, or an error; the bytes of a later segment only
    ///   if the storage [`recycles`](Capabilities::recycles).
    /// - **On `Err`**: the segment may or may not exist.
    /// - **If cancelled**: as on `Err`.
    /// - **Concurrency**: one call at a time, by the writer.
    /// - **Durability**: the removal is durable on `Ok`.
    fn remove(&self, name: Lsn) -> Io<'_, ()>;

    /// Puts a copy of cut or damaged bytes aside, under a name that recovery never takes for a segment.
    ///
    /// - **On `Ok`**: the bytes are durable under the returned name. An existing name is never
    ///   overwritten; a new one is chosen from `label`.
    /// - **On `Err`**: nothing that existed before was changed.
    /// - **If cancelled**: a partial copy may exist.
    /// - **Concurrency**: one call at a time, by the writer.
    /// - **Durability**: durable on `Ok`, directory entry included.
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String>;
}

/// One segment of a [`LogStorage`].
///
/// # Contract
/// A segment is a growing array of bytes. There is one writer; readers read beside it.
#[expect(clippy::len_without_is_empty, reason = "a segment is never empty: it has a header")]
pub trait Segment: Send + Sync {
    /// Writes all of `data` at `offset`, growing the segment if needed.
    ///
    /// - **On `Ok`**: every later read, also after the death of the process, sees the bytes; with
    ///   [`WriteMode::Through`] they are durable, too, together with the length they need.
    /// - **On `Err`**: any part of the range may hold any mix of old and new bytes. The engine writes
    ///   nothing more to this segment.
    /// - **If cancelled**: as on `Err`.
    /// - **Concurrency**: one write at a time; beside it `sync` and `read_at` may run.
    /// - **Durability**: with [`WriteMode::Cached`] none until `sync`.
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()>;

    /// Makes every byte durable whose write returned before this call.
    ///
    /// - **On `Ok`**: those bytes, and the length they need, survive a power loss.
    /// - **On `Err`**: nothing is known about any of them, and a later `Ok` would prove nothing: the
    ///   operating system may have marked the pages clean. The engine never calls again.
    /// - **If cancelled**: as on `Err`.
    /// - **Concurrency**: one call at a time; writes may run beside it and are not covered.
    /// - **Durability**: this is the only source of it.
    fn sync(&self) -> Io<'_, ()>;

    /// Reads up to `len` bytes at `offset`; fewer only at the end of the segment.
    ///
    /// - **On `Ok`**: the bytes last written there; empty at or behind the end.
    /// - **On `Err`**: the device could not deliver them. This is never reported as corruption.
    /// - **If cancelled**: nothing changed.
    /// - **Concurrency**: any number of readers beside the writer.
    /// - **Durability**: none; a byte that was read need not be durable.
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes>;

    /// As [`read_at`](Self::read_at), with memory that the storage may read into if nobody else holds it:
    /// what an earlier read gave. A storage that has no use for it does not implement this.
    fn read_reusing(&self, offset: u64, len: usize, spent: Bytes) -> Io<'_, Bytes> {
        drop(spent);
        self.read_at(offset, len)
    }

    /// The segment's present length in bytes, preallocated space included.
    ///
    /// - **On `Ok`**: reads below this length deliver bytes.
    /// - **On `Err`**: the device could not tell.
    /// - **If cancelled**: nothing changed.
    /// - **Concurrency**: a writer may be growing the segment at the same time.
    /// - **Durability**: none.
    fn len(&self) -> Io<'_, u64>;

    /// Cuts the segment to `len` bytes; never grows it.
    ///
    /// - **On `Ok`**: later reads see the new length. A later write behind it finds zeros between.
    /// - **On `Err`**: the length is the old or the new one.
    /// - **If cancelled**: as on `Err`.
    /// - **Concurrency**: not beside writes or syncs.
    /// - **Durability**: after the next `sync`.
    fn truncate(&self, len: u64) -> Io<'_, ()>;
}

macro_rules! forward_storage {
    ($($pointer:ty),*) => {$(
        impl<S: LogStorage + ?Sized> LogStorage for $pointer {
            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }
            fn describe(&self) -> String {
                (**self).describe()
            }
            fn lock(&self) -> Io<'_, StorageLock> {
                (**self).lock()
            }
            fn list(&self) -> Io<'_, Listing> {
                (**self).list()
            }
            fn create(&self, name: Lsn, header: Bytes, capacity: u64) -> Io<'_, Arc<dyn Segment>> {
                (**self).create(name, header, capacity)
            }
            fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
                (**self).open(name, access)
            }
            fn remove(&self, name: Lsn) -> Io<'_, ()> {
                (**self).remove(name)
            }
            fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
                (**self).set_aside(label, data)
            }
        }
    )*};
}

forward_storage!(Arc<S>, Box<S>);
