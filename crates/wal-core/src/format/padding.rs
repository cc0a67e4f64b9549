//! Padding: a frame without records that fills a segment up to a boundary.

use bytes::{BufMut, BytesMut};

use super::{FRAME_HEADER_LEN, Flags, FrameHeader, FrameKind, Salt};

/// A frame that fills the space behind the last record of a write.
///
/// It holds nothing. Where a storage asks for it
/// ([`Capabilities::pad_to`](crate::Capabilities::pad_to)), every write ends in one, so that the next
/// write begins in a block of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding(FrameHeader);

impl Padding {
    /// The padding behind `offset`, up to a multiple of `multiple` bytes; `None` if that is one already,
    /// or if any place will do (`multiple` is 0 or 1).
    ///
    /// If fewer bytes are left than the header of a frame takes, the padding reaches up to the multiple
    /// after that. `next` gives the fields that a data frame would have here: where the next record would
    /// stand, how far the log is durable, and the time of the last record.
    #[must_use]
    pub fn behind(offset: u64, multiple: u32, next: FrameHeader) -> Option<Self> {
        let multiple = u64::from(multiple.max(1));
        if offset.is_multiple_of(multiple) {
            return None;
        }
        // The first boundary that leaves room for a header.
        let body_at = offset + FRAME_HEADER_LEN as u64;
        let body_len = body_at.next_multiple_of(multiple) - body_at;
        let body_len = u32::try_from(body_len).expect("less than the multiple");
        let kind = FrameKind::Padding as u8;
        Some(Padding(FrameHeader { body_len, kind, flags: Flags::default(), ..next }))
    }

    /// How long the frame is, in bytes.
    #[must_use]
    pub const fn frame_len(&self) -> u64 {
        self.0.frame_len()
    }

    /// Appends the frame to `out`; its header with the checksum that it got.
    pub fn put(&self, out: &mut BytesMut, salt: Salt) -> FrameHeader {
        let (at, body_len) = (out.len(), self.0.body_len as usize);
        out.put_bytes(0, FRAME_HEADER_LEN + body_len);
        let (head, body) = out[at..].split_at_mut(FRAME_HEADER_LEN);
        head.copy_from_slice(&self.0.seal(crc32c::crc32c(body), salt));
        FrameHeader::decode(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::LogId;

    fn next() -> FrameHeader {
        FrameHeader {
            crc: 0,
            body_len: 7,
            lsn_delta: 3,
            durable_lag: 1,
            time_delta: 9,
            kind: FrameKind::Data as u8,
            flags: Flags::BATCH,
        }
    }

    #[test]
    fn ends_at_a_boundary_wherever_it_begins() {
        for multiple in [2, 16, 24, 512, 4096] {
            for offset in 1..3 * u64::from(multiple) + 50 {
                let padding = Padding::behind(offset, multiple, next());
                if offset.is_multiple_of(u64::from(multiple)) {
                    assert_eq!(padding, None);
                    continue;
                }
                let len = padding.unwrap().frame_len();
                assert!((offset + len).is_multiple_of(u64::from(multiple)), "{multiple} {offset}");
                assert!(len >= 24 && len < u64::from(multiple) + 24, "{multiple} {offset} {len}");
            }
        }
        assert_eq!(Padding::behind(100, 0, next()), None);
        assert_eq!(Padding::behind(100, 1, next()), None);
        assert_eq!(Padding::behind(488, 512, next()).unwrap().frame_len(), 24);
        assert_eq!(Padding::behind(489, 512, next()).unwrap().frame_len(), 23 + 512);
    }

    #[test]
    fn is_a_valid_frame_of_zeros_without_records() {
        let salt = Salt::new(LogId([4; 16]), crate::format::Owner::default(), 2);
        let mut out = BytesMut::from(&b"before"[..]);
        let header = Padding::behind(100, 512, next()).unwrap().put(&mut out, salt);
        let (head, body) = out[6..].split_at(FRAME_HEADER_LEN);
        assert_eq!((FrameHeader::decode(head), head.len() + body.len()), (header, 412));
        assert!(body.iter().all(|&byte| byte == 0));
        assert_eq!(header.crc, FrameHeader::expected_crc(head, crc32c::crc32c(body), salt));
        assert_eq!((header.lsn_delta, header.durable_lag, header.time_delta), (3, 1, 9));
        assert_eq!((header.kind, header.flags), (8, Flags::default()));
        assert_eq!(header.records_in(body).unwrap().len(), 0);
        assert_eq!(header.record_count(body), 0);
        let strange = FrameHeader { flags: Flags::BATCH, ..header };
        let error = strange.records_in(body).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Unsupported, "{error}");
    }
}
