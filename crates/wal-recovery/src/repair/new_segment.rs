//! Whole segments: written in pieces under no name, and published in one step.
//!
//! What is short is put together in memory and created at once. Of anything longer than the limit on memory allows at once, a part is
//! written, and forgotten, before the next one is put together.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use wal_core::format::{
    Flags, Footer, FrameHeader, FrameKind, Padding, SEGMENT_HEADER_LEN, Salt, SegmentHeader,
    SegmentSummary, UNKNOWN_LAG, shorten,
};
use wal_core::{
    Access, Error, ErrorKind, Fence, Frame, LogStorage, Lsn, Publish, Result, Segment, Staged,
};

use crate::repair::Repair;
use crate::segment::frames::{Frames, Next};
use crate::segment::outcome::{Walk, footer_of, no_frames};

/// A segment in the making.
pub(crate) struct NewSegment<'a> {
    header: SegmentHeader,
    salt: Salt,
    bytes: Pieces<'a>,
    summary: SegmentSummary,
    /// That of the segment of which this is a copy: it says when that one ended, and why.
    footer: Option<Footer>,
}

impl<'a> NewSegment<'a> {
    /// A segment with this header, for about so many bytes of frames.
    pub(crate) fn new(repair: &Repair<'a>, header: SegmentHeader, frames: u64) -> Self {
        let pad_to = u64::from(repair.storage.capabilities().pad_to);
        let room = u64::from(header.data_offset) + frames + 2 * pad_to + footer_room(frames);
        let mut bytes = Pieces::new(repair, header.first_lsn, room);
        bytes.held.extend_from_slice(&header.encode());
        bytes.held.resize(header.data_offset as usize, 0);
        let salt = header.salt();
        let summary = no_frames(&header);
        NewSegment { header, salt, bytes, summary, footer: None }
    }

    /// Adds a frame of another segment, whose records get the next LSNs of this one. Its time must be
    /// relative to the same moment.
    ///
    /// # Errors
    /// The storage's.
    pub(crate) fn push(&mut self, frame: &Frame) -> Result<()> {
        let header = FrameHeader {
            lsn_delta: self.summary.records,
            durable_lag: UNKNOWN_LAG,
            ..frame.header
        };
        self.put(header, frame)
    }

    /// Adds the frame under this header.
    fn put(&mut self, mut header: FrameHeader, frame: &Frame) -> Result<()> {
        let records = frame.header.record_count(&frame.body);
        let offset = self.bytes.end();
        let head = header.seal(crc32c::crc32c(&frame.body), self.salt);
        header.crc = FrameHeader::decode(&head).crc;
        self.bytes.put(&head, &frame.body)?;
        self.summary.add(&header, records, offset);
        Ok(())
    }

    /// All frames of a segment, as they are, under a header of the same name and generation. Padding at
    /// their end is left out, as the new segment gets its own.
    pub(crate) fn copy_of(
        repair: &Repair<'a>,
        segment: &Arc<dyn Segment>,
        source: &SegmentHeader,
        walk: &Walk,
        header: SegmentHeader,
    ) -> Result<Self> {
        let summary = &walk.summary;
        let range = u64::from(source.data_offset)..summary.data_end;
        let mut new = NewSegment::new(repair, header, range.end.saturating_sub(range.start));
        new.footer.clone_from(&walk.footer);
        let watch = &repair.scanner.watch;
        let mut frames = Frames::within(segment, source, range.clone(), 0, watch);
        let mut count = 0;
        while frames.offset() < range.end {
            let Next::Frame { frame, .. } = frames.next()? else { break };
            count += 1;
            let is_padding = frame.header.kind == FrameKind::Padding as u8;
            if !(is_padding && frames.offset() == range.end) {
                new.put(frame.header, &frame)?;
            }
        }
        let there = (frames.offset(), count, new.summary.records);
        if there == (range.end, summary.frames, summary.records) {
            return Ok(new);
        }
        Err(Error::new(ErrorKind::Io, "copy segment")
            .with_offset(frames.offset())
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
        let offset = self.bytes.end();
        if let Some(padding) = Padding::behind(offset, multiple, next) {
            let header = padding.put(&mut self.bytes.held, self.salt);
            self.summary.add(&header, 0, offset);
        }
    }

    /// Creates the segment, sealed, or replaces one of that name, in one step that a crash cannot
    /// divide.
    pub(crate) fn create(mut self) -> Result<()> {
        self.pad(self.bytes.storage.capabilities().pad_to);
        debug_assert_eq!(self.bytes.end(), self.summary.data_end);
        let footer = match self.footer {
            Some(footer) => Footer { summary: self.summary, ..footer },
            None => footer_of(&self.header, self.summary),
        };
        self.bytes.held.extend_from_slice(&footer.encode(self.salt));
        self.bytes.publish()
    }
}

/// More than the footer takes of a segment with so many bytes of frames.
fn footer_room(frames: u64) -> u64 {
    let entry = 8;
    512 + entry * (frames / SegmentSummary::INDEX_STEP + 2)
}

/// The bytes of a segment, from the first one on.
struct Pieces<'a> {
    storage: &'a dyn LogStorage,
    /// Asked before the segment gets its name.
    fence: Arc<dyn Fence>,
    name: Lsn,
    /// How long it will be at most.
    room: u64,
    /// A piece is written as soon as it is so long.
    piece: usize,
    /// What was written already has no name yet.
    staged: Option<Staged>,
    written: u64,
    /// What comes behind that.
    held: BytesMut,
}

impl<'a> Pieces<'a> {
    fn new(repair: &Repair<'a>, name: Lsn, room: u64) -> Self {
        let piece = repair.scanner.watch.memory().piece();
        Pieces {
            storage: repair.storage,
            fence: repair.fence.clone(),
            name,
            room,
            piece,
            staged: None,
            written: 0,
            held: BytesMut::new(),
        }
    }

    /// Where the next byte comes.
    fn end(&self) -> u64 {
        self.written + self.held.len() as u64
    }

    fn put(&mut self, head: &[u8], body: &Bytes) -> Result<()> {
        self.held.extend_from_slice(head);
        if body.len() < self.piece {
            self.held.extend_from_slice(body);
            return if self.held.len() < self.piece { Ok(()) } else { self.write_held() };
        }
        // It is in memory already, and is not copied there.
        self.write_held()?;
        self.write(body.clone())
    }

    fn write_held(&mut self) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        self.write(held.freeze())
    }

    fn write(&mut self, bytes: Bytes) -> Result<()> {
        let at = |e: Error| e.with_segment(self.name);
        let staged = match &mut self.staged {
            Some(staged) => staged,
            none => none.insert(self.storage.stage(self.name, self.room).wait().map_err(at)?),
        };
        let len = bytes.len() as u64;
        staged.write_at(self.written, bytes).wait().map_err(at)?;
        self.written += len;
        Ok(())
    }

    /// Gives the segment its name, or that of the one which has it now, in one step.
    fn publish(mut self) -> Result<()> {
        let name = self.name;
        let at = |e: Error| e.with_segment(name);
        let len = self.end();
        let how = publish_over(self.storage, name).map_err(at)?;
        let segment = if self.staged.is_none() {
            let bytes = std::mem::take(&mut self.held).freeze();
            self.fence.check(None).wait()?;
            self.storage.create(name, bytes, len, how).wait().map_err(at)?
        } else {
            self.write_held()?;
            let mut staged = self.staged.expect("it was staged");
            staged.sync().wait().map_err(at)?;
            self.fence.check(None).wait()?;
            staged.publish(how).wait().map_err(at)?
        };
        // A storage may give more room than asked for.
        if segment.len().wait().map_err(at)? > len {
            shorten(&*segment, len).map_err(at)?;
        }
        Ok(())
    }
}

/// Replaces a segment by one with this header, and with the same bytes behind it.
pub(crate) fn with_header(
    repair: &Repair<'_>,
    name: Lsn,
    header: &[u8; SEGMENT_HEADER_LEN],
    segment: &dyn Segment,
    len: u64,
) -> Result<()> {
    let mut bytes = Pieces::new(repair, name, len);
    bytes.put(header, &Bytes::new())?;
    while bytes.end() < len {
        let wanted = (bytes.piece as u64).min(len - bytes.end()) as usize;
        let piece = segment.read_at(bytes.end(), wanted).wait()?;
        if piece.is_empty() {
            break;
        }
        bytes.put(&[], &piece)?;
    }
    bytes.publish()
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
    use wal_core::format::{LogId, Owner};
    use wal_core::{MemoryStorage, StorageLock, Timestamp};

    use crate::mode::Verify;
    use crate::repair::Done;
    use crate::scan::options::ScanOptions;
    use crate::scan::scanner::Scanner;
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
        let storage = MemoryStorage::new();
        let scanner = Scanner::new(ScanOptions::new(Verify::All), false, true);
        let repair = Repair {
            storage: &storage,
            owner: Owner::default(),
            fence: StorageLock::new(()).fence().clone(),
            scanner: &scanner,
            save_tail: false,
            done: Done::default(),
        };
        let mut new = NewSegment::new(&repair, header.clone(), 0);
        new.push(&frame(b"one", Flags::default())).unwrap();
        new.push(&frame(b"\x02\0\0\0\x03\0\0\0twothree", Flags::BATCH)).unwrap();
        new.create().unwrap();
        let segment = storage.open(Lsn::new(30), Access::Read).wait().unwrap();
        let len = segment.len().wait().unwrap();
        let manner =
            Manner { newest: true, moved_behind: None, in_full: true, beside_writer: false };
        let walked = walk(&Arc::clone(&segment), &header, len, manner, &Watch::idle()).unwrap();
        assert!(matches!(walked.end, End::Sealed(end) if end == len), "{walked:?}");
        assert_eq!((walked.summary.records, walked.summary.frames), (3, 2));
    }
}
