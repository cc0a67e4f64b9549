//! One segment, frame by frame, and how it ends.

use std::sync::Arc;

use wal_core::format::{
    FRAME_HEADER_LEN, Footer, FrameHeader, FrameKind, SegmentHeader, SegmentSummary,
};
use wal_core::{ErrorKind, FrameReader, FrameRef, FrameStep, Lsn, Result, Segment, block_on};

use crate::segment::footer;
pub(crate) use crate::segment::outcome::{End, Walk, no_frames, time};
use crate::segment::search::{Findings, Place, Want, search};
use crate::watch::Watch;

/// How to walk.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// Whether the segment is the newest one, which may end anywhere.
    pub(crate) newest: bool,
    /// The last record in front of a tail that the next segment may hold instead.
    pub(crate) moved_behind: Option<Lsn>,
    /// Whether to read everything although there is a footer.
    pub(crate) in_full: bool,
    /// Whether a writer may be running.
    pub(crate) beside_writer: bool,
    /// Whether every write ends in a blank, which the next one overwrites.
    pub(crate) blanks: bool,
}

/// Reads a segment of `len` bytes.
///
/// # Errors
/// Only if the storage cannot deliver bytes, or the time limit has passed.
pub(crate) fn walk(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    len: u64,
    manner: Manner,
    watch: &Watch,
) -> Result<Walk> {
    watch.check()?;
    let footer = footer::read(&**segment, header, len)?;
    if let Some(Footer { summary }) = &footer
        && !manner.in_full
    {
        watch.advance(len, u64::from(summary.records))?;
        return Ok(Walk {
            summary: summary.clone(),
            proven: header.first_lsn.advance(u64::from(summary.records)).prev(),
            end: End::Sealed(len),
            sealed: true,
            in_full: false,
            scanned: len - summary.data_end,
        });
    }
    let mut walker = Walker {
        segment,
        header,
        len,
        summary: no_frames(header),
        proven: Lsn::ZERO,
        reader: reader(segment, header, u64::from(header.data_offset), len),
        // A footer at the end proves everything before it, wherever it breaks off.
        footer,
        manner,
        watch,
        ticked: (0, 0),
        searched: 0,
    };
    let end = walker.run()?;
    let Walker { summary, mut proven, searched, footer, .. } = walker;
    let sealed = matches!(end, End::Sealed(_)).then_some(&summary);
    let sealed = sealed.or(footer.as_ref().map(|footer| &footer.summary));
    if let Some(sealed) = sealed {
        proven = header.first_lsn.advance(u64::from(sealed.records)).prev();
    }
    let (sealed, scanned) = (sealed.is_some(), summary.data_end + searched);
    Ok(Walk { summary, proven, end, sealed, in_full: true, scanned })
}

/// Read at once, in bytes: what stays in the cache next to a processor until it is looked at.
const WINDOW: usize = 256 << 10;

fn reader(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    offset: u64,
    len: u64,
) -> FrameReader {
    FrameReader::new(segment.clone(), header, offset, len).read_size(WINDOW)
}

struct Walker<'a> {
    segment: &'a Arc<dyn Segment>,
    header: &'a SegmentHeader,
    len: u64,
    summary: SegmentSummary,
    proven: Lsn,
    reader: FrameReader,
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
            let step = self.step()?;
            // Padding stays with the record in front of it.
            if is_moved && !matches!(step, Ok(Weighed::Data { records: 0, .. })) {
                self.tick(0)?;
                return Ok(End::Moved);
            }
            let stop = match step {
                Ok(Weighed::Data { header, records, offset }) => {
                    self.proven = self.proven.max(header.durable_upto(self.header.first_lsn));
                    self.summary.add(&header, records, offset);
                    self.tick(Watch::STEP)?;
                    // Otherwise the next one may be the first that was moved.
                    if self.footer.is_some() || self.manner.moved_behind.is_none() {
                        self.pass_over()?;
                    }
                    continue;
                }
                Ok(Weighed::End(end)) => {
                    self.tick(0)?;
                    return Ok(end);
                }
                Err(stop) => stop,
            };
            self.tick(0)?;
            if let Some(end) = self.judge(stop)? {
                return Ok(end);
            }
        }
    }

    /// What the next frame is, or why there is none.
    fn step(&mut self) -> Result<Result<Weighed, Stop>> {
        Ok(match block_on(self.reader.next())? {
            FrameStep::Frame(frame) => self.weigh(frame.lend())?.map_err(Stop::bad),
            FrameStep::Blank => Err(Stop::new("nothing was written here", Here::Blank)),
            FrameStep::End => Err(Stop::new("the segment ends here", Here::Blank)),
            FrameStep::Bad { reason } => Err(Stop::bad(reason)),
        })
    }

    /// Passes over the plain frames that were read ahead; whatever else there is stays for
    /// [`step`](Self::step).
    fn pass_over(&mut self) -> Result<()> {
        let (first, (told, _)) = (self.header.first_lsn, self.ticked);
        let (mut frames, summary) = (self.reader.ahead(), &mut self.summary);
        let mut end = frames.offset();
        while let Some(FrameRef { offset, header, body }) = frames.next() {
            if header.lsn_delta != summary.records || frames.offset() > u64::from(u32::MAX) {
                break;
            }
            let Ok(records) = header.records_in(body) else { break };
            self.proven = self.proven.max(header.durable_upto(first));
            summary.add(&header, records.len() as u32, offset);
            end = frames.offset();
            if end - told >= Watch::STEP {
                break;
            }
        }
        self.reader.seek(end);
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

    /// What a valid frame is here; the inner `Err` says why it cannot stand here.
    ///
    /// Changes nothing, as one and the same decision is made when a place is read again.
    fn weigh(&self, frame: FrameRef<'_>) -> Result<Result<Weighed, String>> {
        let FrameRef { offset, header, body } = frame;
        if header.lsn_delta != self.summary.records {
            return Ok(Err(format!(
                "a valid frame of LSN {}, expected was LSN {}",
                header.lsn(self.header.first_lsn),
                self.expected()
            )));
        }
        if offset + header.frame_len() > u64::from(u32::MAX) {
            return Ok(Err("a frame beyond 4 GiB".into()));
        }
        if header.kind == FrameKind::Footer as u8 {
            return self.weigh_footer(&header, body, offset);
        }
        Ok(match header.records_in(body) {
            Ok(records) => Ok(Weighed::Data { header, records: records.len() as u32, offset }),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let at = error.segment(self.header.first_lsn).offset(offset).lsn(self.expected());
                Ok(Weighed::End(End::Unsupported(at)))
            }
            Err(error) => Err(error.detail_text().to_owned()),
        })
    }

    fn weigh_footer(
        &self,
        frame: &FrameHeader,
        body: &[u8],
        offset: u64,
    ) -> Result<Result<Weighed, String>> {
        let footer = match Footer::decode(frame, body, offset, self.header) {
            Ok(footer) => footer,
            Err(error) => return Ok(Err(error.detail_text().to_owned())),
        };
        if let Some(difference) = footer::difference(&footer.summary, &self.summary) {
            return Ok(Err(difference));
        }
        let end = offset + frame.frame_len();
        // What is behind a footer is cut off, so no frame may be lost there.
        let place = Place { offset: end, ..self.place(offset) };
        let behind = if end < self.len { search(&place, Want::Any, self.watch)?.hit } else { None };
        Ok(match behind {
            Some(hit) => Err(format!("behind the footer is a frame, at offset {}", hit.offset)),
            None => Ok(Weighed::End(End::Sealed(end))),
        })
    }

    fn expected(&self) -> Lsn {
        self.header.first_lsn.advance(u64::from(self.summary.records))
    }

    /// What it means that no frame follows. `None` if one does after all.
    fn judge(&mut self, stop: Stop) -> Result<Option<End>> {
        let offset = self.summary.data_end;
        if self.manner.beside_writer && self.retry(offset)? {
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
            if self.manner.beside_writer && self.retry(offset)? {
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

    /// Whether the segment ends before a whole blank where one should follow a frame: then something was
    /// cut off, and frames may have been. A segment without a frame was not written to yet.
    fn lacks_blank(&self) -> bool {
        // A part of a blank may be the zeros with which a frame began.
        let whole_blank = self.summary.data_end + FRAME_HEADER_LEN as u64 <= self.len;
        self.manner.blanks && self.summary.frames > 0 && !whole_blank
    }

    fn place(&self, offset: u64) -> Place<'_> {
        Place {
            segment: self.segment,
            header: self.header,
            offset,
            len: self.len,
            records: self.summary.records,
            time_delta: self.summary.last_time_delta,
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
    fn retry(&mut self, offset: u64) -> Result<bool> {
        self.len = self.len.max(self.segment.len().wait()?);
        let mut fresh = reader(self.segment, self.header, offset, self.len);
        let there = match block_on(fresh.next())? {
            FrameStep::Frame(frame) => self.weigh(frame.lend())?.is_ok(),
            _ => false,
        };
        if there {
            self.reader = reader(self.segment, self.header, offset, self.len);
        }
        Ok(there)
    }
}

/// What a valid frame is in its place.
enum Weighed {
    Data { header: FrameHeader, records: u32, offset: u64 },
    End(End),
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

impl Stop {
    fn new(reason: &str, here: Here) -> Self {
        Stop { reason: reason.into(), here }
    }

    fn bad(reason: String) -> Self {
        Stop { reason, here: Here::Bytes }
    }
}
