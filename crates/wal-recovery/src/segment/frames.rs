//! The frames of one segment, in order, each in its place.
//!
//! A frame whose checksum is right may still stand where it does not belong: a sector went astray, or
//! bytes were copied. But a frame says how many records of the segment are in front of it. That is held
//! against the records that were counted, for all of this crate here. (An open log reads its own frames, and
//! compares in the same way: `read/cursor.rs` of `wal-core`.) What a frame in the wrong place means is up to
//! the caller.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use wal_core::format::{FrameHeader, FrameKind, RecordsIn, SegmentHeader};
use wal_core::{
    Error, Frame, FrameReader, FrameRef, FrameStep, FramesAhead, Result, Segment, block_on,
};

use crate::watch::Watch;

/// Goes from frame to frame, and counts records.
pub(crate) struct Frames {
    reader: FrameReader,
    /// Records in front of the reader.
    records: u32,
}

/// What comes next. After everything but [`Next::Frame`] the place is the same as before.
pub(crate) enum Next {
    /// A frame in its place, with so many records: none if it is padding.
    Frame { frame: Frame, records: u32 },
    /// A frame in its place that calls itself a footer. The caller decodes it.
    Footer(Frame),
    /// A frame in its place whose records cannot be read: `Unsupported`, or `Corrupt`.
    Unreadable(Frame, Error),
    /// A valid frame that belongs behind another number of records.
    Stray(FrameHeader),
    /// Bytes that are no frame of this segment.
    Bad { reason: String },
    /// Zeros: nothing was written here.
    Blank,
    /// The end of what is to be read.
    End,
}

impl Frames {
    /// The frames within this range of a segment, behind so many records, held one at a time: within the memory that
    /// may be used.
    pub(crate) fn within(
        segment: &Arc<dyn Segment>,
        header: &SegmentHeader,
        range: Range<u64>,
        records: u32,
        watch: &Watch,
    ) -> Self {
        let memory = watch.memory();
        let reader = FrameReader::new(segment.clone(), header, range.start, range.end)
            .read_size(memory.window(FrameReader::WINDOW))
            .largest_frame(memory.frame());
        Frames::new(reader, records)
    }

    /// The frames of a reader that stands behind so many records.
    pub(crate) fn new(reader: FrameReader, records: u32) -> Self {
        Frames { reader, records }
    }

    /// Where the next frame is expected.
    pub(crate) fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// How many records are in front of that.
    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Goes on at another frame, which stands behind so many records.
    pub(crate) fn seek(&mut self, offset: u64, records: u32) {
        self.reader.seek(offset);
        self.records = records;
    }

    /// The next frame, if one stands here.
    ///
    /// # Errors
    /// Only if the storage cannot deliver bytes, or a frame is larger than may be held.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Next> {
        // Most frames lie in the present window, and are what they should be.
        let mut plain = self.plain(0);
        let Some(Plain { offset, header, body, records }) = plain.next() else {
            return self.read_next();
        };
        let (end, behind, records) = (plain.offset(), plain.records(), records.len() as u32);
        let frame = Frame { offset, header, body: self.memory().slice_ref(body) };
        self.seek(end, behind);
        Ok(Next::Frame { frame, records })
    }

    /// The same, whatever stands here.
    #[cold]
    fn read_next(&mut self) -> Result<Next> {
        let offset = self.reader.offset();
        let next = match block_on(self.reader.next())? {
            FrameStep::Frame(frame) => self.judge(frame),
            FrameStep::Bad { reason } => Next::Bad { reason },
            FrameStep::Blank => Next::Blank,
            FrameStep::End => Next::End,
        };
        if !matches!(next, Next::Frame { .. }) {
            self.reader.seek(offset);
        }
        Ok(next)
    }

    /// Whether a valid frame stands where it belongs; counts its records if so.
    fn judge(&mut self, frame: Frame) -> Next {
        if frame.header.lsn_delta != self.records {
            return Next::Stray(frame.header);
        }
        if frame.header.kind == FrameKind::Footer as u8 {
            return Next::Footer(frame);
        }
        match frame.header.records_in(&frame.body).map(|records| records.len() as u32) {
            Ok(records) => {
                self.records += records;
                Next::Frame { frame, records }
            }
            Err(error) => Next::Unreadable(frame, error),
        }
    }

    /// The plain frames in their places that were read already. [`seek`](Self::seek) goes on behind those
    /// that were taken. Checksums in front of `checked_upto` were compared before.
    #[inline]
    pub(crate) fn plain(&self, checked_upto: u64) -> PlainFrames<'_> {
        let ahead = self.reader.ahead().checked_upto(checked_upto);
        PlainFrames { offset: ahead.offset(), ahead, records: self.records }
    }

    /// The memory in which the plain frames lie.
    pub(crate) fn memory(&self) -> &Bytes {
        self.reader.memory()
    }
}

/// Plain frames that were read already, lent one after the other without a call or an allocation.
///
/// `None` says nothing about what is there: [`Frames::next`] does.
pub(crate) struct PlainFrames<'a> {
    ahead: FramesAhead<'a>,
    offset: u64,
    records: u32,
}

/// One of them.
pub(crate) struct Plain<'a> {
    pub(crate) offset: u64,
    pub(crate) header: FrameHeader,
    pub(crate) body: &'a [u8],
    pub(crate) records: RecordsIn<'a>,
}

impl PlainFrames<'_> {
    /// Behind the last frame that was given.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Records in front of that.
    #[inline]
    pub(crate) fn records(&self) -> u32 {
        self.records
    }
}

impl<'a> Iterator for PlainFrames<'a> {
    type Item = Plain<'a>;

    // As a call it would send each frame through memory.
    #[inline(always)]
    fn next(&mut self) -> Option<Plain<'a>> {
        let FrameRef { offset, header, body } = self.ahead.next()?;
        if header.lsn_delta != self.records {
            return None;
        }
        let records = header.records_in(body).ok()?;
        self.records += records.len() as u32;
        self.offset = self.ahead.offset();
        Some(Plain { offset, header, body, records })
    }
}
