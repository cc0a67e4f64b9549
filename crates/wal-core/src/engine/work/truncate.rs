//! Truncation, front and back.
//!
//! Both are made durable by the header of a new segment, which says where the log starts and what it
//! follows. That one file appears atomically, so a truncation either happened or did not; removing
//! the segments that became void is a mere clean-up, which a crash may interrupt at any point, and of which it
//! may leave any part.
//!
//! A truncation may be what makes room on a full disk. So it may use the storage's reserve. If there is none, it removes
//! the oldest of the void segments first. A crash in between leaves a log that says that its front is missing.
//!
//! At the front there is a new segment also if the new first record begins one already. Otherwise nothing would tell a
//! front that was truncated from one that is missing.
//!
//! Truncations come one after the other, and closing waits for them. The removal is done without the writer's lock:
//! it takes long, and others append meanwhile. No segment is created under the name of one that is being removed, as
//! names are numbers, which are given out once.

use std::sync::Arc;

use super::super::Engine;
use super::super::failure::PanicGuard;
use super::super::segments::SegmentEntry;
use super::super::state::State;
use super::flush::Purpose;
use super::segment_writer::SegmentWriter;
use crate::sync::{MutexGuard, lock};
use crate::{Error, ErrorKind, Event, Lsn, Result};

/// The segments that a truncation made void, ascending.
type Void = Vec<Arc<SegmentEntry>>;

impl Engine {
    /// Removes all records before `lsn`; returns the first one that is left, or the number of the next one.
    pub(crate) fn truncate_before(&self, lsn: Lsn) -> Result<Lsn> {
        self.enter()?;
        let _guard = PanicGuard::of(self);
        let _alone = lock(&self.truncation);
        let Some((log_start, void)) = self.begin_at(lsn)? else { return Ok(self.first_lsn()) };
        self.remove_segments(&void)?;
        self.keep_reserve(&lock(&self.writer), 0);
        self.emit(&Event::TruncatedBefore { log_start });
        Ok(log_start)
    }

    /// Runs something beside which no truncation runs.
    pub(crate) fn without_truncation<T>(&self, run: impl FnOnce() -> T) -> T {
        let _alone = lock(&self.truncation);
        run()
    }

    /// Removes all records after `lsn`; their numbers are not given out again.
    pub(crate) fn truncate_after(&self, lsn: Lsn) -> Result<Lsn> {
        self.enter()?;
        let _guard = PanicGuard::of(self);
        let _alone = lock(&self.truncation);
        let Some((last_lsn, void)) = self.end_at(lsn)? else { return Ok(self.last_lsn()) };
        self.remove_segments(&void)?;
        self.keep_reserve(&lock(&self.writer), 0);
        self.emit(&Event::TruncatedAfter { last_lsn });
        Ok(last_lsn)
    }

    /// Moves the start of the log to the first record from `lsn` on; what is void then. `None` if it starts there
    /// or later.
    fn begin_at(&self, lsn: Lsn) -> Result<Option<(Lsn, Void)>> {
        let mut w = lock(&self.writer);
        let _reserve = self.open_reserve();
        w.last_resort = self.segments.oldest_before(lsn);
        let begun = self.begin_with(&mut w, lsn);
        w.last_resort = None;
        begun
    }

    /// The same, with the writer locked.
    fn begin_with(&self, w: &mut SegmentWriter, lsn: Lsn) -> Result<Option<(Lsn, Void)>> {
        let mut st = self.write_upto(w, lsn)?;
        let placed = &mut st.placement;
        let lsn = if lsn > placed.last_lsn() {
            placed.next_lsn()
        } else {
            // In a gap there is no record: the log starts with the one behind it.
            self.segments.locate(lsn).map_or(lsn, |holder| lsn.max(holder.header.first_lsn))
        };
        if lsn <= placed.first_lsn() {
            return Ok(None);
        }
        placed.start_at(lsn);
        let void = self.segments.before(lsn);
        st.roll(&self.layout, &*self.clock);
        drop(st);
        self.flush(w, Purpose::Write)?;
        self.segments.forget(&void);
        Ok(Some((lsn, void)))
    }

    /// Moves the end of the log to the last record up to `lsn`; what is void then. `None` if it ends there or before.
    fn end_at(&self, lsn: Lsn) -> Result<Option<(Lsn, Void)>> {
        let mut w = lock(&self.writer);
        let _reserve = self.open_reserve();
        let mut st = self.write_upto(&mut w, lsn)?;
        let (log_start, last_lsn) = (st.placement.log_start(), st.placement.last_lsn());
        if lsn >= last_lsn {
            return Ok(None);
        }
        if lsn < log_start.prev() {
            return Err(Error::new(ErrorKind::NotInLog, "truncate")
                .with_lsn(lsn)
                .with_detail(format!("the log starts at LSN {log_start}")));
        }
        // In a gap that an earlier truncation left, the end is what that one kept: following a
        // void LSN would bring it back.
        let lsn = self.segments.last_live(lsn).unwrap_or(log_start.prev());
        st.placement.end_at(lsn);
        st.roll(&self.layout, &*self.clock);
        drop(st);
        self.flush(&mut w, Purpose::Write)?;
        let newest = w.active_name().expect("rolled");
        let (void, kept) = self.segments.split_behind(lsn, newest);
        kept.iter().for_each(|segment| segment.limit_to(lsn));
        self.segments.forget(&void);
        Ok(Some((lsn, void)))
    }

    /// Writes what was appended so far, so that the segments tell which records there are up to `lsn`.
    fn write_upto(&self, w: &mut SegmentWriter, lsn: Lsn) -> Result<MutexGuard<'_, State>> {
        let flushed = self.flush(w, Purpose::Write)?;
        let st = self.live("truncate")?;
        if lsn <= flushed.captured.lsn() || lsn > st.placement.last_lsn() {
            return Ok(st);
        }
        // It was appended in the meantime.
        drop(st);
        self.flush(w, Purpose::Write)?;
        self.live("truncate")
    }

    /// Removes segments in one call, of which a crash may leave any. Called without the writer's lock.
    fn remove_segments(&self, void: &[Arc<SegmentEntry>]) -> Result<()> {
        // A log that has failed in the meantime removes nothing: the next recovery does.
        self.check("truncate")?;
        // Nor does one that another owner has by now. That owner may not have seen the truncation.
        self.confirm(None)?;
        let names: Vec<Lsn> = void.iter().map(|segment| segment.header.first_lsn).collect();
        let Some(&first) = names.first() else { return Ok(()) };
        let removed = self.storage.remove(&names).wait();
        removed.map_err(|e| {
            let segment = e.segment().unwrap_or(first);
            self.fail(e.with_segment(segment))
        })?;
        names.into_iter().for_each(|first_lsn| self.emit(&Event::SegmentRemoved { first_lsn }));
        Ok(())
    }
}
