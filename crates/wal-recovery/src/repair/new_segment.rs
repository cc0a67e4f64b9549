//! Whole segments, put together in memory and created in one step.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use wal_core::format::{
    FRAME_HEADER_LEN, Flags, Footer, FrameHeader, FrameKind, Padding, SEGMENT_HEADER_LEN, Salt,
    SegmentHeader, SegmentSummary, UNKNOWN_LAG, shorten,
};
use wal_core::{Access, Error, ErrorKind, Frame, LogStorage, Lsn, Publish, Result, Segment};

use crate::segment::outcome::{Walk, footer_of, no_frames};

/// A segment in the making.
pub(crate) struct NewSegment {
    header: SegmentHeader,
    salt: Salt,
    bytes: BytesMut,
    summary: SegmentSummary,
    /// That of the segment of which this is a copy: it says when that one ended, and why.
    footer: Option<Footer>,
}

impl NewSegment {
    pub(crate) fn new(header: SegmentHeader) -> Self {
        let mut bytes = BytesMut::zeroed(header.data_offset as usize);
        bytes[..SEGMENT_HEADER_LEN].copy_from_slice(&header.encode());
        let salt = header.salt();
        let summary = no_frames(&header);
        NewSegment { header, salt, bytes, summary, footer: None }
    }

    /// Adds a frame of another segment, whose records get the next LSNs of this one. Its time must be
    /// relative to the same moment.
    pub(crate) fn push(&mut self, frame: &Frame) {
        let records = frame.header.record_count(&frame.body);
        let mut header = FrameHeader {
            lsn_delta: self.summary.records,
            durable_lag: UNKNOWN_LAG,
            ..frame.header
        };
        let offset = self.bytes.len() as u64;
        let head = header.seal(crc32c::crc32c(&frame.body), self.salt);
        header.crc = FrameHeader::decode(&head).crc;
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(&frame.body);
        self.summary.add(&header, records, offset);
    }

    /// All frames of a segment, as they are, under a header of the same name and generation. Padding at
    /// their end is left out, as the new segment gets its own.
    pub(crate) fn copy_of(
        segment: &Arc<dyn Segment>,
        source: &SegmentHeader,
        walk: &Walk,
        header: SegmentHeader,
    ) -> Result<Self> {
        let summary = &walk.summary;
        let mut new = NewSegment::new(header);
        new.footer.clone_from(&walk.footer);
        let from = u64::from(source.data_offset);
        let len = usize::try_from(summary.data_end.saturating_sub(from)).unwrap_or(usize::MAX);
        let frames = segment.read_at(from, len).wait()?;
        let (mut at, mut count) = (0, 0);
        while at < frames.len() {
            let Some((header, frame)) = whole_frame(&frames[at..]) else { break };
            at += frame.len();
            count += 1;
            if header.kind == FrameKind::Padding as u8 && at == frames.len() {
                break;
            }
            let records = header.record_count(&frame[FRAME_HEADER_LEN..]);
            new.summary.add(&header, records, new.bytes.len() as u64);
            new.bytes.extend_from_slice(frame);
        }
        let there = (at, count, new.summary.records);
        if there == (len, summary.frames, summary.records) {
            return Ok(new);
        }
        Err(Error::new(ErrorKind::Io, "copy segment")
            .with_offset(from + at as u64)
            .with_detail("its frames are not what they were when they were scanned; recover again"))
    }

    /// Lets the footer begin at a multiple of so many bytes, as it may have to be written again, and no
    /// record shall stand in a block with it.
    fn pad(&mut self, multiple: u32) {
        // A segment without records is one without frames.
        if self.summary.records == 0 {
            return;
        }
        let next = FrameHeader {
            crc: 0,
            body_len: 0,
            lsn_delta: self.summary.records,
            durable_lag: UNKNOWN_LAG,
            time_delta: self.summary.last_time,
            kind: FrameKind::Padding as u8,
            flags: Flags::default(),
        };
        let offset = self.bytes.len() as u64;
        if let Some(padding) = Padding::behind(offset, multiple, next) {
            let header = padding.put(&mut self.bytes, self.salt);
            self.summary.add(&header, 0, offset);
        }
    }

    /// Adds the footer; the segment's bytes.
    pub(crate) fn seal(mut self) -> Bytes {
        debug_assert_eq!(self.bytes.len() as u64, self.summary.data_end);
        let footer = match self.footer {
            Some(footer) => Footer { summary: self.summary, ..footer },
            None => footer_of(&self.header, self.summary),
        };
        self.bytes.extend_from_slice(&footer.encode(self.salt));
        self.bytes.freeze()
    }

    /// Creates the segment, sealed, or replaces one of that name, in one step that a crash cannot
    /// divide.
    pub(crate) fn create(mut self, storage: &dyn LogStorage) -> Result<()> {
        let name = self.header.first_lsn;
        self.pad(storage.capabilities().pad_to);
        replace(storage, name, self.seal())
    }
}

/// The first of some frames.
fn whole_frame(frames: &[u8]) -> Option<(FrameHeader, &[u8])> {
    let header = FrameHeader::decode(frames.get(..FRAME_HEADER_LEN)?);
    let len = usize::try_from(header.frame_len()).ok()?;
    Some((header, frames.get(..len)?))
}

/// Creates a segment of these bytes, or replaces the one that has that name now, in one step.
pub(crate) fn replace(storage: &dyn LogStorage, name: Lsn, bytes: Bytes) -> Result<()> {
    let at = |e: wal_core::Error| e.with_segment(name);
    let len = bytes.len() as u64;
    let how = publish_over(storage, name).map_err(at)?;
    let segment = storage.create(name, bytes, len, how).wait().map_err(at)?;
    // A storage may give more room than asked for.
    if segment.len().wait().map_err(at)? > len {
        shorten(&*segment, len).map_err(at)?;
    }
    Ok(())
}

/// How a segment takes the place of what is there.
fn publish_over(storage: &dyn LogStorage, name: Lsn) -> Result<Publish> {
    let present = match storage.open(name, Access::Read).wait() {
        Ok(present) => present,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Publish::New),
        Err(e) => return Err(e),
    };
    let header = present.read_at(0, SEGMENT_HEADER_LEN).wait()?;
    Ok(Publish::Replace { generation: SegmentHeader::generation_of(&header, name)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wal_core::format::{Flags, FrameKind, LogId};
    use wal_core::{MemoryStorage, Timestamp};

    use crate::segment::outcome::End;
    use crate::segment::walk::{Manner, walk};
    use crate::watch::Watch;

    #[test]
    fn frames_that_moved_are_found_in_their_new_place() {
        let header = SegmentHeader {
            follows: Lsn::new(12),
            created: Timestamp::from_micros(1000),
            data_offset: 640,
            ..SegmentHeader::new(LogId([7; 16]), 9, Lsn::new(30))
        };
        let frame = |body: &'static [u8], flags| Frame {
            offset: 4711,
            header: FrameHeader {
                crc: 1,
                body_len: body.len() as u32,
                lsn_delta: 77,
                durable_lag: 3,
                time_delta: 5,
                kind: FrameKind::Data as u8,
                flags,
            },
            body: Bytes::from_static(body),
        };
        let mut new = NewSegment::new(header.clone());
        new.push(&frame(b"one", Flags::default()));
        new.push(&frame(b"\x02\0\0\0\x03\0\0\0twothree", Flags::BATCH));
        let storage = MemoryStorage::new();
        new.create(&storage).unwrap();
        let segment = storage.open(Lsn::new(30), Access::Read).wait().unwrap();
        let len = segment.len().wait().unwrap();
        let manner =
            Manner { newest: true, moved_behind: None, in_full: true, beside_writer: false };
        let walked = walk(&Arc::clone(&segment), &header, len, manner, &Watch::idle()).unwrap();
        assert!(matches!(walked.end, End::Sealed(end) if end == len), "{walked:?}");
        assert_eq!((walked.summary.records, walked.summary.frames), (3, 2));
    }
}
