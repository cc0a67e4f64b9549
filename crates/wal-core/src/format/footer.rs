//! The footer of a sealed segment: proof that every byte before it was durable, and an index.

use bytes::{BufMut, Bytes, BytesMut};

use super::crc::append_crc_u32;
use super::{FRAME_HEADER_LEN, Flags, FrameHeader, FrameKind, Salt, SegmentHeader, u32_at, u64_at};
use crate::{Error, ErrorKind, Lsn, Result, Timestamp};

/// The last bytes of a sealed segment: length of the footer frame (u32), then the eight bytes `WALSEAL\n`.
pub const FOOTER_TRAILER_LEN: usize = 12;
const MAGIC: [u8; 8] = *b"WALSEAL\n";
const FIXED_LEN: usize = 72;

/// Where a frame begins: a sparse index has one entry for some 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// LSN of the frame's first record, counted from the segment's first LSN.
    pub lsn_delta: u32,
    /// Offset of the frame in the segment.
    pub offset: u32,
}

/// What is known of a segment's frames, gathered while they are written or scanned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Records.
    pub records: u32,
    /// Frames, padding included.
    pub frames: u32,
    /// Offset behind the last frame; 0 before the first frame was added.
    pub data_end: u64,
    /// CRC-32C of the checksums of all frames in order: it covers every byte through them.
    pub chain_crc: u32,
    /// Time of the last frame with a record, from the creation of the segment, in microseconds. As the clock may be set
    /// back, it need not be the latest.
    pub last_time: i64,
    /// The earliest time of a frame with a record.
    pub min_time: i64,
    /// The latest one.
    pub max_time: i64,
    /// Sparse, ascending.
    pub index: Vec<IndexEntry>,
}

impl SegmentSummary {
    /// Distance in bytes between two index entries.
    pub const INDEX_STEP: u64 = 64 * 1024;

    /// Takes account of the next frame, which starts at `offset` and holds `records` records. Only a frame
    /// that holds some is an entry of the index.
    pub fn add(&mut self, header: &FrameHeader, records: u32, offset: u64) {
        let indexed_upto = self.index.last().map(|e| u64::from(e.offset));
        if records > 0 && indexed_upto.is_none_or(|last| offset >= last + Self::INDEX_STEP) {
            let offset = u32::try_from(offset).expect("segments are bounded below 4 GiB");
            self.index.push(IndexEntry { lsn_delta: header.lsn_delta, offset });
        }
        if records > 0 {
            let (min, max) = match self.records {
                0 => (header.time_delta, header.time_delta),
                _ => (self.min_time, self.max_time),
            };
            self.last_time = header.time_delta;
            self.min_time = min.min(header.time_delta);
            self.max_time = max.max(header.time_delta);
        }
        self.records += records;
        self.frames += 1;
        self.data_end = offset + header.frame_len();
        self.chain_crc = append_crc_u32(self.chain_crc, header.crc);
    }

    /// The offset of an indexed frame at or before the record `lsn_delta`, or `None` if there is none.
    #[must_use]
    pub fn seek(&self, lsn_delta: u32) -> Option<IndexEntry> {
        let after = self.index.partition_point(|entry| entry.lsn_delta <= lsn_delta);
        after.checked_sub(1).map(|at| self.index[at])
    }
}

/// Why a segment has its footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[expect(clippy::exhaustive_enums, reason = "a value of the format")]
pub enum Ending {
    /// Another segment was begun behind it.
    Rotated,
    /// The log was closed.
    Closed,
    /// A recovery found it without one, or made it.
    Recovered,
}

/// A decoded footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    /// What the segment holds.
    pub summary: SegmentSummary,
    /// Why it is there.
    pub ending: Ending,
    /// The log clock when it was made.
    pub log_time: u64,
    /// The time of day then.
    pub time: Timestamp,
}

impl Footer {
    /// A footer that says nothing of when it was made.
    #[must_use]
    pub const fn new(summary: SegmentSummary, ending: Ending) -> Self {
        Footer { summary, ending, log_time: 0, time: Timestamp::EPOCH }
    }

    /// The ending of a log that was closed.
    const CLOSED: u32 = 1;
    /// The ending that a recovery made.
    const RECOVERED: u32 = 2;
    /// The bytes of a footer frame apart from its index.
    const BARE_LEN: u64 = (FRAME_HEADER_LEN + FIXED_LEN + FOOTER_TRAILER_LEN) as u64;

    /// Whether a footer frame in a segment of `segment_len` bytes can be so long. It bounds what a reader allocates.
    #[must_use]
    pub const fn may_have_len(frame_len: u64, segment_len: u64) -> bool {
        let entries = segment_len / SegmentSummary::INDEX_STEP + 1;
        frame_len >= Self::BARE_LEN
            && frame_len <= Self::BARE_LEN + 8 * entries
            && (frame_len - Self::BARE_LEN).is_multiple_of(8)
    }

    /// The footer as the frame that follows the last data frame.
    #[must_use]
    pub fn encode(&self, salt: Salt) -> Bytes {
        let s = &self.summary;
        let body_len = FIXED_LEN + 8 * s.index.len() + FOOTER_TRAILER_LEN;
        let mut out = BytesMut::with_capacity(FRAME_HEADER_LEN + body_len);
        out.put_bytes(0, FRAME_HEADER_LEN);
        out.put_u32_le(s.records);
        out.put_u32_le(s.frames);
        out.put_u64_le(s.data_end);
        out.put_u32_le(s.chain_crc);
        out.put_u32_le(match self.ending {
            Ending::Rotated => 0,
            Ending::Closed => Self::CLOSED,
            Ending::Recovered => Self::RECOVERED,
        });
        out.put_u64_le(self.log_time);
        out.put_u64_le(self.time.as_micros());
        out.put_i64_le(s.last_time);
        out.put_i64_le(s.min_time);
        out.put_i64_le(s.max_time);
        out.put_u32_le(0);
        out.put_u32_le(u32::try_from(s.index.len()).expect("an entry for 64 KiB of 4 GiB"));
        for entry in &s.index {
            out.put_u32_le(entry.lsn_delta);
            out.put_u32_le(entry.offset);
        }
        let frame_len = u32::try_from(FRAME_HEADER_LEN + body_len).expect("an index is small");
        out.put_u32_le(frame_len);
        out.put_slice(&MAGIC);
        let header = FrameHeader {
            crc: 0,
            body_len: frame_len - FRAME_HEADER_LEN as u32,
            lsn_delta: s.records,
            durable_lag: 0,
            time_delta: s.last_time,
            kind: FrameKind::Footer as u8,
            flags: Flags::default(),
        };
        let sealed = header.seal(crc32c::crc32c(&out[FRAME_HEADER_LEN..]), salt);
        out[..FRAME_HEADER_LEN].copy_from_slice(&sealed);
        out.freeze()
    }

    /// The length of the footer frame, if `last_bytes` are the end of a sealed segment.
    #[must_use]
    pub fn frame_len(last_bytes: &[u8]) -> Option<u32> {
        let at = last_bytes.len().checked_sub(FOOTER_TRAILER_LEN)?;
        (last_bytes[at + 4..] == MAGIC).then(|| u32_at(last_bytes, at))
    }

    /// Reads the body of a footer frame that begins at `offset` and whose checksum is right.
    ///
    /// # Errors
    /// `Unsupported` if it says what only a newer build knows; `Corrupt` if it contradicts itself or its place.
    pub fn decode(
        frame: &FrameHeader,
        body: &[u8],
        offset: u64,
        segment: &SegmentHeader,
    ) -> Result<Self> {
        let fail = |detail: String| {
            Err(Error::new(ErrorKind::Corrupt, "read footer")
                .with_segment(segment.first_lsn)
                .with_offset(offset)
                .with_detail(detail))
        };
        if body.len() < FIXED_LEN + FOOTER_TRAILER_LEN {
            return fail(format!("{} bytes are too few", body.len()));
        }
        let entries = u32_at(body, 68) as usize;
        if entries.checked_mul(8) != Some(body.len() - FIXED_LEN - FOOTER_TRAILER_LEN) {
            return fail(format!("{entries} index entries in {} bytes", body.len()));
        }
        let index: Vec<_> = body[FIXED_LEN..FIXED_LEN + 8 * entries]
            .chunks_exact(8)
            .map(|e| IndexEntry { lsn_delta: u32_at(e, 0), offset: u32_at(e, 4) })
            .collect();
        let summary = SegmentSummary {
            records: u32_at(body, 0),
            frames: u32_at(body, 4),
            data_end: u64_at(body, 8),
            chain_crc: u32_at(body, 16),
            last_time: u64_at(body, 40) as i64,
            min_time: u64_at(body, 48) as i64,
            max_time: u64_at(body, 56) as i64,
            index,
        };
        if let Some(detail) = contradiction(&summary, frame, offset, segment) {
            return fail(detail);
        }
        let unsupported = |detail| {
            Err(Error::new(ErrorKind::Unsupported, "read footer")
                .with_segment(segment.first_lsn)
                .with_offset(offset)
                .with_detail(detail))
        };
        let ending = match u32_at(body, 20) {
            0 => Ending::Rotated,
            Self::CLOSED => Ending::Closed,
            Self::RECOVERED => Ending::Recovered,
            ending => {
                return unsupported(format!("the ending {ending} of a segment is unknown here"));
            }
        };
        if u32_at(body, 64) != 0 {
            return unsupported("a reserved byte of a footer is in use".into());
        }
        let (log_time, time) = (u64_at(body, 24), Timestamp::from_micros(u64_at(body, 32)));
        Ok(Footer { summary, ending, log_time, time })
    }

    /// The segment's last record; the LSN before `first_lsn` if it holds none.
    #[must_use]
    pub fn last_lsn(&self, first_lsn: Lsn) -> Lsn {
        first_lsn.advance(u64::from(self.summary.records)).prev()
    }

    /// The time of the segment's last record.
    #[must_use]
    pub fn last_time(&self, created: Timestamp) -> Timestamp {
        created.saturating_add_micros(self.summary.last_time)
    }
}

/// What in a footer cannot be right although the checksum is.
fn contradiction(
    summary: &SegmentSummary,
    frame: &FrameHeader,
    offset: u64,
    segment: &SegmentHeader,
) -> Option<String> {
    let SegmentSummary { records, frames, data_end, index, .. } = summary;
    if *data_end != offset {
        return Some(format!("the footer says it begins at {data_end}, it begins at {offset}"));
    }
    if frame.lsn_delta != *records {
        let delta = frame.lsn_delta;
        return Some(format!("the footer says {records} records, its LSN delta is {delta}"));
    }
    // A frame holds at least one record, and there is no more than one padding behind each.
    if u64::from(*frames) > 2 * u64::from(*records) || (*frames == 0) != (*records == 0) {
        return Some(format!("the footer says {records} records in {frames} frames"));
    }
    let SegmentSummary { last_time, min_time, max_time, .. } = summary;
    if frame.time_delta != *last_time || !(min_time..=max_time).contains(&last_time) {
        return Some(format!(
            "the footer says times from {min_time} to {max_time}, and {last_time}"
        ));
    }
    let mut before: Option<&IndexEntry> = None;
    for (at, entry) in index.iter().enumerate() {
        let IndexEntry { lsn_delta, offset: place } = *entry;
        let ascends = before.is_none_or(|b| b.lsn_delta < lsn_delta && b.offset < place);
        let inside = place >= segment.data_offset && u64::from(place) < offset;
        if !ascends || !inside || lsn_delta >= *records {
            return Some(format!(
                "index entry {at} says LSN delta {lsn_delta} at offset {place}; the frames hold \
                 {records} records from offset {} to {offset}, and entries ascend",
                segment.data_offset
            ));
        }
        before = Some(entry);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::LogId;

    #[test]
    fn comes_back_and_finds_frames() {
        let mut segment = SegmentHeader::new(LogId([3; 16]), 1, Lsn::new(11));
        segment.created = Timestamp::from_micros(5);
        let salt = segment.salt();
        let mut summary = SegmentSummary::default();
        let mut offset = 512;
        for i in 0..40 {
            let frame = FrameHeader {
                crc: i,
                body_len: 10_000,
                lsn_delta: i,
                durable_lag: 0,
                time_delta: 7 - i64::from(i),
                kind: FrameKind::Data as u8,
                flags: Flags::default(),
            };
            summary.add(&frame, 1, offset);
            offset += frame.frame_len();
        }
        assert_eq!(summary.index.len(), 6);
        assert_eq!(summary.seek(39).unwrap().lsn_delta, 35);
        assert_eq!((summary.last_time, summary.min_time, summary.max_time), (-32, -32, 7));
        let footer = Footer {
            summary,
            ending: Ending::Closed,
            log_time: 99,
            time: Timestamp::from_micros(88),
        };
        let bytes = footer.encode(salt);
        assert_eq!(Footer::frame_len(&bytes), Some(bytes.len() as u32));
        let frame = FrameHeader::decode(&bytes);
        let back = Footer::decode(&frame, &bytes[FRAME_HEADER_LEN..], offset, &segment).unwrap();
        assert_eq!(back, footer);
        assert_eq!(back.last_lsn(segment.first_lsn), Lsn::new(50));
        let body = &bytes[FRAME_HEADER_LEN..];
        let told = |frame: &FrameHeader, body: &[u8], offset, what: &str| {
            let error = Footer::decode(frame, body, offset, &segment).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            let text = error.detail();
            assert!(text.contains(what) && !text.contains('{'), "{text}");
        };
        told(&frame, body, offset + 1, "begins at");
        told(
            &FrameHeader { lsn_delta: 41, ..frame },
            body,
            offset,
            "40 records, its LSN delta is 41",
        );
        for (at, value, what) in [
            (0, 39, "says 39 records"),
            (4, 81, "40 records in 81 frames"),
            (4, 0, "40 records in 0 frames"),
            (80, 0, "index entry 1 says LSN delta 0"),
            (76, 511, "index entry 0 says LSN delta 0 at offset 511"),
            (40, 3, "the footer says times from -32 to 7"),
        ] {
            let mut bad = body.to_vec();
            bad[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
            told(&frame, &bad, offset, what);
        }
    }
}
