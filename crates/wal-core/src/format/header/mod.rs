//! The segment header: who this segment is, and what it follows.
//!
//! | file | idea |
//! | --- | --- |
//! | `features` | what a build has to know to read a segment, or to write behind it; how a segment came to be |
//! | `layers` | which layers above the engine wrote the records |
//! | `decode` | reading a header, and what in it cannot be right |

mod decode;
mod features;
mod layers;

pub use features::{Features, Maker};
pub use layers::{LayerId, Layers};

use super::Salt;
use super::identity::{LogId, Owner};
use crate::{CodecId, Lsn, Timestamp};

/// The first bytes of every segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"WALSEG\r\n";
/// The version this build writes, and the only one it reads.
pub const FORMAT_VERSION: u16 = 2;
/// Length of the encoded header, without an extension. Frames begin at [`SegmentHeader::data_offset`].
pub const SEGMENT_HEADER_LEN: usize = 512;

/// Where frames may begin at the latest. Bounds what a reader allocates for the space in front of them.
pub(crate) const MAX_DATA_OFFSET: u32 = 1 << 20;

const CRC_AT: usize = SEGMENT_HEADER_LEN - 4;

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
    /// The time of day when the segment was created, as the clock said it; frames carry theirs relative to it.
    pub created: Timestamp,
    /// The log clock when the segment was created: microseconds for which the log has lived.
    pub log_time: u64,
    /// The codec of the user's records.
    pub codec: CodecId,
    /// The layers between the engine and the user.
    pub layers: Layers,
    /// Where the first frame begins, in bytes from the start of the segment.
    pub data_offset: u32,
    /// What a build has to know.
    pub features: Features,
    /// Who wrote it. Part of every frame's checksum.
    pub owner: Owner,
    /// How it came to be.
    pub maker: Maker,
    /// The generation of the segment whose end was moved into this one.
    pub moved_from: Option<u64>,
    /// The log of which this one is a branch, and the last record that it took over.
    pub origin: Option<(LogId, Lsn)>,
    /// The writes of its writer end at multiples of so many bytes; 1 if anywhere.
    pub pad_to: u32,
    /// Whether a blank stands behind the last frame of every write.
    pub blanks: bool,
}

impl SegmentHeader {
    /// The header of a segment that follows the LSN before its first one, without a record and without anything
    /// that is not needed: the raw codec, no layer, no owner, times of 0.
    #[must_use]
    pub const fn new(log_id: LogId, generation: u64, first_lsn: Lsn) -> Self {
        SegmentHeader {
            log_id,
            generation,
            first_lsn,
            follows: first_lsn.prev(),
            log_start: Lsn::FIRST,
            created: Timestamp::EPOCH,
            log_time: 0,
            codec: CodecId::RAW,
            layers: Layers::NONE,
            data_offset: SEGMENT_HEADER_LEN as u32,
            features: Features { incompatible: 0, read_only: 0, compatible: 0 },
            owner: Owner { epoch: 0, token: [0; 16] },
            maker: Maker::WRITER,
            moved_from: None,
            origin: None,
            pad_to: 1,
            blanks: false,
        }
    }

    /// The `data_offset` of a new segment in a storage of this alignment: the first multiple of it behind
    /// the header. 0 counts as 1.
    #[must_use]
    pub const fn data_offset_for(alignment: u32) -> u32 {
        let alignment = if alignment == 0 { 1 } else { alignment };
        (SEGMENT_HEADER_LEN as u32).next_multiple_of(alignment)
    }

    /// The same without compatible features that this build does not know, as it is when it is written again.
    #[must_use]
    pub fn known(&self) -> Self {
        let mut known = self.clone();
        known.features.compatible &= Features::KNOWN.compatible;
        known
    }

    /// What it contributes to the checksums of its frames.
    #[must_use]
    pub fn salt(&self) -> Salt {
        Salt::new(self.log_id, self.owner, self.generation)
    }

    /// The encoded header. Compatible features that this build does not know are left out: what they speak of would
    /// be left out as well.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut out = [0; SEGMENT_HEADER_LEN];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &SEGMENT_MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(10, &1_u16.to_le_bytes());
        put(12, &self.data_offset.to_le_bytes());
        put(16, &self.log_id.0);
        put(32, &self.generation.to_le_bytes());
        put(40, &self.first_lsn.get().to_le_bytes());
        put(48, &self.follows.get().to_le_bytes());
        put(56, &self.log_start.get().to_le_bytes());
        put(64, &self.created.as_micros().to_le_bytes());
        put(72, &self.codec.0.to_le_bytes());
        put(76, &self.features.incompatible.to_le_bytes());
        put(80, &self.features.read_only.to_le_bytes());
        let compatible = self.features.compatible & Features::KNOWN.compatible;
        put(84, &compatible.to_le_bytes());
        put(88, &self.log_time.to_le_bytes());
        put(96, &self.moved_from.unwrap_or(0).to_le_bytes());
        put(104, &self.owner.epoch.to_le_bytes());
        put(112, &self.owner.token);
        if let Some((log_id, lsn)) = self.origin {
            put(128, &log_id.0);
            put(144, &lsn.get().to_le_bytes());
        }
        put(152, &self.pad_to.to_le_bytes());
        put(156, &[self.maker.0, u8::from(self.blanks)]);
        put(160, &self.layers.encode());
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn sample() -> SegmentHeader {
        SegmentHeader {
            log_id: LogId(*b"0123456789abcdef"),
            generation: 3,
            first_lsn: Lsn::new(101),
            follows: Lsn::new(50),
            log_start: Lsn::new(7),
            created: Timestamp::from_micros(1_700_000_000_000_000),
            log_time: 12_345,
            codec: CodecId::JSON,
            layers: Layers::new(&[LayerId::STREAMS, LayerId(0x8000)]).unwrap(),
            data_offset: 4096,
            features: Features::default(),
            owner: Owner { epoch: 9, token: *b"fedcba9876543210" },
            maker: Maker::MOVED_END,
            moved_from: Some(2),
            origin: Some((LogId([5; 16]), Lsn::new(40))),
            pad_to: 512,
            blanks: true,
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
        assert_eq!([0, 1, 8, 100, 512].map(of), [512, 512, 512, 600, 512]);
        assert_eq!([4096, 1 << 20].map(of), [4096, 1 << 20]);
    }

    /// A version that is damaged reads as another one. Only that field may be told so.
    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = sample().encode();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            let error = SegmentHeader::decode(&bad, Lsn::new(101)).unwrap_err();
            let version = (64..72).contains(&bit) && bad[8] != 0;
            let kind = if version { ErrorKind::Unsupported } else { ErrorKind::Corrupt };
            assert_eq!(error.kind(), kind, "bit {bit}: {error}");
            let in_version = (64..80).contains(&bit);
            assert_eq!(SegmentHeader::has_damaged_version(&bad), in_version, "bit {bit}");
        }
    }

    /// Sets bytes and makes the checksum right.
    fn forged(at: usize, bytes: &[u8]) -> [u8; SEGMENT_HEADER_LEN] {
        let mut out = sample().encode();
        out[at..at + bytes.len()].copy_from_slice(bytes);
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn refused(bytes: &[u8]) -> (ErrorKind, Option<u64>) {
        let error = SegmentHeader::decode(bytes, Lsn::new(101)).unwrap_err();
        (error.kind(), error.offset())
    }

    #[test]
    fn other_versions_and_foreign_files_are_told_apart() {
        for version in [1, 3, 255] {
            let unsupported = (ErrorKind::Unsupported, Some(8));
            let forged = forged(8, &[version, 0]);
            assert_eq!(refused(&forged), unsupported);
            // Whatever is behind the version, and wherever that header has its checksum.
            assert_eq!(refused(&forged[..10]), unsupported);
            let mut elsewhere = [0x5a; 64];
            elsewhere[..10].copy_from_slice(&forged[..10]);
            assert_eq!(refused(&elsewhere), unsupported);
        }
        assert_eq!(refused(&forged(8, &[0, 0])), (ErrorKind::Corrupt, Some(8)));
        assert_eq!(refused(&forged(8, &[2, 1])), (ErrorKind::Corrupt, Some(8)));
        assert_eq!(refused(&[b'x'; 500]).0, ErrorKind::NotALog);
        assert_eq!(refused(&[]).0, ErrorKind::Corrupt);
        let error = SegmentHeader::decode(&forged(8, &[1, 0])[..275], Lsn::new(101)).unwrap_err();
        assert!(error.detail().contains("before the first release"), "{error}");
    }

    #[test]
    fn what_only_a_newer_build_knows_is_unsupported_or_left_to_the_reader() {
        assert_eq!(refused(&forged(76, &[1])), (ErrorKind::Unsupported, Some(76)));
        for at in [157, 158, 176, 507] {
            assert_eq!(refused(&forged(at, &[2])), (ErrorKind::Unsupported, Some(at as u64)));
        }
        assert_eq!(refused(&forged(10, &[2])), (ErrorKind::Unsupported, Some(10)));
        for (at, read_only, compatible) in [(80, 1, 0), (84, 0, 1)] {
            // What belongs to such a feature may stand in reserved bytes.
            let mut bytes = forged(at, &[1]);
            bytes[300] = 7;
            let crc = crc32c::crc32c(&bytes[..CRC_AT]);
            bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
            let header = SegmentHeader::decode(&bytes, Lsn::new(101)).unwrap();
            let unknown = header.features.unknown();
            assert_eq!((unknown.read_only, unknown.compatible), (read_only, compatible));
            // Written again, it no longer speaks of what is not there any more.
            let again = SegmentHeader::decode(&header.encode(), Lsn::new(101)).unwrap();
            assert_eq!(again.features.unknown().compatible, 0);
        }
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
        let told: [Told; 15] = [
            (|h| h.data_offset = 511, 12, "data offset", "511".into()),
            (|h| h.data_offset = (1 << 20) + 1, 12, "data offset", "1048577".into()),
            (|h| h.generation = 0, 32, "generation", "0".into()),
            (|h| h.pad_to = 0, 152, "multiples", "0".into()),
            (|h| h.generation = u64::MAX / 2, 32, "generation", large.to_string()),
            (|h| h.generation = u64::MAX, 32, "generation", u64::MAX.to_string()),
            (|h| h.first_lsn = Lsn::new(u64::MAX / 2), 40, "first LSN", large.to_string()),
            (|h| h.follows = Lsn::new(101), 48, "follows", "101".into()),
            (|h| h.follows = Lsn::new(777), 48, "follows", "777".into()),
            (|h| h.log_start = Lsn::new(102), 56, "log start", "102".into()),
            (|h| h.log_start = Lsn::ZERO, 56, "log start", "0".into()),
            (|h| h.moved_from = Some(3), 96, "moved from", "3".into()),
            (|h| h.origin = Some((LogId([0; 16]), Lsn::new(40))), 144, "record", "40".into()),
            (|h| h.maker = Maker(0), 156, "nobody", "made".into()),
            (|h| h.layers = layers::tests::unsound(), 160, "layer", "sense".into()),
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
