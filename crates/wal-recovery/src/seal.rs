//! Making the end of a segment durable.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use wal_core::format::{Footer, Salt, SegmentHeader, SegmentSummary};
use wal_core::{
    Error, ErrorKind, Frame, FrameReader, FrameStep, Lsn, Result, Segment, WriteMode, block_on,
};

/// How much is written at once, in bytes.
const PIECE: usize = 1 << 20;

/// Writes all frames again that hold records behind `proven`; they are durable after the next sync.
///
/// The bytes are the same. But after a sync that failed, the operating system may show bytes that
/// are not on the disk and that no later sync would write; writing them again makes them so. Each
/// frame is checked once more on its way, as such bytes may also vanish at any moment.
///
/// Returns how many bytes were written.
///
/// # Errors
/// The storage's; `Io` if the frames are not what they were when they were scanned.
pub(crate) fn rewrite(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    summary: &SegmentSummary,
    proven: Lsn,
) -> Result<u64> {
    let first = header.first_lsn;
    let end = first.advance(u64::from(summary.records));
    let mut rewriter = Rewriter { segment, at: 0, buffer: BytesMut::new(), written: 0 };
    if proven.next() < end {
        let delta = u32::try_from(proven.next().since(first)).unwrap_or(u32::MAX);
        let start = summary.seek(delta);
        let mut records = start.map_or(0, |entry| entry.lsn_delta);
        let offset = start.map_or(u64::from(header.data_offset), |entry| u64::from(entry.offset));
        let mut reader = FrameReader::new(segment.clone(), header, offset, summary.data_end);
        let salt = Salt::new(header.log_id, header.generation);
        while reader.offset() < summary.data_end {
            let step = block_on(reader.next())?;
            let frame = match step {
                FrameStep::Frame(frame) if frame.header.lsn_delta == records => frame,
                _ => return Err(changed(reader.offset())),
            };
            records += frame.header.record_count(&frame.body);
            if first.advance(u64::from(records)) > proven.next() {
                rewriter.push(&frame, salt)?;
            }
        }
        if records != summary.records {
            return Err(changed(summary.data_end));
        }
    }
    rewriter.flush()?;
    Ok(rewriter.written)
}

fn changed(offset: u64) -> Error {
    Error::new(ErrorKind::Io, "recover log")
        .offset(offset)
        .detail("bytes changed between the scan and their being made durable; recover again")
}

struct Rewriter<'a> {
    segment: &'a Arc<dyn Segment>,
    /// Where the buffer begins.
    at: u64,
    buffer: BytesMut,
    written: u64,
}

impl Rewriter<'_> {
    fn push(&mut self, frame: &Frame, salt: Salt) -> Result<()> {
        let head = frame.header.seal(crc32c::crc32c(&frame.body), salt);
        if self.buffer.is_empty() {
            self.at = frame.offset;
        }
        self.buffer.extend_from_slice(&head);
        if self.buffer.len() + frame.body.len() <= PIECE {
            self.buffer.extend_from_slice(&frame.body);
            return Ok(());
        }
        self.flush()?;
        let mut body = frame.body.clone();
        while !body.is_empty() {
            let piece = body.split_to(body.len().min(PIECE));
            self.write(piece)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = self.buffer.split().freeze();
        self.write(piece)
    }

    fn write(&mut self, piece: Bytes) -> Result<()> {
        let len = piece.len() as u64;
        self.segment.write_at(self.at, piece, WriteMode::Cached).wait()?;
        self.at += len;
        self.written += len;
        Ok(())
    }
}

/// Cuts off whatever is behind the last frame, and seals the segment.
///
/// Two syncs: frames and cut must be durable before the footer can be. For the footer proves the
/// frames, and whoever finds it does not look at them.
pub(crate) fn seal(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    summary: &SegmentSummary,
) -> Result<()> {
    shorten(segment, summary.data_end)?;
    write_footer(segment, header, summary)
}

/// Writes the footer behind durable frames, and makes it durable.
pub(crate) fn write_footer(
    segment: &Arc<dyn Segment>,
    header: &SegmentHeader,
    summary: &SegmentSummary,
) -> Result<()> {
    let salt = Salt::new(header.log_id, header.generation);
    let footer = Footer { summary: summary.clone() }.encode(salt);
    let end = summary.data_end + footer.len() as u64;
    segment.write_at(summary.data_end, footer, WriteMode::Cached).wait()?;
    shorten(segment, end)
}

/// Cuts a segment to `len` bytes, durably.
pub(crate) fn shorten(segment: &Arc<dyn Segment>, len: u64) -> Result<()> {
    segment.truncate(len).wait()?;
    segment.sync().wait()
}
