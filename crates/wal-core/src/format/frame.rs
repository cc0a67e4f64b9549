//! Frames: one append or one batch each, whole or absent after a crash.

use bytes::Bytes;

use super::crc::{append_crc, crc_in_front_of, number_between};
use super::records::{Records, RecordsIn, batch};
use super::{LogId, Owner, u32_at, u64_at};
use crate::{Error, ErrorKind, Lsn, Result, Timestamp};

/// Length of a frame's fixed header, and all the overhead of a batch of one.
pub const FRAME_HEADER_LEN: usize = 24;
/// A batch frame's extra header field: the number of records.
pub const BATCH_COUNT_LEN: usize = 4;
/// [`FrameHeader::durable_lag`] of a frame that knows no durable position it could express.
pub const UNKNOWN_LAG: u32 = u32::MAX;

/// The bytes that a frame of `records` records adds to the records themselves.
///
/// ```
/// use wal_core::format::record_overhead;
/// assert_eq!(record_overhead(1), 24);
/// assert_eq!(record_overhead(1000), 24 + 4 * 1000);
/// ```
#[must_use]
pub const fn record_overhead(records: u64) -> u64 {
    if records <= 1 { FRAME_HEADER_LEN as u64 } else { FRAME_HEADER_LEN as u64 + 4 * records }
}

/// What a frame holds. A registry: numbers are never reused.
///
/// 1 to 127 are given out by this project, 128 to 255 belong to applications. A kind that a build
/// does not know is an error, never skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum FrameKind {
    /// Records.
    Data = 1,
    /// The footer of a sealed segment.
    Footer = 7,
    /// No records, but space up to where a write shall end.
    Padding = 8,
}

impl FrameKind {
    /// The kind of a number, if this build knows it.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => FrameKind::Data,
            7 => FrameKind::Footer,
            8 => FrameKind::Padding,
            _ => return None,
        })
    }
}

/// Flag bits of a frame. A registry like [`FrameKind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// The frame holds a count and a table of lengths: an atomic batch.
    pub const BATCH: Flags = Flags(0x01);
    /// Reserved: the records are compressed.
    pub const COMPRESSED: Flags = Flags(0x08);
    /// Reserved: the records are encrypted.
    pub const ENCRYPTED: Flags = Flags(0x10);
    /// Belongs to applications.
    pub const APPLICATION: Flags = Flags(0x80);

    /// The flags that this build understands.
    const KNOWN: u8 = Flags::BATCH.0;

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What the identity of a segment contributes to the checksums of its frames.
///
/// The checksum of log id, the owner's token and generation is appended to the bytes of each frame before the
/// frame's own checksum is taken. Frames of another log, of another owner, or of an earlier life of a recycled
/// segment, never validate: for two generations of one owner that is certain (a CRC tells apart any two
/// messages that differ within 32 bits), otherwise it holds with a probability of 1 - 2^-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt([u8; 4]);

impl Salt {
    /// The salt of one segment; [`SegmentHeader::salt`](super::SegmentHeader::salt) has it.
    #[must_use]
    pub fn new(log_id: LogId, owner: Owner, generation: u64) -> Self {
        let crc = crc32c::crc32c_append(crc32c::crc32c(&log_id.0), &owner.token);
        Salt(crc32c::crc32c_append(crc, &generation.to_le_bytes()).to_le_bytes())
    }

    /// The only salt with which these bytes are a valid frame: its header, and the CRC-32C of its body. For who has lost
    /// the header of a segment. Any bytes have such a salt, so it says nothing before another frame has the same.
    ///
    /// ```
    /// # use wal_core::format::{FrameHeader, Flags, LogId, Owner, Salt};
    /// let salt = Salt::new(LogId([7; 16]), Owner::default(), 9);
    /// let header = FrameHeader {
    ///     crc: 0, body_len: 5, lsn_delta: 3, durable_lag: 0, time_delta: 1, kind: 1, flags: Flags::default(),
    /// };
    /// let head = header.seal(0x9a71bb4c, salt);
    /// assert_eq!(Salt::of_frame(&head, 0x9a71bb4c), salt);
    /// ```
    #[must_use]
    pub fn of_frame(header: &[u8], body_crc: u32) -> Salt {
        let fields = crc32c::crc32c_append(body_crc, &header[4..FRAME_HEADER_LEN]);
        Salt(number_between(fields, u32_at(header, 0)).to_le_bytes())
    }

    /// An owner's token by which a segment of this log and generation has this salt: 12 zeros, and the 4 bytes that do
    /// it. For who makes a new header for frames that shall stay as they are.
    #[must_use]
    pub fn token(self, log_id: LogId, generation: u64) -> [u8; 16] {
        let mut token = [0; 16];
        let in_front = crc32c::crc32c_append(crc32c::crc32c(&log_id.0), &token[..12]);
        let behind = crc_in_front_of(u32::from_le_bytes(self.0), &generation.to_le_bytes());
        token[12..].copy_from_slice(&number_between(in_front, behind).to_le_bytes());
        token
    }
}

/// The fixed header of a frame.
///
/// The checksum is taken over body, header and salt, in this order, so that an appender can compute
/// the costly part (the body's) before it knows its LSN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// CRC-32C of body, bytes 4 to 24 of this header, and salt.
    pub crc: u32,
    /// Bytes that follow this header.
    pub body_len: u32,
    /// LSN of the first record, counted from the segment's first LSN. In a footer and in padding: of the
    /// next record.
    pub lsn_delta: u32,
    /// `first LSN - 1 - durable_upto`, or [`UNKNOWN_LAG`].
    pub durable_lag: u32,
    /// The time of day, in microseconds from the one at which the segment was created; negative if the clock was set
    /// back since. 48 bits.
    pub time_delta: i64,
    /// A [`FrameKind`], as a number.
    pub kind: u8,
    /// [`Flags`].
    pub flags: Flags,
}

impl FrameHeader {
    /// The latest time a frame can carry, relative to its segment's creation: 4.4 years.
    pub const TIME_DELTA_MAX: i64 = (1 << 47) - 1;
    /// The earliest one.
    pub const TIME_DELTA_MIN: i64 = -(1 << 47);

    /// Sets the checksum for a body whose own CRC-32C is `body_crc`, and encodes the header.
    #[must_use]
    pub fn seal(mut self, body_crc: u32, salt: Salt) -> [u8; FRAME_HEADER_LEN] {
        let mut out = [0; FRAME_HEADER_LEN];
        out[4..8].copy_from_slice(&self.body_len.to_le_bytes());
        out[8..12].copy_from_slice(&self.lsn_delta.to_le_bytes());
        out[12..16].copy_from_slice(&self.durable_lag.to_le_bytes());
        out[16..22].copy_from_slice(&self.time_delta.to_le_bytes()[..6]);
        out[22] = self.kind;
        out[23] = self.flags.0;
        self.crc = finish_crc(body_crc, &out, salt);
        out[..4].copy_from_slice(&self.crc.to_le_bytes());
        out
    }

    /// Takes the fields from at least [`FRAME_HEADER_LEN`] bytes, without judging them.
    #[must_use]
    #[inline]
    pub fn decode(bytes: &[u8]) -> Self {
        let last = u64_at(bytes, 16);
        FrameHeader {
            crc: u32_at(bytes, 0),
            body_len: u32_at(bytes, 4),
            lsn_delta: u32_at(bytes, 8),
            durable_lag: u32_at(bytes, 12),
            // The lower 48 bits with their sign.
            time_delta: ((last << 16) as i64) >> 16,
            kind: (last >> 48) as u8,
            flags: Flags((last >> 56) as u8),
        }
    }

    /// The checksum that `header` should carry, for a body whose own CRC-32C is `body_crc`.
    #[must_use]
    #[inline]
    pub fn expected_crc(header: &[u8], body_crc: u32, salt: Salt) -> u32 {
        finish_crc(body_crc, header, salt)
    }

    /// Length of the whole frame in bytes.
    #[must_use]
    #[inline]
    pub const fn frame_len(&self) -> u64 {
        FRAME_HEADER_LEN as u64 + self.body_len as u64
    }

    /// LSN of the first record (in a footer and in padding: of the next record) in a segment that starts at
    /// `first_lsn`.
    #[must_use]
    pub const fn lsn(&self, first_lsn: Lsn) -> Lsn {
        first_lsn.advance(self.lsn_delta as u64)
    }

    /// The last LSN known to be durable when the frame was written; `ZERO` if unknown.
    #[must_use]
    pub const fn durable_upto(&self, first_lsn: Lsn) -> Lsn {
        if self.durable_lag == UNKNOWN_LAG {
            return Lsn::ZERO;
        }
        let before = self.lsn(first_lsn).get().saturating_sub(1);
        Lsn::new(before.saturating_sub(self.durable_lag as u64))
    }

    /// When the frame was appended.
    #[must_use]
    pub const fn timestamp(&self, created: Timestamp) -> Timestamp {
        created.saturating_add_micros(self.time_delta)
    }

    /// The records of a data frame whose checksum is right; none of padding.
    ///
    /// # Errors
    /// `Unsupported` for a kind or flag this build does not know, `Corrupt` if the table of lengths
    /// contradicts itself. Both say why, not where; the caller adds the place.
    pub fn records(&self, body: Bytes) -> Result<Records> {
        let (count, first) = self.layout(&body)?;
        Ok(Records::new(body, count, first))
    }

    /// The same, of a body that is lent.
    ///
    /// # Errors
    /// As of [`records`](Self::records).
    #[inline]
    pub fn records_in<'a>(&self, body: &'a [u8]) -> Result<RecordsIn<'a>> {
        let (count, first) = self.layout(body)?;
        Ok(RecordsIn::new(body, count, first))
    }

    /// The number of records, and where the first one begins; checks the lengths of all.
    #[inline]
    fn layout(&self, body: &[u8]) -> Result<(u32, usize)> {
        if self.kind == FrameKind::Data as u8 && self.flags.0 & Flags::KNOWN == self.flags.0 {
            return if self.flags.contains(Flags::BATCH) { batch(body) } else { Ok((1, 0)) };
        }
        self.layout_of_other()
    }

    /// The same of a frame that is none of plain data.
    #[cold]
    fn layout_of_other(&self) -> Result<(u32, usize)> {
        if self.kind == FrameKind::Padding as u8 && self.flags == Flags::default() {
            return Ok((0, 0));
        }
        Err(self.unsupported())
    }

    fn unsupported(&self) -> Error {
        let detail = match FrameKind::from_number(self.kind) {
            Some(FrameKind::Data | FrameKind::Padding) => {
                format!("frame flags {:#04x} are unknown here", self.flags.0)
            }
            _ => format!("frame kind {} is unknown here", self.kind),
        };
        Error::new(ErrorKind::Unsupported, "read frame").with_detail(detail)
    }

    /// How many records a data frame holds, given the first bytes of its body.
    #[must_use]
    pub fn record_count(&self, body: &[u8]) -> u32 {
        if self.kind != FrameKind::Data as u8 {
            0
        } else if self.flags.contains(Flags::BATCH) && body.len() >= BATCH_COUNT_LEN {
            u32_at(body, 0)
        } else {
            1
        }
    }
}

#[inline]
fn finish_crc(body_crc: u32, header: &[u8], salt: Salt) -> u32 {
    let salt = u64::from(u32::from_le_bytes(salt.0));
    let last = u64::from(u32_at(header, 20)) | salt << 32;
    append_crc(body_crc, [u64_at(header, 4), u64_at(header, 12), last])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(body_len: u32, flags: Flags) -> FrameHeader {
        FrameHeader {
            crc: 0,
            body_len,
            lsn_delta: 5,
            durable_lag: 2,
            time_delta: 77,
            kind: FrameKind::Data as u8,
            flags,
        }
    }

    #[test]
    fn header_comes_back_and_places_its_records() {
        let salt = Salt::new(LogId([1; 16]), Owner::default(), 9);
        let bytes = header(3, Flags::default()).seal(crc32c::crc32c(b"abc"), salt);
        let back = FrameHeader::decode(&bytes);
        assert_eq!(back.crc, FrameHeader::expected_crc(&bytes, crc32c::crc32c(b"abc"), salt));
        assert_eq!(back.lsn(Lsn::new(100)), Lsn::new(105));
        assert_eq!(back.durable_upto(Lsn::new(100)), Lsn::new(102));
        assert_eq!(back.timestamp(Timestamp::from_micros(23)), Timestamp::from_micros(100));
    }

    #[test]
    fn a_token_can_be_found_for_every_salt() {
        for n in 0..200_u8 {
            let owner = Owner { epoch: 3, token: [n; 16] };
            let salt = Salt::new(LogId([n ^ 7; 16]), owner, u64::from(n) << 9);
            let sealed = header(3, Flags::default()).seal(crc32c::crc32c(b"abc"), salt);
            assert_eq!(Salt::of_frame(&sealed, crc32c::crc32c(b"abc")), salt);
            let (log_id, generation) = (LogId([n; 16]), u64::from(n) + 5);
            let fitted = Owner { epoch: 0, token: salt.token(log_id, generation) };
            assert_eq!(Salt::new(log_id, fitted, generation), salt);
        }
    }

    #[test]
    fn times_before_the_segment_come_back() {
        let salt = Salt::new(LogId([1; 16]), Owner::default(), 9);
        let created = Timestamp::from_micros(1 << 60);
        for delta in [0, -1, 1, FrameHeader::TIME_DELTA_MIN, FrameHeader::TIME_DELTA_MAX] {
            let header = FrameHeader { time_delta: delta, ..header(0, Flags::BATCH) };
            let back = FrameHeader::decode(&header.seal(0, salt));
            let fields = (back.time_delta, back.kind, back.flags);
            assert_eq!(fields, (delta, FrameKind::Data as u8, Flags::BATCH));
            assert_eq!(
                back.timestamp(created).as_micros(),
                (1_u64 << 60).wrapping_add_signed(delta)
            );
        }
    }

    #[test]
    fn another_log_another_generation_and_zeros_do_not_validate() {
        let bytes = header(3, Flags::default())
            .seal(crc32c::crc32c(b"abc"), Salt::new(LogId([1; 16]), Owner::default(), 9));
        let crc = FrameHeader::decode(&bytes).crc;
        let other = Owner { epoch: 0, token: [1; 16] };
        for salt in [
            Salt::new(LogId([1; 16]), Owner::default(), 10),
            Salt::new(LogId([2; 16]), Owner::default(), 9),
            Salt::new(LogId([1; 16]), other, 9),
        ] {
            assert_ne!(crc, FrameHeader::expected_crc(&bytes, crc32c::crc32c(b"abc"), salt));
        }
        assert!(FrameKind::from_number(FrameHeader::decode(&[0; FRAME_HEADER_LEN]).kind).is_none());
    }

    #[test]
    fn contradictory_batches_are_refused() {
        let batch = |body: &'static [u8]| {
            header(body.len() as u32, Flags::BATCH)
                .records(Bytes::from_static(body))
                .map(|r| r.collect::<Vec<_>>())
        };
        assert_eq!(batch(&[2, 0, 0, 0, 1, 0, 0, 0, b'a', b'b', b'c']).unwrap(), [&b"a"[..], b"bc"]);
        for bad in [
            &[][..],
            &[0; 4],
            &[3, 0, 0, 0, 0, 0, 0, 0],
            &[255, 255, 255, 255],
            &[2, 0, 0, 0, 9, 0, 0, 0],
        ] {
            assert_eq!(batch(bad).unwrap_err().kind(), ErrorKind::Corrupt, "{bad:?}");
        }
    }
}
