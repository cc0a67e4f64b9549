//! A position in one segment that is read without being open.

use std::sync::Arc;

use bytes::Bytes;
use wal_core::format::{Footer, FrameHeader, Records as FrameRecords, SegmentHeader};
use wal_core::{
    Access, Error, ErrorKind, Frame, FrameReader, LogStorage, Lsn, Result, Segment, Timestamp,
};

use crate::segment::footer;
use crate::segment::frames::{Frames, Next, PlainFrames};
use crate::segment::outcome::time;
use crate::segment::search::{Place, Want, search};
use crate::view::read_ahead::ReadAhead;
use crate::watch::Watch;

/// The segment being read.
pub(crate) struct Open {
    pub(crate) header: SegmentHeader,
    segment: Arc<dyn Segment>,
    pub(crate) frames: Frames,
    /// Where the frames get their windows from, unless they are to be as fresh as can be.
    ahead: Option<Arc<ReadAhead>>,
    pub(crate) limit: Option<Lsn>,
    /// What is left of the present frame, and the LSN of its next record.
    pub(crate) frame: Option<(Lsn, Timestamp, FrameRecords)>,
    /// Whether a record of it was given out.
    pub(crate) gave: bool,
    /// The last frame with records that was read one by one, and where it begins.
    last: Option<(u64, FrameHeader)>,
}

/// What comes next in a segment.
pub(crate) enum Step {
    Frame,
    Footer,
    Stop(Error),
}

impl Open {
    pub(crate) fn new(
        storage: &dyn LogStorage,
        header: SegmentHeader,
        limit: Option<Lsn>,
        from: Lsn,
    ) -> Result<Self> {
        let name = header.first_lsn;
        let at = |e: Error| e.with_segment(name);
        let segment = storage.open(name, Access::Read).wait().map_err(at)?;
        let len = segment.len().wait().map_err(at)?;
        let (mut offset, mut records) = (u64::from(header.data_offset), 0);
        if from > name
            && let Some(footer) = footer::find(&*segment, &header, len).map_err(at)?
            && let Some(entry) =
                footer.summary.seek(u32::try_from(from.since(name)).unwrap_or(u32::MAX))
        {
            (offset, records) = (u64::from(entry.offset), entry.lsn_delta);
        }
        let ahead = Arc::new(ReadAhead::new(segment.clone(), &header, len));
        let reader = FrameReader::new(ahead.clone(), &header, offset, len);
        let (frames, ahead) = (Frames::new(reader, records), Some(ahead));
        Ok(Open { header, ahead, segment, frames, limit, frame: None, gave: false, last: None })
    }

    /// The last record that is in front of the present place; in front of the segment if there is none.
    pub(crate) fn last_lsn(&self) -> Lsn {
        self.header.first_lsn.advance(u64::from(self.frames.records())).prev()
    }

    /// The last frame with records that was read one by one, and where it begins.
    pub(crate) fn last_frame(&self) -> Option<(u64, FrameHeader)> {
        self.last
    }

    /// Reads a record of that frame again.
    pub(crate) fn read_last(&self, lsn: Lsn) -> Result<Option<(Timestamp, Bytes)>> {
        let Some((offset, frame)) = self.last else { return Ok(None) };
        let end = offset + frame.frame_len();
        let reader = FrameReader::new(self.segment.clone(), &self.header, offset, end);
        let Next::Frame { frame, .. } = Frames::new(reader, frame.lsn_delta).next()? else {
            return Ok(None);
        };
        let (first, time) =
            (frame.header.lsn(self.header.first_lsn), time(&self.header, frame.header.time_delta));
        Ok(pick(first, time, frame.header.records(frame.body)?, lsn))
    }

    /// A record of the present frame, which is given up.
    pub(crate) fn take_record(&mut self, lsn: Lsn) -> Option<(Timestamp, Bytes)> {
        let (first, time, records) = self.frame.take()?;
        pick(first, time, records, lsn)
    }

    /// Forgets what was read ahead.
    pub(crate) fn refresh(&mut self) -> Result<()> {
        let at = |e: Error| e.with_segment(self.header.first_lsn);
        let len = self.segment.len().wait().map_err(at)?;
        let (offset, records) = (self.frames.offset(), self.frames.records());
        let reader = FrameReader::new(self.segment.clone(), &self.header, offset, len);
        self.frames = Frames::new(reader, records);
        self.ahead = None;
        Ok(())
    }

    /// Goes on at another frame, which stands behind so many records.
    pub(crate) fn jump(&mut self, offset: u64, records: u32) {
        // What was checked ahead were the frames that follow each other, not whatever begins elsewhere.
        self.ahead = None;
        self.frames.seek(offset, records);
    }

    /// The plain frames that were read ahead.
    #[inline]
    pub(crate) fn plain(&self) -> PlainFrames<'_> {
        self.frames.plain(self.ahead.as_ref().map_or(0, |ahead| ahead.checked_upto()))
    }

    /// Whether no record of the present frame is left.
    pub(crate) fn is_between_frames(&mut self) -> bool {
        self.frame.take_if(|(_, _, records)| records.len() == 0);
        self.frame.is_none()
    }

    pub(crate) fn step(&mut self) -> Result<Step> {
        let first = self.header.first_lsn;
        let expected = first.advance(u64::from(self.frames.records()));
        let offset = self.frames.offset();
        let at = |e: Error| e.with_segment(first).with_offset(offset).with_lsn(expected);
        let bad = |reason: String| {
            Ok(Step::Stop(at(Error::new(ErrorKind::Corrupt, "read log").with_detail(reason))))
        };
        match self.frames.next().map_err(at)? {
            Next::Frame { frame: Frame { header, body, offset }, records: count } => {
                let records = header.records(body).map_err(at)?;
                if count > 0 {
                    self.last = Some((offset, header));
                }
                self.frame = Some((expected, time(&self.header, header.time_delta), records));
                Ok(Step::Frame)
            }
            Next::Footer(frame) => match self.why_no_footer(&frame).map_err(at)? {
                None => Ok(Step::Footer),
                Some(reason) => bad(reason),
            },
            Next::Unreadable(_, error) => Ok(Step::Stop(at(error))),
            Next::Stray(header) => bad(format!("a valid frame of LSN {}", header.lsn(first))),
            Next::Bad { reason } => bad(reason),
            Next::Blank | Next::End => bad("nothing was written here".into()),
        }
    }

    /// Why a frame that calls itself a footer is not the end of the segment; `None` if it is.
    fn why_no_footer(&self, frame: &Frame) -> Result<Option<String>> {
        match Footer::decode(&frame.header, &frame.body, frame.offset, &self.header) {
            Ok(_) => {}
            // It is one, and says what only a newer build knows.
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error),
            Err(error) => return Ok(Some(error.detail().to_owned())),
        }
        // The writer shortens the segment after it wrote the footer, so the footer need not be the
        // end; but no frame is behind it.
        let hit = self.search(Want::Any, frame.header.frame_len())?;
        Ok(hit.map(|(at, _)| format!("behind the footer is a frame, at offset {at}")))
    }

    /// Searches from `skip` bytes behind the present place on; the place and number of what it finds.
    pub(crate) fn search(&self, want: Want, skip: u64) -> Result<Option<(u64, u32)>> {
        let place = Place {
            segment: &self.segment,
            header: &self.header,
            offset: self.frames.offset() + skip,
            len: self.segment.len().wait()?,
            records: self.frames.records(),
        };
        let found = search(&place, want, &Watch::idle())?;
        Ok(found.hit.map(|hit| (hit.offset, hit.header.lsn_delta)))
    }

    pub(crate) fn missing(&self, lsn: Lsn) -> Error {
        Error::new(ErrorKind::Corrupt, "read log")
            .with_segment(self.header.first_lsn)
            .with_lsn(lsn)
            .with_detail("missing between this segment and the next one")
    }
}

/// A record of a frame.
fn pick(
    first: Lsn,
    time: Timestamp,
    mut records: FrameRecords,
    lsn: Lsn,
) -> Option<(Timestamp, Bytes)> {
    let at = usize::try_from(lsn.get().checked_sub(first.get())?).ok()?;
    records.nth(at).map(|record| (time, record))
}
