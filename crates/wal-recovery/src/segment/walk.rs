//! One segment, frame by frame, and how it ends.

use std::sync::Arc;

use wal_core::format::{
    FRAME_HEADER_LEN, Footer, FrameHeader, FrameKind, Maker, SegmentHeader, SegmentSummary,
};
use wal_core::{ErrorKind, Frame, FrameReader, Lsn, Result, Segment};

use crate::segment::footer;
use crate::segment::frames::{Frames, Next, Plain};
use crate::segment::outcome::{End, Walk, no_frames};
use crate::segment::search::{Findings, Place, Want, search};
use crate::watch::Watch;

/// How to walk.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// Whether the segment is the newest one, which may end anywhere.
    pub(crate) newest: bool,
    /// The last record in front of those that the next segment may hold instead.
    pub(crate) moved_behind: Option<Lsn>,
    /// Whether to read everything although there is a footer.
    pub(crate) in_full: bool,
    /// Whether a writer may be running.
    pub(crate) beside_writer: bool,
}

/// Reads a segment of `len` bytes.
///
/// # Errors
/// Only if the storage cannot deliver bytes, the time limit has passed, or a frame is larger than may be held in memory.
pub(crate) fn walk(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    len: u64,
    manner: Manner,
    watch: &Watch,
) -> Result<Walk> {
    watch.check()?;
    let footer = footer::find(&**segment, header, len)?;
    if let Some(footer) = &footer
        && !manner.in_full
    {
        let summary = footer.summary.clone();
        watch.advance(len, u64::from(summary.records))?;
        return Ok(Walk {
            proven: header.first_lsn.advance(u64::from(summary.records)).prev(),
            end: End::Sealed(len),
            in_full: false,
            scanned: len - summary.data_end,
            footer: Some(footer.clone()),
            summary,
        });
    }
    let mut walker = Walker {
        segment,
        header,
        len,
        summary: no_frames(header),
        proven: Lsn::ZERO,
        frames: frames(segment, header, &no_frames(header), len, watch),
        // A footer at the end proves everything before it, wherever it breaks off.
        footer,
        manner,
        watch,
        ticked: (0, 0),
        searched: 0,
    };
    let end = walker.run()?;
    let Walker { summary, mut proven, searched, footer, .. } = walker;
    if let Some(footer) = &footer {
        proven = header.first_lsn.advance(u64::from(footer.summary.records)).prev();
    }
    let scanned = summary.data_end + searched;
    Ok(Walk { summary, proven, end, footer, in_full: true, scanned })
}

/// Read at once, in bytes: what stays in the cache next to a processor until it is looked at.
const WINDOW: usize = 256 << 10;

/// The frames behind those of the summary.
fn frames(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    summary: &SegmentSummary,
    len: u64,
    watch: &Watch,
) -> Frames {
    let memory = watch.memory();
    let reader = FrameReader::new(segment.clone(), header, summary.data_end, len)
        .read_size(memory.window(WINDOW))
        .largest_frame(memory.frame());
    Frames::new(reader, summary.records)
}

struct Walker<'a> {
    segment: &'a Arc<dyn Segment>,
    header: &'a SegmentHeader,
    len: u64,
    summary: SegmentSummary,
    proven: Lsn,
    frames: Frames,
    footer: Option<Footer>,
    manner: Manner,
    watch: &'a Watch,
    /// Bytes and records that the watch knows of.
    ticked: (u64, u32),
    searched: u64,
}

impl Walker<'_> {
    fn run(&mut self) -> Result<End> {
        loop {
            let is_moved = self.footer.is_none()
                && self.manner.moved_behind.is_some_and(|last| last < self.expected());
            let next = self.frames.next()?;
            let weighed = self.weigh(next)?;
            // Padding stays with the record in front of it.
            if is_moved && !matches!(weighed, Weighed::Frame { records: 0, .. }) {
                self.tick(0)?;
                return Ok(End::Moved);
            }
            let stop = match weighed {
                Weighed::Frame { header, records, offset } => {
                    self.proven = self.proven.max(header.durable_upto(self.header.first_lsn));
                    self.summary.add(&header, records, offset);
                    self.tick(Watch::STEP)?;
                    // Otherwise the next one may be the first that was moved.
                    if self.footer.is_some() || self.manner.moved_behind.is_none() {
                        self.pass_over()?;
                    }
                    continue;
                }
                Weighed::Sealed { footer, end } => {
                    self.footer = Some(footer);
                    self.tick(0)?;
                    return Ok(End::Sealed(end));
                }
                Weighed::End(end) => {
                    self.tick(0)?;
                    return Ok(end);
                }
                Weighed::Stop(stop) => stop,
            };
            self.tick(0)?;
            if let Some(end) = self.judge(stop)? {
                return Ok(end);
            }
        }
    }

    /// Passes over the plain frames that were read ahead; whatever else there is stays for
    /// [`weigh`](Self::weigh).
    fn pass_over(&mut self) -> Result<()> {
        let (first, (told, _)) = (self.header.first_lsn, self.ticked);
        let (mut frames, summary) = (self.frames.plain(0), &mut self.summary);
        let mut end = frames.offset();
        while let Some(Plain { offset, header, records, .. }) = frames.next() {
            if frames.offset() > u64::from(u32::MAX) {
                break;
            }
            self.proven = self.proven.max(header.durable_upto(first));
            summary.add(&header, records.len() as u32, offset);
            end = frames.offset();
            if end - told >= Watch::STEP {
                break;
            }
        }
        let records = summary.records;
        self.frames.seek(end, records);
        self.tick(Watch::STEP)
    }

    fn tick(&mut self, step: u64) -> Result<()> {
        let (bytes, records) = self.ticked;
        let more = self.summary.data_end - bytes;
        if more < step || more == 0 {
            return Ok(());
        }
        self.ticked = (self.summary.data_end, self.summary.records);
        self.watch.advance(more, u64::from(self.summary.records - records))
    }

    /// What it means that this comes next.
    ///
    /// Changes nothing, as one and the same decision is made when a place is read again.
    fn weigh(&self, next: Next) -> Result<Weighed> {
        let too_far = |frame: &Frame| frame.lend().end() > u64::from(u32::MAX);
        Ok(match next {
            Next::Frame { frame, .. } | Next::Footer(frame) | Next::Unreadable(frame, _)
                if too_far(&frame) =>
            {
                Weighed::bad("a frame beyond 4 GiB".into())
            }
            Next::Frame { frame: Frame { offset, header, .. }, records } => {
                Weighed::Frame { header, records, offset }
            }
            Next::Footer(footer) => return self.weigh_footer(&footer),
            Next::Unreadable(frame, error) if error.kind() == ErrorKind::Unsupported => {
                let at = error.with_segment(self.header.first_lsn).with_offset(frame.offset);
                Weighed::End(End::Unsupported(at.with_lsn(self.expected())))
            }
            Next::Unreadable(_, error) => Weighed::bad(error.detail().to_owned()),
            Next::Stray(header) => Weighed::bad(format!(
                "a valid frame of LSN {}, expected was LSN {}",
                header.lsn(self.header.first_lsn),
                self.expected()
            )),
            Next::Bad { reason } => Weighed::bad(reason),
            Next::Blank => Weighed::blank("nothing was written here"),
            Next::End => Weighed::blank("the segment ends here"),
        })
    }

    fn weigh_footer(&self, frame: &Frame) -> Result<Weighed> {
        let footer = match Footer::decode(&frame.header, &frame.body, frame.offset, self.header) {
            Ok(footer) => footer,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                return Ok(Weighed::End(End::Unsupported(error.with_lsn(self.expected()))));
            }
            Err(error) => return Ok(Weighed::bad(error.detail().to_owned())),
        };
        if let Some(difference) = footer::difference(&footer.summary, &self.summary) {
            return Ok(Weighed::bad(difference));
        }
        let end = frame.lend().end();
        // What is behind a footer is cut off, so no frame may be lost there.
        let place = self.place(end);
        let behind = if end < self.len { search(&place, Want::Any, self.watch)?.hit } else { None };
        Ok(match behind {
            Some(hit) => {
                Weighed::bad(format!("behind the footer is a frame, at offset {}", hit.offset))
            }
            None => Weighed::Sealed { footer, end },
        })
    }

    fn expected(&self) -> Lsn {
        self.header.first_lsn.advance(u64::from(self.summary.records))
    }

    /// What it means that no frame follows. `None` if one does after all.
    fn judge(&mut self, stop: Stop) -> Result<Option<End>> {
        let offset = self.summary.data_end;
        if self.manner.beside_writer && self.retry()? {
            return Ok(None);
        }
        let Stop { reason, here } = stop;
        let whole = |reason| Ok(Some(End::Broken { reason, extent: self.len }));
        if let Some(footer) = &self.footer {
            return whole(format!(
                "{reason}; the footer of the segment proves {} records to have been durable",
                footer.summary.records
            ));
        }
        if !self.manner.newest {
            return whole(reason);
        }
        let found = self.search(offset)?;
        let Findings { hit, unproving, extent, exhausted, .. } = found;
        if exhausted {
            return Ok(Some(End::Broken {
                reason: format!(
                    "{reason}; behind it are more bytes that look like frames than can be checked"
                ),
                extent: self.len,
            }));
        }
        if let Some(hit) = hit {
            // The place may have been written between the reading of it and the search.
            if self.manner.beside_writer && self.retry()? {
                return Ok(None);
            }
            let what = if hit.header.kind == FrameKind::Footer as u8 {
                "a footer".to_owned()
            } else {
                format!("the frame of LSN {}", hit.header.lsn(self.header.first_lsn))
            };
            return Ok(Some(End::Broken {
                reason: format!(
                    "{reason}; {what} at offset {} proves that it had been durable",
                    hit.offset
                ),
                extent: hit.offset,
            }));
        }
        if let Some(hit) = unproving.as_ref().filter(|_| self.lost_its_header()) {
            let reason = format!(
                "{reason}; what was in front of the frame at offset {} was lost with the header",
                hit.offset
            );
            return Ok(Some(End::Broken { reason, extent: hit.offset }));
        }
        Ok(Some(match unproving {
            None if here != Here::Bytes && self.lacks_blank() => End::Torn {
                reason: "the segment ends without the blank that follows every write".into(),
                extent,
            },
            None if here != Here::Bytes => End::Open,
            None => End::Torn { reason, extent },
            Some(hit) => End::Torn {
                reason: format!(
                    "{reason}; the frame of LSN {} at offset {} is there, but does not prove that it \
                     had been durable",
                    hit.header.lsn(self.header.first_lsn),
                    hit.offset
                ),
                extent,
            },
        }))
    }

    /// Whether the header was lost and made anew, and the first frame with it. That is no write that a crash cut short.
    fn lost_its_header(&self) -> bool {
        self.header.maker == Maker::SALVAGED && self.summary.frames == 0
    }

    /// Whether the segment ends before a whole blank where one should follow a frame: then something was
    /// cut off, and frames may have been. A segment without a frame was not written to yet.
    fn lacks_blank(&self) -> bool {
        // A part of a blank may be the zeros with which a frame began.
        let whole_blank = self.summary.data_end + FRAME_HEADER_LEN as u64 <= self.len;
        self.header.blanks && self.summary.frames > 0 && !whole_blank
    }

    fn place(&self, offset: u64) -> Place<'_> {
        Place {
            segment: self.segment,
            header: self.header,
            offset,
            len: self.len,
            records: self.summary.records,
        }
    }

    fn search(&mut self, offset: u64) -> Result<Findings> {
        let found = search(&self.place(offset), Want::Proof, self.watch)?;
        self.searched += found.scanned;
        let hit = found.hit.as_ref().map(|hit| hit.header.durable_upto(self.header.first_lsn));
        self.proven = self.proven.max(found.durable_upto).max(hit.unwrap_or_default());
        Ok(found)
    }

    /// Reads the place again, past every buffer; whether the walk goes on there now. It does only if
    /// the walk will accept what it finds: whatever else is there would be read again for ever.
    fn retry(&mut self) -> Result<bool> {
        self.len = self.len.max(self.segment.len().wait()?);
        let fresh = || frames(self.segment, self.header, &self.summary, self.len, self.watch);
        let there = !matches!(self.weigh(fresh().next()?)?, Weighed::Stop(_));
        if there {
            self.frames = fresh();
        }
        Ok(there)
    }
}

/// What stands in a place.
enum Weighed {
    Frame { header: FrameHeader, records: u32, offset: u64 },
    Sealed { footer: Footer, end: u64 },
    End(End),
    Stop(Stop),
}

impl Weighed {
    fn bad(reason: String) -> Self {
        Weighed::Stop(Stop { reason, here: Here::Bytes })
    }

    fn blank(reason: &str) -> Self {
        Weighed::Stop(Stop { reason: reason.into(), here: Here::Blank })
    }
}

/// Why no frame follows.
struct Stop {
    reason: String,
    here: Here,
}

/// What is in the place where no frame follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Here {
    Blank,
    Bytes,
}
