//! Frames of one segment, one after the other, each checked.

use std::sync::Arc;

use bytes::Bytes;

use crate::format::{FRAME_HEADER_LEN, FrameHeader, Salt, SegmentHeader};
use crate::{Result, Segment};

/// A frame whose checksum is right.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Where it begins, in bytes from the start of the segment.
    pub offset: u64,
    /// Its header.
    pub header: FrameHeader,
    /// Its body: a view into a larger buffer, which it keeps in memory.
    pub body: Bytes,
}

/// What stands at the present offset.
#[derive(Clone, Debug)]
pub enum FrameStep {
    /// A frame; the reader moved on behind it.
    Frame(Frame),
    /// A frame header of zeros, or fewer zeros up to the end: nothing was written here.
    Blank,
    /// The end.
    End,
    /// Bytes that are no frame of this segment.
    Bad {
        /// What is wrong, with numbers.
        reason: String,
    },
}

/// Reads the frames of one segment.
///
/// Memory is bounded: by `WINDOW` plus the largest valid frame. The length that a frame claims is
/// believed only after its checksum was verified.
pub struct FrameReader {
    segment: Arc<dyn Segment>,
    salt: Salt,
    window: Bytes,
    window_at: u64,
    offset: u64,
    end: u64,
    read_size: usize,
}

impl FrameReader {
    /// How much is read at once, in bytes, unless [`read_size`](Self::read_size) says otherwise.
    pub const WINDOW: usize = 1 << 20;

    /// Starts at `offset`, which must be the beginning of a frame, and does not look beyond `end`.
    #[must_use]
    pub fn new(segment: Arc<dyn Segment>, header: &SegmentHeader, offset: u64, end: u64) -> Self {
        FrameReader {
            segment,
            salt: Salt::new(header.log_id, header.generation),
            window: Bytes::new(),
            window_at: 0,
            offset,
            end,
            read_size: Self::WINDOW,
        }
    }

    /// Reads fewer bytes at once, for somebody who wants a frame or two.
    #[must_use]
    pub fn read_size(mut self, bytes: usize) -> Self {
        self.read_size = bytes.clamp(FRAME_HEADER_LEN, Self::WINDOW);
        self
    }

    /// Where the next frame is expected.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Moves the end, because more was written, or because less shall be read.
    pub fn set_end(&mut self, end: u64) {
        self.end = end;
    }

    /// Continues at another frame.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// The next frame. After anything but a frame the reader stays where it is.
    ///
    /// # Errors
    /// Only if the storage cannot deliver bytes; damaged bytes are [`FrameStep::Bad`].
    pub async fn next(&mut self) -> Result<FrameStep> {
        let left = self.end.saturating_sub(self.offset);
        if left == 0 {
            return Ok(FrameStep::End);
        }
        let head = self.bytes(self.offset, (left as usize).min(FRAME_HEADER_LEN)).await?;
        if head.iter().all(|&byte| byte == 0) {
            return Ok(FrameStep::Blank);
        }
        if head.len() < FRAME_HEADER_LEN {
            return bad(format!(
                "{} bytes are left, a frame header has {FRAME_HEADER_LEN}",
                head.len()
            ));
        }
        let header = FrameHeader::decode(&head);
        if header.frame_len() > left {
            return bad(format!("a frame of {} bytes, but {left} are left", header.frame_len()));
        }
        let body_at = self.offset + FRAME_HEADER_LEN as u64;
        let body_len = header.body_len as usize;
        let checked_ahead = body_len > Self::WINDOW;
        if checked_ahead {
            let crc = self.stream_crc(body_at, body_len).await?;
            let expected = crc.map(|crc| FrameHeader::expected_crc(&head, crc, self.salt));
            if expected != Some(header.crc) {
                return bad(format!(
                    "checksum {:#010x} over {body_len} bytes does not hold",
                    header.crc
                ));
            }
        }
        let body = self.bytes(body_at, body_len).await?;
        if body.len() < body_len {
            return bad(format!("a body of {body_len} bytes ends after {}", body.len()));
        }
        if !checked_ahead {
            let expected = FrameHeader::expected_crc(&head, crc32c::crc32c(&body), self.salt);
            if expected != header.crc {
                return bad(format!("checksum {:#010x}, computed {expected:#010x}", header.crc));
            }
        }
        let offset = self.offset;
        self.offset += header.frame_len();
        Ok(FrameStep::Frame(Frame { offset, header, body }))
    }

    /// The checksum of a long stretch in constant memory; `None` if it ends early.
    async fn stream_crc(&self, mut at: u64, mut left: usize) -> Result<Option<u32>> {
        let mut crc = 0;
        while left > 0 {
            let piece = self.segment.read_at(at, left.min(Self::WINDOW)).await?;
            if piece.is_empty() {
                return Ok(None);
            }
            crc = crc32c::crc32c_append(crc, &piece);
            at += piece.len() as u64;
            left -= piece.len();
        }
        Ok(Some(crc))
    }

    /// `len` bytes at `at`, fewer only at the end of the segment.
    async fn bytes(&mut self, at: u64, len: usize) -> Result<Bytes> {
        if let Some(found) = self.in_window(at, len) {
            return Ok(found);
        }
        let wanted = len.max(self.read_size.min(self.end.saturating_sub(at) as usize));
        self.window = self.segment.read_at(at, wanted).await?;
        self.window_at = at;
        Ok(self.window.slice(..len.min(self.window.len())))
    }

    fn in_window(&self, at: u64, len: usize) -> Option<Bytes> {
        let from = usize::try_from(at.checked_sub(self.window_at)?).ok()?;
        let to = from.checked_add(len)?;
        (to <= self.window.len()).then(|| self.window.slice(from..to))
    }
}

fn bad(reason: String) -> Result<FrameStep> {
    Ok(FrameStep::Bad { reason })
}
