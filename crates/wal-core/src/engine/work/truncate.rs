//! Truncation, front and back.
//!
//! Both are made durable by the header of a new segment, which says where the log starts and what it
//! follows. That one file appears atomically, so a truncation either happened or did not; removing
//! the segments that became void is a mere clean-up, which a crash may interrupt at any point.

use super::super::Engine;
use super::super::failure::PanicGuard;
use super::super::segments::SegmentEntry;
use super::flush::Purpose;
use crate::sync::lock;
use crate::{Error, ErrorKind, Event, Lsn, Result};

impl Engine {
    /// Removes all records before `lsn`; returns where the log starts now.
    pub(crate) fn truncate_before(&self, lsn: Lsn) -> Result<Lsn> {
        let _guard = PanicGuard::of(self);
        let mut w = lock(&self.writer);
        self.flush(&mut w, Purpose::Write)?;
        let starts_segment = {
            let mut st = self.live("truncate")?;
            // Behind the last record there is none before the next one.
            let placed = &mut st.placement;
            let lsn = if lsn > placed.last_lsn() { placed.next_lsn() } else { lsn };
            if lsn <= placed.log_start() {
                return Ok(placed.log_start());
            }
            placed.start_at(lsn);
            // A segment that begins there says so by its existence.
            let starts_segment = self.segments.all().iter().any(|s| s.header.first_lsn == lsn);
            if !starts_segment {
                st.roll(&self.layout, &*self.clock);
            }
            starts_segment
        };
        if !starts_segment {
            self.flush(&mut w, Purpose::Write)?;
        }
        let log_start = self.log_start();
        let active = w.active_name();
        let all = self.segments.all();
        let void = all.iter().take_while(|segment| {
            // One that begins there stays, even if it is empty: it alone says which number comes next.
            let first = segment.header.first_lsn;
            first < log_start && segment.last_lsn() < log_start && Some(first) != active
        });
        let void: Vec<_> = void.map(|segment| &**segment).collect();
        if starts_segment {
            // Nothing says where the log starts but that nothing is in front of it. So one at a time, the oldest
            // first: what is left after a crash is still one piece.
            void.iter().try_for_each(|segment| self.remove_segments(&[segment]))?;
        } else {
            // The header of the newest segment says where the log starts, and is durable: whichever of these a
            // crash leaves is told to be a leftover by that alone.
            self.remove_segments(&void)?;
        }
        self.emit(&Event::TruncatedBefore { log_start });
        Ok(log_start)
    }

    /// Removes all records after `lsn`; their numbers are not given out again.
    pub(crate) fn truncate_after(&self, mut lsn: Lsn) -> Result<Lsn> {
        let _guard = PanicGuard::of(self);
        let mut w = lock(&self.writer);
        self.flush(&mut w, Purpose::Write)?;
        {
            let mut st = self.live("truncate")?;
            let (log_start, last_lsn) = (st.placement.log_start(), st.placement.last_lsn());
            if lsn >= last_lsn {
                return Ok(last_lsn);
            }
            if lsn < log_start.prev() {
                return Err(Error::new(ErrorKind::NotInLog, "truncate")
                    .with_lsn(lsn)
                    .with_detail(format!("the log starts at LSN {log_start}")));
            }
            // In a gap that an earlier truncation left, the end is what that one kept: following a
            // void LSN would bring it back.
            lsn = self.segments.last_live(lsn).unwrap_or(log_start.prev());
            st.placement.end_at(lsn);
            st.roll(&self.layout, &*self.clock);
        }
        self.flush(&mut w, Purpose::Write)?;
        let newest = w.active_name().expect("rolled");
        // A leftover is void by the new segment's header. The newest first, one at a time: should that header be
        // damaged later, what is left is still one piece behind the records that were kept.
        for segment in self.segments.all().iter().rev() {
            if segment.header.first_lsn == newest {
                continue;
            }
            segment.limit_to(lsn);
            if segment.header.first_lsn > lsn {
                self.remove_segments(&[segment])?;
            }
        }
        self.emit(&Event::TruncatedAfter { last_lsn: lsn });
        Ok(lsn)
    }

    /// Removes segments in one call, of which a crash may leave any.
    fn remove_segments(&self, segments: &[&SegmentEntry]) -> Result<()> {
        let names: Vec<Lsn> = segments.iter().map(|segment| segment.header.first_lsn).collect();
        let Some(&first) = names.first() else { return Ok(()) };
        segments.iter().for_each(|segment| self.segments.forget(segment.header.generation));
        let removed = self.storage.remove(&names).wait();
        removed.map_err(|e| {
            let segment = e.segment().unwrap_or(first);
            self.fail(e.with_segment(segment))
        })?;
        names.into_iter().for_each(|first_lsn| self.emit(&Event::SegmentRemoved { first_lsn }));
        Ok(())
    }
}
