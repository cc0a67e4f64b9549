//! The segment header: who this segment is, and what it follows.

use std::fmt;

use super::{array, u16_at, u32_at, u64_at};
use crate::{CodecId, Error, ErrorKind, Lsn, Result, Timestamp};

/// The first bytes of every segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"WALSEG\r\n";
/// The version this build writes, and the only one it reads.
pub const FORMAT_VERSION: u16 = 1;
/// Length of the encoded header. Frames begin at [`SegmentHeader::data_offset`].
pub const SEGMENT_HEADER_LEN: usize = 128;

/// Where frames may begin at the latest. Bounds what a reader allocates for the padding.
pub(crate) const MAX_DATA_OFFSET: u32 = 1 << 20;

const CRC_AT: usize = SEGMENT_HEADER_LEN - 4;
/// No count gets this far; below it, sums of a few counts cannot overflow.
const IMPLAUSIBLE: u64 = u64::MAX / 2;

/// A log's random identity.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub [u8; 16]);

impl LogId {
    /// A fresh identity from the operating system's random numbers.
    ///
    /// # Errors
    /// `Io` if the system has no source of random numbers.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn random() -> Result<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|e| {
            Error::new(ErrorKind::Io, "create log").with_detail(format!("no random numbers: {e}"))
        })?;
        Ok(LogId(id))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

/// The decoded header of a segment.
///
/// Segments form a chain: `follows` is the last LSN before this segment. Usually that is
/// `first_lsn - 1`; after a truncation at the back it is smaller, and whatever older segments hold
/// between is void. A missing segment therefore never looks like a shorter log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The log this segment belongs to.
    pub log_id: LogId,
    /// Counts the segments that this log ever created. Part of every frame's checksum.
    pub generation: u64,
    /// The LSN of the first record, and the segment's name.
    pub first_lsn: Lsn,
    /// The last LSN before this segment; records between it and `first_lsn` are void.
    pub follows: Lsn,
    /// Records before this LSN were truncated when the segment was created.
    pub log_start: Lsn,
    /// When the segment was created; frames carry their time relative to it.
    pub created: Timestamp,
    /// The codec of the records.
    pub codec: CodecId,
    /// Where the first frame begins, in bytes from the start of the segment.
    pub data_offset: u32,
}

impl SegmentHeader {
    /// The `data_offset` of a new segment in a storage of this alignment: the first multiple of it behind
    /// the header. 0 counts as 1.
    #[must_use]
    pub const fn data_offset_for(alignment: u32) -> u32 {
        let alignment = if alignment == 0 { 1 } else { alignment };
        (SEGMENT_HEADER_LEN as u32).next_multiple_of(alignment)
    }

    /// The encoded header.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut out = [0; SEGMENT_HEADER_LEN];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &SEGMENT_MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(12, &self.data_offset.to_le_bytes());
        put(16, &self.log_id.0);
        put(32, &self.generation.to_le_bytes());
        put(40, &self.first_lsn.get().to_le_bytes());
        put(48, &self.follows.get().to_le_bytes());
        put(56, &self.log_start.get().to_le_bytes());
        put(64, &self.created.as_micros().to_le_bytes());
        put(72, &self.codec.0.to_le_bytes());
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header from the first bytes of the segment called `name`.
    ///
    /// # Errors
    /// `NotALog` without the magic, `Unsupported` for another format version, `Corrupt` otherwise.
    pub fn decode(bytes: &[u8], name: Lsn) -> Result<Self> {
        let fail = |kind, offset, detail: String| {
            Err(Error::new(kind, "read segment header")
                .with_segment(name)
                .with_offset(offset)
                .with_detail(detail))
        };
        if bytes.len() < SEGMENT_HEADER_LEN {
            return fail(
                ErrorKind::Corrupt,
                bytes.len() as u64,
                format!("{} bytes, a header has {SEGMENT_HEADER_LEN}", bytes.len()),
            );
        }
        let crc = u32_at(bytes, CRC_AT);
        let computed = crc32c::crc32c(&bytes[..CRC_AT]);
        if bytes[..8] != SEGMENT_MAGIC {
            // One damaged byte in the magic of an otherwise whole header is rot, not a foreign file.
            let near = bytes[..8].iter().zip(&SEGMENT_MAGIC).filter(|(a, b)| a == b).count() >= 6;
            let kind = if near { ErrorKind::Corrupt } else { ErrorKind::NotALog };
            return fail(
                kind,
                0,
                format!("magic {:02x?}, expected {SEGMENT_MAGIC:02x?}", &bytes[..8]),
            );
        }
        if crc != computed {
            return fail(
                ErrorKind::Corrupt,
                CRC_AT as u64,
                format!("header checksum {crc:#010x}, computed {computed:#010x}"),
            );
        }
        let version = u16_at(bytes, 8);
        if version != FORMAT_VERSION {
            return fail(
                ErrorKind::Unsupported,
                8,
                format!("format version {version}; this build reads version {FORMAT_VERSION}"),
            );
        }
        if let Some(at) = (10..12).chain(76..CRC_AT).find(|&at| bytes[at] != 0) {
            return fail(
                ErrorKind::Unsupported,
                at as u64,
                "a reserved header byte is not zero".into(),
            );
        }
        let header = SegmentHeader {
            data_offset: u32_at(bytes, 12),
            log_id: LogId(array(bytes, 16)),
            generation: u64_at(bytes, 32),
            first_lsn: Lsn::new(u64_at(bytes, 40)),
            follows: Lsn::new(u64_at(bytes, 48)),
            log_start: Lsn::new(u64_at(bytes, 56)),
            created: Timestamp::from_micros(u64_at(bytes, 64)),
            codec: CodecId(u32_at(bytes, 72)),
        };
        if header.first_lsn != name {
            return fail(
                ErrorKind::Corrupt,
                40,
                format!("first LSN {}, but the segment is named {name}", header.first_lsn),
            );
        }
        match header.contradiction() {
            Some((at, detail)) => fail(ErrorKind::Corrupt, at, detail),
            None => Ok(header),
        }
    }

    /// The first field that cannot be right although the checksum is: its offset, and why.
    fn contradiction(&self) -> Option<(u64, String)> {
        let first = self.first_lsn;
        let (data_offset, least) = (self.data_offset, SEGMENT_HEADER_LEN);
        let bounds = SEGMENT_HEADER_LEN as u32..=MAX_DATA_OFFSET;
        let checks = [
            (
                bounds.contains(&data_offset),
                12,
                format!("data offset {data_offset}, allowed are {least} to {MAX_DATA_OFFSET}"),
            ),
            (
                self.generation < IMPLAUSIBLE,
                32,
                format!("generation {} is implausibly large", self.generation),
            ),
            (first.get() < IMPLAUSIBLE, 40, format!("first LSN {first} is implausibly large")),
            (
                self.follows < first,
                48,
                format!("follows LSN {}, but the first LSN is {first}", self.follows),
            ),
            (
                Lsn::FIRST <= self.log_start && self.log_start <= first,
                56,
                format!("log start {}, allowed are 1 to the first LSN {first}", self.log_start),
            ),
        ];
        let wrong = checks.into_iter().find(|(right, ..)| !right);
        wrong.map(|(_, at, detail)| (at, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SegmentHeader {
        SegmentHeader {
            log_id: LogId(*b"0123456789abcdef"),
            generation: 3,
            first_lsn: Lsn::new(101),
            follows: Lsn::new(50),
            log_start: Lsn::new(7),
            created: Timestamp::from_micros(1_700_000_000_000_000),
            codec: CodecId::JSON,
            data_offset: 4096,
        }
    }

    #[test]
    fn comes_back() {
        let bytes = sample().encode();
        assert_eq!(SegmentHeader::decode(&bytes, Lsn::new(101)).unwrap(), sample());
    }

    #[test]
    fn frames_begin_at_a_multiple_of_the_alignment_behind_the_header() {
        let of = SegmentHeader::data_offset_for;
        assert_eq!([0, 1, 8, 100, 128].map(of), [128, 128, 128, 200, 128]);
        assert_eq!([512, 4096, 1 << 20].map(of), [512, 4096, 1 << 20]);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = sample().encode();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            let error = SegmentHeader::decode(&bad, Lsn::new(101)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "bit {bit}: {error}");
        }
    }

    #[test]
    fn newer_version_and_foreign_file_are_told_apart() {
        let mut bytes = sample().encode();
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        let kind = |b: &[u8]| SegmentHeader::decode(b, Lsn::new(101)).unwrap_err().kind();
        assert_eq!(kind(&bytes), ErrorKind::Unsupported);
        assert_eq!(kind(&[b'x'; 500]), ErrorKind::NotALog);
        assert_eq!(kind(&[]), ErrorKind::Corrupt);
    }

    #[test]
    fn a_contradiction_is_told_by_field_offset_and_value() {
        let large = u64::MAX / 2;
        let with = |change: fn(&mut SegmentHeader)| {
            let mut header = sample();
            change(&mut header);
            SegmentHeader::decode(&header.encode(), header.first_lsn)
        };
        type Told = (fn(&mut SegmentHeader), u64, &'static str, String);
        let told: [Told; 9] = [
            (|h| h.data_offset = 127, 12, "data offset", "127".into()),
            (|h| h.data_offset = (1 << 20) + 1, 12, "data offset", "1048577".into()),
            (|h| h.generation = u64::MAX / 2, 32, "generation", large.to_string()),
            (|h| h.generation = u64::MAX, 32, "generation", u64::MAX.to_string()),
            (|h| h.first_lsn = Lsn::new(u64::MAX / 2), 40, "first LSN", large.to_string()),
            (|h| h.follows = Lsn::new(101), 48, "follows", "101".into()),
            (|h| h.follows = Lsn::new(777), 48, "follows", "777".into()),
            (|h| h.log_start = Lsn::new(102), 56, "log start", "102".into()),
            (|h| h.log_start = Lsn::ZERO, 56, "log start", "0".into()),
        ];
        for (change, offset, field, value) in told {
            let error = with(change).unwrap_err();
            assert_eq!((error.kind(), error.offset()), (ErrorKind::Corrupt, Some(offset)));
            let text = error.detail();
            assert!(text.contains(field) && text.contains(&value), "{text}");
            assert!(!text.contains('{'), "{text}");
        }
        assert!(with(|h| h.data_offset = 1 << 20).is_ok());
        assert!(with(|h| h.generation = u64::MAX / 2 - 1).is_ok());
        assert!(with(|h| h.log_start = h.first_lsn).is_ok());
    }
}
