//! A position in one segment that is read without being open.

use std::sync::Arc;

use wal_core::format::{Footer, FrameHeader, FrameKind, Records as FrameRecords, SegmentHeader};
use wal_core::{
    Access, Error, ErrorKind, Frame, FrameReader, FrameStep, FramesAhead, LogStorage, Lsn, Result,
    Segment, Timestamp, block_on,
};

use crate::segment::footer;
use crate::segment::search::{Place, Want, search};
use crate::segment::walk::time;
use crate::view::read_ahead::ReadAhead;
use crate::watch::Watch;

/// The segment being read.
pub(crate) struct Open {
    pub(crate) header: SegmentHeader,
    segment: Arc<dyn Segment>,
    pub(crate) reader: FrameReader,
    /// Where the reader gets its windows from, unless they are to be as fresh as can be.
    ahead: Option<Arc<ReadAhead>>,
    pub(crate) limit: Option<Lsn>,
    /// Records in front of the reader, and the time of the last frame.
    pub(crate) records: u32,
    pub(crate) time_delta: u64,
    /// What is left of the present frame, and the LSN of its next record.
    pub(crate) frame: Option<(Lsn, Timestamp, FrameRecords)>,
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
        let at = |e: Error| e.segment(name);
        let segment = storage.open(name, Access::Read).wait().map_err(at)?;
        let len = segment.len().wait().map_err(at)?;
        let (mut offset, mut records) = (u64::from(header.data_offset), 0);
        if from > name
            && let Some(footer) = footer::read(&*segment, &header, len).map_err(at)?
            && let Some(entry) =
                footer.summary.seek(u32::try_from(from.since(name)).unwrap_or(u32::MAX))
        {
            (offset, records) = (u64::from(entry.offset), entry.lsn_delta);
        }
        let ahead = Arc::new(ReadAhead::new(segment.clone(), &header, len));
        let reader = FrameReader::new(ahead.clone(), &header, offset, len);
        let ahead = Some(ahead);
        Ok(Open { header, ahead, segment, reader, limit, records, time_delta: 0, frame: None })
    }

    /// Forgets what was read ahead.
    pub(crate) fn refresh(&mut self) -> Result<()> {
        let at = |e: Error| e.segment(self.header.first_lsn);
        let len = self.segment.len().wait().map_err(at)?;
        let offset = self.reader.offset();
        self.reader = FrameReader::new(self.segment.clone(), &self.header, offset, len);
        self.ahead = None;
        Ok(())
    }

    /// Goes on at another frame, which stands behind so many records.
    pub(crate) fn jump(&mut self, offset: u64, records: u32) {
        // What was checked ahead were the frames that follow each other, not whatever begins elsewhere.
        self.ahead = None;
        self.reader.seek(offset);
        self.records = records;
    }

    /// The frames that were read ahead.
    #[inline]
    pub(crate) fn frames(&self) -> FramesAhead<'_> {
        let checked_upto = self.ahead.as_ref().map_or(0, |ahead| ahead.checked_upto());
        self.reader.ahead().checked_upto(checked_upto)
    }

    /// Whether no record of the present frame is left.
    pub(crate) fn is_between_frames(&mut self) -> bool {
        self.frame.take_if(|(_, _, records)| records.len() == 0);
        self.frame.is_none()
    }

    pub(crate) fn step(&mut self) -> Result<Step> {
        let first = self.header.first_lsn;
        let offset = self.reader.offset();
        let expected = first.advance(u64::from(self.records));
        let at = |e: Error| e.segment(first).offset(offset).lsn(expected);
        let bad = |reason: String| {
            Ok(Step::Stop(at(Error::new(ErrorKind::Corrupt, "read log").detail(reason))))
        };
        let Frame { header, body, .. } = match block_on(self.reader.next()).map_err(at)? {
            FrameStep::Frame(frame) => frame,
            FrameStep::Bad { reason } => return bad(reason),
            FrameStep::Blank | FrameStep::End => return bad("nothing was written here".into()),
        };
        if header.lsn_delta != self.records {
            self.reader.seek(offset);
            return bad(format!("a valid frame of LSN {}", header.lsn(first)));
        }
        if header.kind == FrameKind::Footer as u8 {
            self.reader.seek(offset);
            return Ok(match self.why_no_footer(&header, &body, offset).map_err(at)? {
                None => Step::Footer,
                Some(reason) => return bad(reason),
            });
        }
        match header.records(body) {
            Ok(records) => {
                self.records += records.len() as u32;
                self.time_delta = header.time_delta;
                self.frame = Some((expected, time(&self.header, header.time_delta), records));
                Ok(Step::Frame)
            }
            Err(error) => {
                self.reader.seek(offset);
                Ok(Step::Stop(at(error)))
            }
        }
    }

    /// Why a frame that calls itself a footer is not the end of the segment; `None` if it is.
    fn why_no_footer(
        &self,
        frame: &FrameHeader,
        body: &[u8],
        offset: u64,
    ) -> Result<Option<String>> {
        if let Err(error) = Footer::decode(frame, body, offset, &self.header) {
            return Ok(Some(error.detail_text().to_owned()));
        }
        // The writer shortens the segment after it wrote the footer, so the footer need not be the
        // end; but no frame is behind it.
        let hit = self.search(Want::Any, frame.frame_len())?;
        Ok(hit.map(|(at, _)| format!("behind the footer is a frame, at offset {at}")))
    }

    /// Searches from `skip` bytes behind the reader on; the place and number of what it finds.
    pub(crate) fn search(&self, want: Want, skip: u64) -> Result<Option<(u64, u32)>> {
        let place = Place {
            segment: &self.segment,
            header: &self.header,
            offset: self.reader.offset() + skip,
            len: self.segment.len().wait()?,
            records: self.records,
            time_delta: self.time_delta,
        };
        let found = search(&place, want, &Watch::idle())?;
        Ok(found.hit.map(|hit| (hit.offset, hit.header.lsn_delta)))
    }

    pub(crate) fn missing(&self, lsn: Lsn) -> Error {
        Error::new(ErrorKind::Corrupt, "read log")
            .segment(self.header.first_lsn)
            .lsn(lsn)
            .detail("missing between this segment and the next one")
    }
}
