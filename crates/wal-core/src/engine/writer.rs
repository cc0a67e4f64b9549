//! The segment being written: handing over bytes, rotation, sealing.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::segments::SegmentEntry;
use super::state::{Break, Mark};
use super::waiters::{Outcome, Wakes, Who, wake_all};
use super::{Engine, PanicGuard, buffer};
use crate::format::{Footer, Padding, SEGMENT_HEADER_LEN, Salt, SegmentHeader};
use crate::sync::lock;
use crate::{Error, ErrorKind, Event, Lsn, Result, Segment, WriteMode};

/// What only the thread in charge of writing touches.
pub(super) struct Writer {
    active: Option<Active>,
    /// The buffer taken from the state, to be written; empty otherwise.
    pub(super) taken: BytesMut,
    pub(super) breaks: Vec<Break>,
    /// What is still to be put behind `taken`.
    pub(super) padding: Option<(Padding, Salt)>,
    /// Writes that the statistics do not know of yet.
    pub(super) writes: u64,
    pub(super) wakes: Vec<Who>,
}

struct Active {
    segment: Arc<dyn Segment>,
    entry: Arc<SegmentEntry>,
    /// Where the next frame goes.
    offset: u64,
}

impl Writer {
    pub(super) fn new() -> Self {
        let taken = buffer::new_buffer();
        let (breaks, wakes) = (Vec::new(), Vec::new());
        Writer { active: None, taken, breaks, padding: None, writes: 0, wakes }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.taken.is_empty() || !self.breaks.is_empty()
    }

    pub(super) fn wake_all(&mut self) {
        wake_all(&mut self.wakes, Outcome::Done);
    }

    /// Those who are to be woken, for the time after the lock.
    pub(super) fn leave_wakes(&mut self) -> Option<Wakes> {
        if self.wakes.is_empty() {
            return None;
        }
        let mut wakes = Wakes::take();
        wakes.0.append(&mut self.wakes);
        Some(wakes)
    }

    /// The segment that a sync must cover. Older ones were synced when they were sealed.
    pub(super) fn segment(&self) -> Option<(Arc<dyn Segment>, Lsn)> {
        self.active.as_ref().map(|a| (a.segment.clone(), a.entry.header.first_lsn))
    }

    /// The first LSN of the segment being written.
    pub(super) fn active_name(&self) -> Option<Lsn> {
        self.active.as_ref().map(|a| a.entry.header.first_lsn)
    }

    /// Writes the frames in a part of `data` behind the last ones. Its end are `terminator` bytes of a blank
    /// frame header: over the leftovers of a recycled segment that tells the end of the log from a torn
    /// write.
    pub(super) fn write_frames(
        &mut self,
        data: &Bytes,
        part: Range<usize>,
        terminator: usize,
        mode: WriteMode,
    ) -> Result<()> {
        let frames = &data[part.start..part.end - terminator];
        if frames.is_empty() {
            return Ok(());
        }
        let active = self.active.as_mut().expect("frames are placed in a segment");
        let name = active.entry.header.first_lsn;
        let start = active.offset;
        active
            .segment
            .write_at(start, data.slice(part), mode)
            .wait()
            .map_err(|e| e.segment(name).offset(start))?;
        self.writes += 1;
        active.offset += frames.len() as u64;
        active.entry.extend(frames, start);
        Ok(())
    }
}

impl Engine {
    /// Seals the present segment and creates the one that begins at break number `at`.
    pub(super) fn rotate(&self, w: &mut Writer, at: usize) -> Result<()> {
        if let Some(mark) = self.seal_active(w)? {
            debug_assert!(mark.lsn <= w.breaks[at].before.lsn);
        }
        self.publish_rotated(w.breaks[at].before);
        let header = w.breaks[at].header.clone();
        let (segment, entry) = self.create_segment(header)?;
        let offset = u64::from(entry.header.data_offset);
        w.active = Some(Active { segment, entry, offset });
        Ok(())
    }

    fn create_segment(
        &self,
        header: SegmentHeader,
    ) -> Result<(Arc<dyn Segment>, Arc<SegmentEntry>)> {
        let name = header.first_lsn;
        if self.segments.holds_records(name) {
            return Err(Error::new(ErrorKind::Invalid, "create segment")
                .segment(name)
                .detail("a segment of that name holds records"));
        }
        let mut bytes = BytesMut::zeroed(header.data_offset as usize);
        bytes[..SEGMENT_HEADER_LEN].copy_from_slice(&header.encode());
        let segment = self
            .storage
            .create(name, bytes.freeze(), self.settings.segment_size)
            .wait()
            .map_err(|e| e.segment(name))?;
        let generation = header.generation;
        let entry = Arc::new(SegmentEntry::new(header));
        self.segments.push(entry.clone());
        self.state().stats.segments_created += 1;
        self.emit(&Event::SegmentCreated { first_lsn: name, generation });
        Ok((segment, entry))
    }

    /// Makes the present segment durable, and then writes the footer that proves it.
    ///
    /// The footer must not reach the disk before the frames: a reader believes it without looking at
    /// them. Hence two syncs.
    pub(super) fn seal_active(&self, w: &mut Writer) -> Result<Option<Mark>> {
        let Some(active) = w.active.take() else { return Ok(None) };
        let header = &active.entry.header;
        let name = header.first_lsn;
        let _alone = lock(&self.syncer);
        let _guard = PanicGuard(self);
        self.check("sync")?;
        let summary = active.entry.summary();
        let last_lsn = active.entry.last_lsn();
        let seal = || -> Result<u64> {
            let started = self.clock.monotonic();
            active.segment.sync().wait()?;
            self.emit_synced(last_lsn, self.clock.monotonic().saturating_sub(started));
            let footer = Footer { summary }.encode(active.entry.salt);
            let end = active.offset + footer.len() as u64;
            let started = self.clock.monotonic();
            active.segment.write_at(active.offset, footer, WriteMode::Cached).wait()?;
            active.segment.truncate(end).wait()?;
            active.segment.sync().wait()?;
            self.emit_synced(last_lsn, self.clock.monotonic().saturating_sub(started));
            Ok(end)
        };
        let bytes = seal().map_err(|e| self.fail(e.segment(name)))?;
        self.emit(&Event::SegmentSealed { first_lsn: name, last_lsn, bytes });
        Ok(Some(Mark { lsn: last_lsn, ..Mark::default() }))
    }

    /// A rotation made everything before the new segment durable.
    fn publish_rotated(&self, mark: Mark) {
        let mut wakes = Vec::new();
        {
            let mut st = self.state();
            self.advance_durable(&mut st, mark, &mut wakes);
        }
        wake_all(&mut wakes, Outcome::Done);
    }
}
