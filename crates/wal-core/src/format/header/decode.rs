//! Reading a header: what it says, and what in it cannot be right.

use super::{
    CRC_AT, FORMAT_VERSION, Features, Layers, MAX_DATA_OFFSET, Maker, SEGMENT_HEADER_LEN,
    SEGMENT_MAGIC, SegmentHeader,
};
use crate::format::identity::{LogId, Owner};
use crate::format::{array, u16_at, u32_at, u64_at};
use crate::{CodecId, Error, ErrorKind, Lsn, Result, Timestamp};

/// No count gets this far; below it, sums of a few counts cannot overflow.
const IMPLAUSIBLE: u64 = u64::MAX / 2;
/// The magic and the version: what every version has in the same place.
const VERSION_END: usize = 10;

/// Why a header is refused: its kind, the offset, the words.
type Refusal = (ErrorKind, usize, String);

impl SegmentHeader {
    /// Reads a header from the first bytes of the segment called `name`.
    ///
    /// Features that only a reader may do without are left to the caller: see [`Features::unknown`].
    ///
    /// # Errors
    /// `NotALog` without the magic, `Unsupported` for another format version or for what only a newer build knows,
    /// `Corrupt` otherwise. The version is looked at before anything else behind the magic, as nothing else is promised
    /// to be where it is in another version.
    pub fn decode(bytes: &[u8], name: Lsn) -> Result<Self> {
        let header = magic(bytes)
            .and_then(|()| version(bytes))
            .and_then(|()| whole(bytes))
            .and_then(|()| features(bytes))
            .map(|()| Self::fields(bytes))
            .and_then(|header| match header.contradiction(name).or_else(|| odd(bytes)) {
                Some((at, detail)) => Err((ErrorKind::Corrupt, at, detail)),
                None => Ok(header),
            });
        header.map_err(|(kind, offset, detail)| {
            Error::new(kind, "read segment header")
                .with_segment(name)
                .with_offset(offset as u64)
                .with_detail(detail)
        })
    }

    /// Whether these bytes are a header of this build's version whose version field alone is wrong: then it is
    /// damaged, and not of another version.
    #[must_use]
    pub fn has_damaged_version(bytes: &[u8]) -> bool {
        if bytes.len() < SEGMENT_HEADER_LEN || u16_at(bytes, 8) == FORMAT_VERSION {
            return false;
        }
        let mut corrected = bytes[..CRC_AT].to_vec();
        corrected[8..VERSION_END].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        crc32c::crc32c(&corrected) == u32_at(bytes, CRC_AT)
    }

    /// The generation of the segment called `name`, given its first bytes; `None` if its header is damaged, so that
    /// nobody can tell.
    ///
    /// # Errors
    /// `Unsupported` for a header that only another build can read. It is not damaged, and the segment may be sound.
    pub fn generation_of(bytes: &[u8], name: Lsn) -> Result<Option<u64>> {
        match Self::decode(bytes, name) {
            Ok(header) => Ok(Some(header.generation)),
            Err(error)
                if error.kind() == ErrorKind::Unsupported && !Self::has_damaged_version(bytes) =>
            {
                Err(error)
            }
            Err(_) => Ok(None),
        }
    }

    fn fields(bytes: &[u8]) -> Self {
        let moved_from = u64_at(bytes, 96);
        let origin: [u8; 16] = array(bytes, 128);
        SegmentHeader {
            data_offset: u32_at(bytes, 12),
            log_id: LogId(array(bytes, 16)),
            generation: u64_at(bytes, 32),
            first_lsn: Lsn::new(u64_at(bytes, 40)),
            follows: Lsn::new(u64_at(bytes, 48)),
            log_start: Lsn::new(u64_at(bytes, 56)),
            created: Timestamp::from_micros(u64_at(bytes, 64)),
            codec: CodecId(u32_at(bytes, 72)),
            features: features_of(bytes),
            log_time: u64_at(bytes, 88),
            moved_from: (moved_from > 0).then_some(moved_from),
            owner: Owner { epoch: u64_at(bytes, 104), token: array(bytes, 112) },
            origin: (origin != [0; 16]).then(|| (LogId(origin), Lsn::new(u64_at(bytes, 144)))),
            pad_to: u32_at(bytes, 152),
            maker: Maker(bytes[156]),
            blanks: bytes[157] & 1 != 0,
            layers: Layers::decode(array(bytes, 160)),
        }
    }

    /// The first field that cannot be right although the checksum is: its offset, and why.
    fn contradiction(&self, name: Lsn) -> Option<(usize, String)> {
        let SegmentHeader { data_offset, generation, follows, log_start, .. } = *self;
        let (first, least) = (self.first_lsn, SEGMENT_HEADER_LEN);
        let bounds = SEGMENT_HEADER_LEN as u32..=MAX_DATA_OFFSET;
        let moved_from = self.moved_from.unwrap_or(0);
        let (at, detail) = if first != name {
            (40, format!("first LSN {first}, but the segment is named {name}"))
        } else if !bounds.contains(&data_offset) {
            (12, format!("data offset {data_offset}, allowed are {least} to {MAX_DATA_OFFSET}"))
        } else if !(1..IMPLAUSIBLE).contains(&generation) {
            (32, format!("generation {generation}, allowed are 1 to {}", IMPLAUSIBLE - 1))
        } else if first.get() >= IMPLAUSIBLE {
            (40, format!("first LSN {first} is implausibly large"))
        } else if follows >= first {
            (48, format!("follows LSN {follows}, but the first LSN is {first}"))
        } else if log_start < Lsn::FIRST || log_start > first {
            (56, format!("log start {log_start}, allowed are 1 to the first LSN {first}"))
        } else if moved_from >= generation {
            (96, format!("moved from generation {moved_from}, but is of generation {generation}"))
        } else if self.pad_to == 0 {
            (152, "writes end at multiples of 0 bytes".into())
        } else if self.maker.0 == 0 {
            (156, "nobody made it".into())
        } else if !self.layers.is_sound() {
            (160, format!("the layers {} make no sense", self.layers))
        } else {
            return None;
        };
        Some((at, detail))
    }
}

/// What is in none of the fields, and cannot be right.
fn odd(bytes: &[u8]) -> Option<(usize, String)> {
    let header_len = u32::from(u16_at(bytes, 10)) * SEGMENT_HEADER_LEN as u32;
    let data_offset = u32_at(bytes, 12);
    if header_len == 0 || header_len > data_offset {
        let detail = format!("a header of {header_len} bytes, and data offset {data_offset}");
        return Some((10, detail));
    }
    let (log_id, lsn): ([u8; 16], u64) = (array(bytes, 128), u64_at(bytes, 144));
    (log_id == [0; 16] && lsn != 0).then(|| (144, format!("record {lsn} of no other log")))
}

fn magic(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() < VERSION_END {
        return Err(too_short(bytes));
    }
    if bytes[..8] == SEGMENT_MAGIC {
        return Ok(());
    }
    // One damaged byte in the magic of an otherwise whole header is rot, not a foreign file.
    let near = bytes[..8].iter().zip(&SEGMENT_MAGIC).filter(|(a, b)| a == b).count() >= 6;
    let kind = if near { ErrorKind::Corrupt } else { ErrorKind::NotALog };
    Err((kind, 0, format!("magic {:02x?}, expected {SEGMENT_MAGIC:02x?}", &bytes[..8])))
}

fn version(bytes: &[u8]) -> Result<(), Refusal> {
    let unsupported = |detail| Err((ErrorKind::Unsupported, 8, detail));
    match u16_at(bytes, 8) {
        FORMAT_VERSION => Ok(()),
        version @ (0 | 256..) => {
            Err((ErrorKind::Corrupt, 8, format!("format version {version}, which none has")))
        }
        version if SegmentHeader::has_damaged_version(bytes) => unsupported(format!(
            "format version {version}; everything else checks as version {FORMAT_VERSION}, so this field itself may be \
             damaged: a salvage mends it"
        )),
        1 => unsupported(format!(
            "format version 1, of a build before the first release; this build reads version {FORMAT_VERSION}, and \
             nothing converts it"
        )),
        version => unsupported(format!(
            "format version {version}; this build reads version {FORMAT_VERSION}"
        )),
    }
}

/// Whether all of it is there, as it was written.
fn whole(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() < SEGMENT_HEADER_LEN {
        return Err(too_short(bytes));
    }
    let (crc, computed) = (u32_at(bytes, CRC_AT), crc32c::crc32c(&bytes[..CRC_AT]));
    if crc == computed {
        return Ok(());
    }
    let detail = format!("header checksum {crc:#010x}, computed {computed:#010x}");
    Err((ErrorKind::Corrupt, CRC_AT, detail))
}

fn too_short(bytes: &[u8]) -> Refusal {
    let detail = format!("{} bytes, a header has {SEGMENT_HEADER_LEN}", bytes.len());
    (ErrorKind::Corrupt, bytes.len(), detail)
}

fn features_of(bytes: &[u8]) -> Features {
    Features {
        incompatible: u32_at(bytes, 76),
        read_only: u32_at(bytes, 80),
        compatible: u32_at(bytes, 84),
    }
}

/// Whether this build knows enough to read the segment.
fn features(bytes: &[u8]) -> Result<(), Refusal> {
    let unknown = features_of(bytes).unknown();
    let unsupported = |at, detail| Err((ErrorKind::Unsupported, at, detail));
    if unknown.incompatible != 0 {
        let bits = unknown.incompatible;
        return unsupported(76, format!("features {bits:#x}, which only a newer build can read"));
    }
    // They belong to features. Where there are none that this build does not know, nothing may be in them.
    let mut reserved = (10..12).chain(157..160).chain(176..CRC_AT);
    let in_use = |at: &usize| match *at {
        10 => bytes[10] != 1,
        157 => bytes[157] > 1,
        at => bytes[at] != 0,
    };
    match reserved.find(in_use).filter(|_| unknown.is_empty()) {
        Some(at) => unsupported(at, "a reserved header byte is in use".into()),
        None => Ok(()),
    }
}
