//! Changes with correct checksums: what rot cannot make, but a bug or an adversary can.

use wal_core::Lsn;
use wal_core::format::{FRAME_HEADER_LEN, FrameHeader, SEGMENT_HEADER_LEN, Salt, SegmentHeader};

/// Offset of the checksum in a segment's header.
const HEADER_CRC: usize = SEGMENT_HEADER_LEN - 4;

/// Writes the checksum that a segment's header should carry.
pub(crate) fn seal_header(bytes: &mut [u8]) {
    if let Some(header) = bytes.first_chunk_mut::<SEGMENT_HEADER_LEN>() {
        let crc = crc32c::crc32c(&header[..HEADER_CRC]);
        header[HEADER_CRC..].copy_from_slice(&crc.to_le_bytes());
    }
}

/// The header of a segment, whatever it is called.
pub(crate) fn header_of(bytes: &[u8]) -> Option<SegmentHeader> {
    let name = bytes.get(40..48)?.try_into().expect("eight bytes");
    SegmentHeader::decode(bytes, Lsn::new(u64::from_le_bytes(name))).ok()
}

/// Where frames begin, going by their lengths alone.
pub(crate) fn frame_offsets(bytes: &[u8], data_offset: usize) -> Vec<usize> {
    let mut at = data_offset;
    let mut offsets = Vec::new();
    while let Some(head) = bytes.get(at..at + FRAME_HEADER_LEN) {
        let end = at as u64 + FrameHeader::decode(head).frame_len();
        // Zeros are no frame.
        if end > bytes.len() as u64 || head.iter().all(|&byte| byte == 0) {
            break;
        }
        offsets.push(at);
        at = end as usize;
    }
    offsets
}

/// Writes the checksum that the frame at `at` should carry in this segment.
pub(crate) fn seal_frame(bytes: &mut [u8], at: usize, salt: Salt) {
    let Some(frame) = bytes.get(at..).filter(|rest| rest.len() >= FRAME_HEADER_LEN) else { return };
    let header = FrameHeader::decode(frame);
    let end = FRAME_HEADER_LEN.saturating_add(header.body_len as usize);
    let Some(body) = frame.get(FRAME_HEADER_LEN..end) else { return };
    let sealed = header.seal(crc32c::crc32c(body), salt);
    bytes[at..at + FRAME_HEADER_LEN].copy_from_slice(&sealed);
}

/// Gives every frame its checksum, as the header in front of them demands.
pub(crate) fn seal_all(bytes: &mut [u8]) {
    seal_header(bytes);
    let Some(header) = header_of(bytes) else { return };
    let salt = header.salt();
    for at in frame_offsets(bytes, header.data_offset as usize) {
        seal_frame(bytes, at, salt);
    }
}
