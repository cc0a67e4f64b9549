//! `Segment`: a growing array of bytes with a name.

use bytes::Bytes;

use crate::{Io, WriteMode};

/// One segment of a [`LogStorage`](super::LogStorage).
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

    /// What holds the segment's bytes, at the same offsets, as a storage of the same kind knows it, such as a file; for
    /// a storage that can [copy](super::LogStorage::copy_segment) it without reading it. `None` where there is no such
    /// thing, or where reads have to come through this segment; so it is for every segment that does not implement
    /// this method.
    ///
    /// It is only to be read from.
    fn backing(&self) -> Option<&dyn std::any::Any> {
        None
    }
}
