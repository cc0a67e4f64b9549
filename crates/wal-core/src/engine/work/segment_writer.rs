//! The segment that is written: handing over bytes, rotation, sealing.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::super::Engine;
use super::super::failure::PanicGuard;
use super::super::ownership::LastLook;
use super::super::place::{Break, Moment, Taken, new_buffer};
use super::super::progress::Captured;
use super::super::segments::SegmentEntry;
use super::super::wait::{Outcome, Waiter, Wakes, wake_all};
use crate::format::{
    Ending, FRAME_HEADER_LEN, Footer, SEGMENT_HEADER_LEN, SegmentHeader, SegmentSummary,
    write_footer,
};
use crate::sync::lock;
use crate::{ErrorKind, Event, Lsn, Publish, Result, Segment, WriteMode};

/// What only the thread touches that has the writer's lock.
pub(in super::super) struct SegmentWriter {
    active: Option<Active>,
    /// What was taken from the buffer, to be written; empty otherwise.
    pub(super) taken: Taken,
    /// Writes that the statistics do not know of yet.
    writes: u64,
    /// Those who are to be woken.
    pub(super) wakes: Vec<Waiter>,
    /// When the fence was asked last.
    pub(super) last_look: LastLook,
    /// A segment that a truncation makes void, and that is removed first if there is no space for the truncation.
    pub(super) last_resort: Option<Lsn>,
}

struct Active {
    segment: Arc<dyn Segment>,
    entry: Arc<SegmentEntry>,
    /// Where the next frame goes.
    offset: u64,
    /// Where readers were told that the frames end.
    told: u64,
}

impl Active {
    fn new(segment: Arc<dyn Segment>, entry: Arc<SegmentEntry>) -> Self {
        let (offset, told) = (u64::from(entry.header.data_offset), entry.data_end());
        Active { segment, entry, offset, told }
    }

    /// Readers are told of exactly what was written.
    #[inline]
    fn assert_extent(&self) {
        assert_eq!(self.offset, self.told, "frames end where the segment's summary says");
    }
}

impl SegmentWriter {
    pub(in super::super) fn new() -> Self {
        let taken = Taken { frames: new_buffer(), ..Taken::default() };
        SegmentWriter {
            active: None,
            taken,
            writes: 0,
            wakes: Vec::new(),
            last_look: LastLook::default(),
            last_resort: None,
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.taken.frames.is_empty() || !self.taken.breaks.is_empty()
    }

    pub(super) fn take_writes(&mut self) -> u64 {
        std::mem::take(&mut self.writes)
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

    /// Writes the frames in a part of `data` behind the last ones. The part ends in `blank` zero bytes: over the
    /// old bytes of a recycled segment they tell the end of the log from a torn write.
    pub(super) fn write_frames(
        &mut self,
        data: &Bytes,
        part: Range<usize>,
        blank: usize,
        mode: WriteMode,
    ) -> Result<()> {
        let frames = &data[part.start..part.end - blank];
        if frames.is_empty() {
            return Ok(());
        }
        let active = self.active.as_mut().expect("frames are placed in a segment");
        active.assert_extent();
        let name = active.entry.header.first_lsn;
        let start = active.offset;
        active
            .segment
            .write_at(start, data.slice(part), mode)
            .wait()
            .map_err(|e| e.with_segment(name).with_offset(start))?;
        self.writes += 1;
        active.offset += frames.len() as u64;
        active.told = active.entry.extend(frames, start);
        active.assert_extent();
        Ok(())
    }
}

impl Engine {
    /// Seals the present segment and creates the one that this break begins.
    pub(super) fn rotate(&self, w: &mut SegmentWriter, segment: Break) -> Result<()> {
        let Break { before, header, .. } = segment;
        if let Some(last_lsn) = self.seal_active(w, Ending::Rotated)? {
            assert!(last_lsn <= before.lsn(), "a segment ends before the break behind it");
        }
        self.publish_sealed(before, header.first_lsn);
        // Behind the footer: who opened the log meanwhile may have begun a segment here.
        self.confirm(None)?;
        // First: what a recovery has taken from it and did not need is not for appends.
        self.keep_reserve(w, self.settings.segment_size);
        let (segment, entry) = self.create_segment(w, header)?;
        w.active = Some(Active::new(segment, entry));
        Ok(())
    }

    /// Runs a step. Where there is no space for it, runs it once more without the last resort.
    fn or_without_last_resort<T>(
        &self,
        w: &mut SegmentWriter,
        step: impl Fn() -> Result<T>,
    ) -> Result<T> {
        match (step(), w.last_resort) {
            (Err(error), Some(oldest)) if error.kind() == ErrorKind::Full => {
                w.last_resort = None;
                self.confirm(None)?;
                self.storage.remove(&[oldest]).wait()?;
                step()
            }
            (outcome, _) => outcome,
        }
    }

    fn create_segment(
        &self,
        w: &mut SegmentWriter,
        header: SegmentHeader,
    ) -> Result<(Arc<dyn Segment>, Arc<SegmentEntry>)> {
        let name = header.first_lsn;
        // A segment without records may be there, of an opening that appended nothing.
        let publish = match self.segments.named(name) {
            None => Publish::New,
            Some(present) => {
                assert_eq!(present.summary().records, 0, "segment {name} holds records");
                Publish::Replace { generation: Some(present.header.generation) }
            }
        };
        // Behind the header a blank: where the storage recycles, older frames would stand there.
        let blank = if header.blanks { FRAME_HEADER_LEN } else { 0 };
        let mut bytes = BytesMut::zeroed(header.data_offset as usize + blank);
        bytes[..SEGMENT_HEADER_LEN].copy_from_slice(&header.encode());
        let bytes = bytes.freeze();
        let create = || {
            let size = self.settings.segment_size;
            self.storage.create(name, bytes.clone(), size, publish).wait()
        };
        let segment = self.or_without_last_resort(w, create).map_err(|e| e.with_segment(name))?;
        let generation = header.generation;
        let entry = Arc::new(SegmentEntry::new(header));
        self.segments.push(entry.clone());
        self.state().stats.segments_created += 1;
        self.emit(&Event::SegmentCreated { first_lsn: name, generation });
        Ok((segment, entry))
    }

    /// Makes the present segment durable, and then writes the footer that proves it. Returns its last record.
    ///
    /// The footer must not reach the disk before the frames: a reader believes it without looking at
    /// them. Hence two syncs.
    pub(super) fn seal_active(&self, w: &mut SegmentWriter, ending: Ending) -> Result<Option<Lsn>> {
        let Some(active) = w.active.take() else { return Ok(None) };
        active.assert_extent();
        let header = &active.entry.header;
        let name = header.first_lsn;
        let _alone = lock(&self.syncer);
        let _guard = PanicGuard::of(self);
        self.check("sync")?;
        let summary = active.entry.summary();
        let last_lsn = active.entry.last_lsn();
        self.confirm_process()?;
        let started = self.clock.monotonic();
        let synced = active.segment.sync().wait();
        synced.map_err(|e| self.fail(e.with_segment(name)))?;
        self.count_sync(last_lsn, self.clock.monotonic().saturating_sub(started));
        // Before the footer: it would come into a segment that another owner goes on behind.
        self.confirm(Some(name))?;
        let started = self.clock.monotonic();
        let footer = self.footer(summary, ending);
        let write = || write_footer(&*active.segment, active.entry.salt, &footer);
        let written = self.or_without_last_resort(w, write);
        let bytes = written.map_err(|e| self.fail(e.with_segment(name)))?;
        self.count_sync(last_lsn, self.clock.monotonic().saturating_sub(started));
        self.emit(&Event::SegmentSealed { first_lsn: name, last_lsn, bytes });
        Ok(Some(last_lsn))
    }

    /// The footer of a segment that ends now.
    fn footer(&self, summary: SegmentSummary, ending: Ending) -> Footer {
        let now = self.clock.monotonic();
        let Moment { wall, log_time } = self.state().time.moment(&*self.clock, now);
        Footer { summary, ending, log_time, time: wall }
    }

    /// Sealing a segment made everything before its end durable. The next segment begins with the record `next`.
    fn publish_sealed(&self, before: Captured, next: Lsn) {
        let mut wakes = Vec::new();
        {
            let mut st = self.state();
            st.progress.publish_sealed(before, next, &self.reached);
            self.collect_durable(&mut st, &mut wakes);
        }
        wake_all(&mut wakes, Outcome::Done);
    }
}
