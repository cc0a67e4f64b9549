//! `LogStorage`: where the bytes live.
//!
//! The engine calls a storage once per *batch*, never once per record. A storage knows nothing of
//! records or checksums: it keeps named segments and says honestly what is durable.

mod changes;
mod copy;
mod fence;
mod reserve;
mod segment;
mod staged;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::format::Owner;
use crate::{Io, Lsn, Result};

pub use changes::Changes;
pub use copy::{Copied, copy_in_pieces};
pub use fence::{Fence, Standing};
pub use reserve::OpenReserve;
pub use segment::Segment;
pub use staged::{Publish, Staged, StagedSegment};

/// What a storage can do. The engine adapts to it, and the conformance suite skips what does not
/// apply.
///
/// ```
/// use wal_core::Capabilities;
/// let files = Capabilities::durable().recycles(true).alignment(512);
/// assert_eq!((files.recycles, files.alignment), (true, 512));
/// ```
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
    /// Every write of frames is to end at a multiple of this many bytes: the size of the storage's blocks. 1 if a
    /// write may end anywhere; otherwise the [`alignment`](Self::alignment) is a multiple of it.
    ///
    /// The engine then ends each write with a frame of [padding](crate::format::Padding), so the next write begins
    /// in a block that holds no record. That block is empty, or, in a storage that [`recycles`](Self::recycles),
    /// begins with the blank behind the last frame. A frame of padding takes up to `pad_to` + 23 bytes of the segment
    /// and of the buffer.
    pub pad_to: u32,
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
            pad_to: 1,
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

    /// Sets [`survives_power_loss`](Self::survives_power_loss).
    #[must_use]
    pub const fn survives_power_loss(mut self, on: bool) -> Self {
        self.survives_power_loss = on;
        self
    }

    /// Sets [`survives_process_crash`](Self::survives_process_crash).
    #[must_use]
    pub const fn survives_process_crash(mut self, on: bool) -> Self {
        self.survives_process_crash = on;
        self
    }

    /// Sets [`recycles`](Self::recycles).
    #[must_use]
    pub const fn recycles(mut self, on: bool) -> Self {
        self.recycles = on;
        self
    }

    /// Sets [`alignment`](Self::alignment).
    #[must_use]
    pub const fn alignment(mut self, bytes: u32) -> Self {
        self.alignment = bytes;
        self
    }

    /// Sets [`atomic_write_unit`](Self::atomic_write_unit).
    #[must_use]
    pub const fn atomic_write_unit(mut self, bytes: u32) -> Self {
        self.atomic_write_unit = bytes;
        self
    }

    /// Sets [`write_through`](Self::write_through).
    #[must_use]
    pub const fn write_through(mut self, on: bool) -> Self {
        self.write_through = on;
        self
    }

    /// Sets [`pad_to`](Self::pad_to).
    #[must_use]
    pub const fn pad_to(mut self, bytes: u32) -> Self {
        self.pad_to = bytes;
        self
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
#[expect(clippy::exhaustive_enums, reason = "a storage must know every way")]
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
    /// Names of what else is there and is not the log's.
    pub foreign: Vec<String>,
}

impl Listing {
    /// The segments, ascending, and the names of what is not the log's.
    #[must_use]
    pub const fn new(segments: Vec<Lsn>, foreign: Vec<String>) -> Self {
        Listing { segments, foreign }
    }
}

/// The one-writer lock, and the [fence](Fence) behind it. The lock is released when this value is dropped.
pub struct StorageLock {
    owner: Owner,
    fence: Arc<dyn Fence>,
    _guard: Box<dyn Any + Send + Sync>,
}

impl StorageLock {
    /// Wraps whatever releases the lock when it is dropped, for a storage whose lock cannot fail and whose owners are
    /// not told apart.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        StorageLock {
            owner: Owner::default(),
            fence: Arc::new(fence::Unfenced(Owner::default())),
            _guard: Box::new(guard),
        }
    }

    /// The lock of `owner`, for a storage that tells its owners apart, and whose lock cannot fail.
    #[must_use]
    pub fn owned_by(mut self, owner: Owner) -> Self {
        (self.owner, self.fence) = (owner, Arc::new(fence::Unfenced(owner)));
        self
    }

    /// The lock of `owner`, who can ask the fence whether the log is still its own.
    #[must_use]
    pub fn fenced(mut self, owner: Owner, fence: impl Fence) -> Self {
        (self.owner, self.fence) = (owner, Arc::new(fence));
        self
    }

    /// The lock of a storage that wraps another one: as this one, but held by what `hold` makes of it.
    #[must_use]
    pub fn wrap<G: Any + Send + Sync>(self, hold: impl FnOnce(StorageLock) -> G) -> Self {
        let (owner, fence) = (self.owner, self.fence.clone());
        StorageLock { owner, fence, _guard: Box::new(hold(self)) }
    }

    /// Who has it; nobody in particular where owners are not told apart.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The fence.
    #[must_use]
    pub fn fence(&self) -> &Arc<dyn Fence> {
        &self.fence
    }

    /// Becomes an owner with an epoch above `epoch`; see [`Fence::raise`].
    ///
    /// # Errors
    /// Those of the fence.
    pub fn raise(&mut self, epoch: u64) -> Result<()> {
        self.owner = self.fence.raise(epoch).wait()?;
        Ok(())
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
/// nameable segment without a header. The right one writes and syncs under another name first:
///
/// ```text
/// fn stage(..)   { let f = File::create(spare_name)?; Ok(Staged { f, name }) }
/// fn publish(..) { f.sync_all()?; rename_without_replacing(spare_name, name)?; directory.sync_all()?; Ok(f) }
/// ```
///
/// `examples/downstream/src/plain_files.rs` is a whole one. The tests of that project hold it against this contract, with
/// every power loss of a model disk below it.
///
/// # Wrappers
/// A storage that wraps another one forwards every method, those with a default body as well: the default would
/// bypass the wrapped storage. `#[deny(clippy::missing_trait_methods)]` on the `impl` holds that. It wraps the
/// segments, too: [`Staged::wrap`] does that for those that are staged.
pub trait LogStorage: Send + Sync + 'static {
    /// What this storage can do; constant over its life.
    fn capabilities(&self) -> Capabilities;

    /// Where the log lives, for messages ("/var/lib/app/wal", "memory").
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
    /// - **On `Err`**: the storage cannot be read; nothing changed.
    /// - **If cancelled**: nothing changed.
    /// - **Concurrency**: may run beside everything else and then shows a state in between.
    /// - **Durability**: none.
    fn list(&self) -> Io<'_, Listing>;

    /// Begins a segment that has no name yet: it is written in pieces, synced, and then
    /// [published](StagedSegment::publish) under `name`, with room for `capacity` bytes in mind.
    ///
    /// - **On `Ok`**: nothing under any name has changed, and no listing shows it. The staged segment is empty: what
    ///   is not written is zeros, or, with [`recycles`](Capabilities::recycles), anything.
    /// - **On `Err`**: nothing changed.
    /// - **If cancelled**: nothing changed.
    /// - **Concurrency**: one call at a time, by the writer. Several segments may be staged at once.
    /// - **Durability**: none; after a crash a staged segment is gone, and its space is free again once the storage
    ///   was [locked](Self::lock).
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged>;

    /// Creates a segment that begins with `data`, in one go: stages, writes, syncs and publishes it.
    ///
    /// There is no need to implement this.
    ///
    /// - **On `Ok`**, **On `Err`**, **If cancelled**, **Durability**: as for
    ///   [`StagedSegment::publish`], with `data` as what was written.
    /// - **Concurrency**: one call at a time, by the writer.
    fn create(
        &self,
        name: Lsn,
        data: Bytes,
        capacity: u64,
        publish: Publish,
    ) -> Io<'_, Arc<dyn Segment>> {
        let staged = self.stage(name, capacity);
        Io::future(async move {
            let mut staged = staged.await?;
            staged.write_at(0, data).await?;
            staged.sync().await?;
            staged.publish(publish).await
        })
    }

    /// Copies the first `len` bytes of a segment, which may be another storage's, as the segment `name`.
    ///
    /// There is no need to implement this: it stages, reads and writes in pieces, and publishes
    /// ([`copy_in_pieces`]). A storage that can do better does, such as by sharing the blocks of a
    /// [file](Segment::backing). It never makes a second name of one file.
    ///
    /// - **On `Ok`**: the segment exists under its name, with these bytes and nothing behind them, all of it durable.
    /// - **On `Err`**: `Exists` if the name is taken; `Corrupt` if the source has fewer bytes; the errors of reading
    ///   the source. The name means what it meant, or all of the copy.
    /// - **If cancelled**: as on `Err`.
    /// - **Concurrency**: one call at a time, by the writer. The source may be written to meanwhile, but not within
    ///   these bytes.
    /// - **Durability**: durable on `Ok`.
    fn copy_segment(&self, name: Lsn, source: Arc<dyn Segment>, len: u64) -> Io<'_, Copied> {
        copy_in_pieces(self, name, source, len)
    }

    /// Opens an existing segment.
    ///
    /// - **On `Ok`**: the segment can be used as `access` says.
    /// - **On `Err`**: `NotFound`, `Denied` or `Io`; nothing changed.
    /// - **If cancelled**: nothing changed.
    /// - **Concurrency**: any number of readers beside the writer.
    /// - **Durability**: none.
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>>;

    /// Removes segments; the storage may keep their space as spares for later ones.
    ///
    /// - **On `Ok`**: the names are gone and stay gone after a crash (one sync of the directory for all). Readers
    ///   that had opened such a segment get its old bytes, or an error; the bytes of a later segment only
    ///   if the storage [`recycles`](Capabilities::recycles). A name that does not exist is not an error; without
    ///   names nothing is done.
    /// - **On `Err`**: each of the segments may or may not exist. An open log fails with it, and is opened anew.
    /// - **If cancelled**: as on `Err`.
    /// - **Concurrency**: one call at a time, by whoever holds the lock. It runs beside everything else: other segments
    ///   are staged, created, written and synced meanwhile, and those that are removed may be read. The names are not
    ///   created before it returns, and no handle writes to these segments any more.
    /// - **Durability**: the removals are durable on `Ok`. A crash before that may leave any of them undone, in any
    ///   order: remove one at a time where the order matters.
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()>;

    /// Puts a copy of cut or damaged bytes aside, under a name that recovery never takes for a segment.
    ///
    /// - **On `Ok`**: the bytes are durable under the returned name. An existing name is never
    ///   overwritten; a new one is chosen from `label`.
    /// - **On `Err`**: nothing that existed before was changed.
    /// - **If cancelled**: a partial copy may exist.
    /// - **Concurrency**: one call at a time, by the writer.
    /// - **Durability**: durable on `Ok`, directory entry included.
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String>;

    /// Says whether calls may use the [reserve](Self::fill_reserve) from now on. It is opened for a recovery, for
    /// truncating and for closing, and closed for appends.
    ///
    /// While it is open, [`stage`](Self::stage), [`create`](Self::create), [`set_aside`](Self::set_aside) and writes to
    /// segments take from it what the disk has no room for. The default does nothing.
    ///
    /// - **Concurrency**: by the writer, between its calls.
    /// - **Durability**: none; after a crash it is closed.
    fn open_reserve(&self, open: bool) {
        let _ = open;
    }

    /// Keeps space free for when there is none: as much as a new segment's header, an end that is written again and a
    /// copy of what is cut need, if segments have this size. A larger one stays as it is, so with a size of 0 the reserve
    /// gets back what was taken from it. Does nothing while the reserve is open.
    ///
    /// It stays when the log is closed. A storage that has no limit, or no reserve, does nothing, as the default does.
    ///
    /// - **On `Ok`**: the reserve is as large as the storage's settings want it.
    /// - **On `Err`**: `Full` if it is smaller, because there is no space left; the log is as it was.
    /// - **If cancelled**: as for `Full`.
    /// - **Concurrency**: one call at a time, by the writer, beside everything.
    /// - **Durability**: none needed: what a crash takes is made again.
    fn fill_reserve(&self, segment_size: u64) -> Io<'_, ()> {
        let _ = segment_size;
        Io::ready(Ok(()))
    }

    /// How many bytes the [reserve](Self::fill_reserve) holds; 0 where there is none.
    ///
    /// - **On `Err`**: it cannot be looked at; nothing changed.
    /// - **Concurrency**: beside everything.
    /// - **Durability**: none.
    fn reserve(&self) -> Io<'_, u64> {
        Io::ready(Ok(0))
    }

    /// Begins to notice changes, for a reader that waits for them; `None` where nothing tells of changes. So it is for
    /// every storage that does not implement this method. The reader then looks now and then.
    ///
    /// - **Concurrency**: any number of readers, beside everything.
    /// - **Durability**: none.
    fn changes(&self) -> Option<Box<dyn Changes>> {
        None
    }
}

macro_rules! forward_storage {
    ($($pointer:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
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
            fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
                (**self).stage(name, capacity)
            }
            fn create(
                &self,
                name: Lsn,
                data: Bytes,
                capacity: u64,
                publish: Publish,
            ) -> Io<'_, Arc<dyn Segment>> {
                (**self).create(name, data, capacity, publish)
            }
            fn copy_segment(
                &self,
                name: Lsn,
                source: Arc<dyn Segment>,
                len: u64,
            ) -> Io<'_, Copied> {
                (**self).copy_segment(name, source, len)
            }
            fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
                (**self).open(name, access)
            }
            fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
                (**self).remove(names)
            }
            fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
                (**self).set_aside(label, data)
            }
            fn open_reserve(&self, open: bool) {
                (**self).open_reserve(open);
            }
            fn fill_reserve(&self, segment_size: u64) -> Io<'_, ()> {
                (**self).fill_reserve(segment_size)
            }
            fn reserve(&self) -> Io<'_, u64> {
                (**self).reserve()
            }
            fn changes(&self) -> Option<Box<dyn Changes>> {
                (**self).changes()
            }
        }
    )*};
}

forward_storage!(Arc<S>, Box<S>);
