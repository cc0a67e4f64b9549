//! What a frame will hold: encoded before any lock is taken, put into the buffer under the short one.

use bytes::{BufMut, BytesMut};

use super::buffer::KEEP_BYTES;
use crate::format::FRAME_HEADER_LEN;

/// A frame of at least so many bytes becomes the buffer itself, if that is empty. Smaller ones are copied: that
/// costs little, and the buffer's memory is the one that the processor has at hand.
const SWAP_BYTES: usize = 16 * 1024;

/// The body of one frame to be.
pub(crate) struct Body<'a> {
    pub(crate) records: u32,
    /// Bytes of the records; the table of a batch comes on top.
    pub(crate) record_bytes: u64,
    /// CRC-32C of the whole body.
    pub(crate) crc: u32,
    pub(crate) bytes: BodyBytes<'a>,
}

/// Where it lies.
pub(crate) enum BodyBytes<'a> {
    /// As the caller had it.
    Lent(&'a [u8]),
    /// In memory of the log's, behind room for the frame's header.
    Framed(&'a mut BytesMut),
}

impl Body<'_> {
    pub(crate) fn frame_len(&self) -> usize {
        match &self.bytes {
            BodyBytes::Lent(body) => FRAME_HEADER_LEN + body.len(),
            BodyBytes::Framed(frame) => frame.len(),
        }
    }

    pub(crate) fn is_batch(&self) -> bool {
        self.records > 1
    }

    /// Puts the frame behind what is in `buf`. A large one may change places with an empty `buf`; this body is
    /// then gone.
    pub(crate) fn put(&mut self, header: &[u8; FRAME_HEADER_LEN], buf: &mut BytesMut) {
        match &mut self.bytes {
            BodyBytes::Lent(body) => {
                buf.reserve(FRAME_HEADER_LEN + body.len());
                buf.put_slice(header);
                buf.put_slice(body);
            }
            BodyBytes::Framed(frame) => {
                frame[..FRAME_HEADER_LEN].copy_from_slice(header);
                let is_kept = frame.capacity() >= buf.capacity() || buf.capacity() <= KEEP_BYTES;
                if buf.is_empty() && frame.len() >= SWAP_BYTES && is_kept {
                    std::mem::swap(buf, *frame);
                } else {
                    buf.extend_from_slice(frame);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; FRAME_HEADER_LEN] = [7; FRAME_HEADER_LEN];

    fn put(frame: &mut BytesMut, buf: &mut BytesMut) {
        let bytes = BodyBytes::Framed(frame);
        Body { records: 2, record_bytes: 0, crc: 0, bytes }.put(&HEADER, buf);
    }

    #[test]
    fn a_buffer_that_has_grown_is_not_given_away_for_a_smaller_frame() {
        let (mut frame, mut buf) =
            (BytesMut::zeroed(SWAP_BYTES), BytesMut::with_capacity(KEEP_BYTES + 1));
        let at = buf.as_ptr();
        put(&mut frame, &mut buf);
        assert_eq!((buf.as_ptr(), buf.len()), (at, SWAP_BYTES));
        let (mut frame, mut buf) =
            (BytesMut::zeroed(KEEP_BYTES + 2), BytesMut::with_capacity(KEEP_BYTES + 1));
        let at = frame.as_ptr();
        put(&mut frame, &mut buf);
        assert_eq!((buf.as_ptr(), buf.len()), (at, KEEP_BYTES + 2));
    }

    #[test]
    fn a_large_frame_becomes_the_buffer_and_all_others_are_copied() {
        for (len, before, moves) in
            [(SWAP_BYTES, 0, true), (SWAP_BYTES - 1, 0, false), (SWAP_BYTES, 1, false)]
        {
            let mut frame = BytesMut::zeroed(FRAME_HEADER_LEN);
            frame.resize(len, 9);
            let mut buf = BytesMut::from(&b"ab"[..before]);
            let at = frame.as_ptr();
            put(&mut frame, &mut buf);
            assert_eq!(buf.as_ptr() == at, moves, "{len} behind {before}");
            let (old, new) = buf.split_at(before);
            assert_eq!((old, new.len()), (&b"ab"[..before], len));
            assert_eq!(new[..FRAME_HEADER_LEN], HEADER);
            assert!(new[FRAME_HEADER_LEN..].iter().all(|byte| *byte == 9));
        }
    }
}
