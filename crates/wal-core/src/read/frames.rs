//! Frames of one segment, one after the other, each checked.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::format::{FRAME_HEADER_LEN, FrameHeader, Salt, SegmentHeader};
use crate::{Error, ErrorKind, Result, Segment};

/// A frame whose checksum is right.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "readers of other windows make their own")]
pub struct Frame {
    /// Where it begins, in bytes from the start of the segment.
    pub offset: u64,
    /// Its header.
    pub header: FrameHeader,
    /// Its body: a view into a larger buffer, which it keeps in memory.
    pub body: Bytes,
}

/// A frame whose checksum is right, lent by its reader: nothing is counted or copied.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "readers of other windows make their own")]
pub struct FrameRef<'a> {
    /// Where it begins, in bytes from the start of the segment.
    pub offset: u64,
    /// Its header.
    pub header: FrameHeader,
    /// Its body.
    pub body: &'a [u8],
}

impl FrameRef<'_> {
    /// Where the next frame begins, in bytes from the start of the segment.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset + self.header.frame_len()
    }
}

impl Frame {
    /// Lends the frame.
    #[must_use]
    pub fn lend(&self) -> FrameRef<'_> {
        FrameRef { offset: self.offset, header: self.header, body: &self.body }
    }
}

/// The checksum of a long frame is taken over so many bytes at once, at least.
const PIECE: usize = 64 << 10;

/// What stands at the present offset.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a reader has to know everything that can stand there")]
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
/// believed only after its checksum was verified. Who may not hold the largest frame says so with
/// [`largest_frame`](Self::largest_frame).
///
/// Bytes are read in windows. A caller that wants many frames takes those that lie in the present window from
/// [`ahead`](Self::ahead), which costs a checksum and little else, and calls [`next`](Self::next) when
/// there are no more.
pub struct FrameReader {
    segment: Arc<dyn Segment>,
    salt: Salt,
    window: Bytes,
    window_at: u64,
    offset: u64,
    end: u64,
    read_size: usize,
    largest: u64,
}

impl fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader")
            .field("offset", &self.offset)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl FrameReader {
    /// How much is read at once, in bytes, unless [`read_size`](Self::read_size) says otherwise.
    pub const WINDOW: usize = 1 << 20;

    /// Starts at `offset`, which must be the beginning of a frame, and does not look beyond `end`.
    #[must_use]
    pub fn new(segment: Arc<dyn Segment>, header: &SegmentHeader, offset: u64, end: u64) -> Self {
        FrameReader {
            segment,
            salt: header.salt(),
            window: Bytes::new(),
            window_at: 0,
            offset,
            end,
            read_size: Self::WINDOW,
            largest: u64::MAX,
        }
    }

    /// Reads fewer bytes at once, for a caller that wants a frame or two.
    #[must_use]
    pub fn read_size(mut self, bytes: usize) -> Self {
        self.read_size = bytes.clamp(FRAME_HEADER_LEN, Self::WINDOW);
        self
    }

    /// Holds no frame of more bytes than these, the header included: [`next`](Self::next) fails as `OutOfMemory` in front
    /// of a valid one that is larger.
    #[must_use]
    pub fn largest_frame(mut self, bytes: u64) -> Self {
        self.largest = bytes;
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

    /// The frames that lie whole in the present window, from the present place on. The reader stays where
    /// it is; [`seek`](Self::seek) to [`FramesAhead::offset`] to go on behind those that were taken.
    #[must_use]
    #[inline]
    pub fn ahead(&self) -> FramesAhead<'_> {
        let left = self.end.saturating_sub(self.offset);
        let bytes = self.from(self.offset, usize::try_from(left).unwrap_or(usize::MAX));
        FramesAhead::new(bytes, self.offset, self.salt)
    }

    /// The present window. A piece of it, such as the body of a frame that was lent, can be kept by
    /// [`Bytes::slice_ref`].
    #[must_use]
    pub fn memory(&self) -> &Bytes {
        &self.window
    }

    /// The next frame. After anything but a frame the reader stays where it is.
    ///
    /// # Errors
    /// Only if the storage cannot deliver bytes, or a frame is larger than it [may be](Self::largest_frame); damaged bytes
    /// are [`FrameStep::Bad`].
    pub async fn next(&mut self) -> Result<FrameStep> {
        if let Some(FrameRef { offset, header, body }) = self.ahead().next() {
            let body = self.window.slice_ref(body);
            self.offset += header.frame_len();
            return Ok(FrameStep::Frame(Frame { offset, header, body }));
        }
        let left = self.end.saturating_sub(self.offset);
        if left == 0 {
            return Ok(FrameStep::End);
        }
        let head_len = (left as usize).min(FRAME_HEADER_LEN);
        if !self.begins_in_window(head_len) {
            self.fill(self.offset, self.read_size).await?;
        }
        // A copy, so that nothing holds the window when the body needs another one.
        let mut head = [0; FRAME_HEADER_LEN];
        let found = self.from(self.offset, head_len);
        let head = &mut head[..found.len()];
        head.copy_from_slice(found);
        if head.iter().all(|&byte| byte == 0) {
            return Ok(FrameStep::Blank);
        }
        if head.len() < FRAME_HEADER_LEN {
            return bad(format!(
                "{} bytes are left, a frame header has {FRAME_HEADER_LEN}",
                head.len()
            ));
        }
        let header = FrameHeader::decode(head);
        if header.frame_len() > left {
            return bad(format!("a frame of {} bytes, but {left} are left", header.frame_len()));
        }
        let body_at = self.offset + FRAME_HEADER_LEN as u64;
        let body_len = header.body_len as usize;
        let too_large = header.frame_len() > self.largest;
        let checked_ahead = body_len > Self::WINDOW || too_large;
        if checked_ahead {
            let crc = self.stream_crc(body_at, body_len).await?;
            let expected = crc.map(|crc| FrameHeader::expected_crc(head, crc, self.salt));
            if expected != Some(header.crc) {
                return bad(format!(
                    "checksum {:#010x} over {body_len} bytes does not hold",
                    header.crc
                ));
            }
        }
        if too_large {
            return Err(Error::new(ErrorKind::OutOfMemory, "read frame")
                .with_offset(self.offset)
                .with_detail(format!(
                    "a frame of {} bytes, where one of {} may be held in memory",
                    header.frame_len(),
                    self.largest
                )));
        }
        let body = self.bytes(body_at, body_len).await?;
        if body.len() < body_len {
            return bad(format!("a body of {body_len} bytes ends after {}", body.len()));
        }
        if !checked_ahead {
            let expected = checksum(head, &body, self.salt);
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
        let most = self.read_size.max(PIECE);
        while left > 0 {
            let piece = self.segment.read_at(at, left.min(most)).await?;
            if piece.is_empty() {
                return Ok(None);
            }
            crc = crc32c::crc32c_append(crc, &piece);
            at += piece.len() as u64;
            left -= piece.len();
        }
        Ok(Some(crc))
    }

    /// Whether the next frame can be looked at without reading from its beginning: it lies in the window, or
    /// what can be told of it does, or the window begins with it and is too short.
    fn begins_in_window(&self, head_len: usize) -> bool {
        let head = self.from(self.offset, head_len);
        if head.len() < FRAME_HEADER_LEN {
            return head.len() == head_len;
        }
        let len = FrameHeader::decode(head).frame_len();
        let too_long = len > (self.read_size as u64).min(self.end - self.offset);
        let all = usize::try_from(len).is_ok_and(|len| self.from(self.offset, len).len() == len);
        all || too_long || self.window_at == self.offset
    }

    /// What the window has of `len` bytes at `at`.
    fn from(&self, at: u64, len: usize) -> &[u8] {
        let from = at.checked_sub(self.window_at).and_then(|from| usize::try_from(from).ok());
        let ahead = from.and_then(|from| self.window.get(from..)).unwrap_or_default();
        &ahead[..len.min(ahead.len())]
    }

    /// Reads another window.
    async fn fill(&mut self, at: u64, len: usize) -> Result<()> {
        let wanted = len.min(usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX));
        let spent = std::mem::take(&mut self.window);
        self.window = self.segment.read_reusing(at, wanted, spent).await?;
        self.window_at = at;
        Ok(())
    }

    /// `len` bytes at `at`, fewer only at the end of the segment.
    async fn bytes(&mut self, at: u64, len: usize) -> Result<Bytes> {
        if self.from(at, len).len() < len {
            self.fill(at, len.max(self.read_size)).await?;
        }
        Ok(self.window.slice_ref(self.from(at, len)))
    }
}

/// Frames that were read ahead, lent one after the other, each checked.
///
/// `None` says nothing about what is there: a frame that is partly read, damage, the end.
/// [`FrameReader::next`] tells.
#[derive(Clone, Debug)]
pub struct FramesAhead<'a> {
    bytes: &'a [u8],
    offset: u64,
    salt: Salt,
    checked_upto: u64,
}

impl<'a> FramesAhead<'a> {
    /// The frames of these bytes, which lie at `offset` in a segment with this salt.
    #[must_use]
    #[inline]
    pub fn new(bytes: &'a [u8], offset: u64, salt: Salt) -> Self {
        FramesAhead { bytes, offset, salt, checked_upto: 0 }
    }

    /// Takes the checksums of all frames in front of this place for right. They must have been checked, in
    /// these very bytes and not where they came from: an iterator over them came as far.
    #[must_use]
    #[inline]
    pub fn checked_upto(self, offset: u64) -> Self {
        FramesAhead { checked_upto: offset, ..self }
    }

    /// Where the next frame is expected.
    #[must_use]
    #[inline]
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl<'a> Iterator for FramesAhead<'a> {
    type Item = FrameRef<'a>;

    // Returned by a call, a frame would go through memory: a third of the time of a small record.
    #[inline(always)]
    fn next(&mut self) -> Option<FrameRef<'a>> {
        let (head, rest) = self.bytes.split_first_chunk::<FRAME_HEADER_LEN>()?;
        let header = FrameHeader::decode(head);
        let (body, rest) = rest.split_at_checked(header.body_len as usize)?;
        // Zeros are a blank, also where the checksum of nothing happens to be zero.
        let checked = self.offset < self.checked_upto;
        if header.kind == 0 || (!checked && checksum(head, body, self.salt) != header.crc) {
            return None;
        }
        let offset = self.offset;
        self.offset += header.frame_len();
        self.bytes = rest;
        Some(FrameRef { offset, header, body })
    }
}

/// The checksum that this header should carry.
// As a call it costs a tenth of what it takes to read records of 100 bytes.
#[inline(always)]
fn checksum(head: &[u8], body: &[u8], salt: Salt) -> u32 {
    FrameHeader::expected_crc(head, crc32c::crc32c(body), salt)
}

fn bad(reason: String) -> Result<FrameStep> {
    Ok(FrameStep::Bad { reason })
}
