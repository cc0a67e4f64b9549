//! The two buffers of a log: appends fill one while the other is being written.
//!
//! What is being written is lent to the storage as [`Bytes`], and its memory taken back for the next time.
//! Nothing is allocated for that, as a buffer is of the reference-counted kind from the beginning. And small
//! writes use the same few cache lines again and again.

use bytes::{Bytes, BytesMut};

/// The room that a buffer has at least, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// Memory in which a thread encodes is kept up to this many bytes. A larger buffer does not change places with a
/// smaller frame, as its memory would be given back.
pub(super) const KEEP_BYTES: usize = 1 << 20;

/// An empty buffer.
pub(crate) fn new_buffer() -> BytesMut {
    let mut buffer = BytesMut::with_capacity(BUFFER_BYTES);
    // A part makes the memory shared, if only for a moment; it stays of that kind.
    drop(buffer.split_to(0));
    buffer
}

/// The memory of what was written, for the next time; other memory if the storage still holds on to it.
pub(crate) fn reclaim(written: Bytes) -> BytesMut {
    let Ok(mut buffer) = written.try_into_mut() else { return new_buffer() };
    buffer.clear();
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_unless_somebody_holds_on_to_it() {
        let mut buffer = new_buffer();
        buffer.extend_from_slice(b"some bytes");
        let at = buffer.as_ptr();
        let written = buffer.freeze();
        let held = written.clone();
        let mut other = reclaim(written);
        assert_ne!(other.as_ptr(), at);
        other.extend_from_slice(b"other bytes");
        assert_eq!(held, "some bytes");
        let again = reclaim(held);
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
        assert!(again.capacity() >= BUFFER_BYTES);
    }
}
