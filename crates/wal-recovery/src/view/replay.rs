//! Applying the records of a log to something.

use std::time::Duration;

use bytes::Bytes;
use wal_core::{Clock, Entry, Error, ErrorKind, Lsn, Recent, Result};

use crate::mode::Until;
use crate::report::Hole;
use crate::scan::times::is_ahead;
use crate::view::View;
use crate::view::lend::{Lent, Wanted};
use crate::watch::TimeLimit;

/// What was done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Applied {
    /// It took effect.
    Applied,
    /// It did not matter, for instance because it had been applied before.
    Skipped,
}

/// What a replay did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ReplayReport {
    /// Records that were read.
    pub total: u64,
    /// Records that took effect.
    pub applied: u64,
    /// Records that did not matter.
    pub skipped: u64,
    /// Records that could not be read; of a hole at the end it is not known how many.
    pub corrupted: u64,
    /// Where they are missing.
    pub holes: Vec<Hole>,
    /// The last record that was read; `ZERO` if there was none.
    pub last_lsn: Lsn,
    /// How long it took.
    pub elapsed: Duration,
}

impl View {
    /// Reads the records from `from` ([`Lsn::ZERO`]: from the start) up to `until` or the present end,
    /// and hands each to `apply`.
    ///
    /// ```
    /// use wal_core::{Lsn, MemoryStorage};
    /// use wal_recovery::{Applied, Until, View};
    /// let view = View::open(MemoryStorage::new())?;
    /// let report = view.replay(Lsn::ZERO, Until::End, |entry| {
    ///     println!("{}: {} bytes", entry.lsn, entry.record.len());
    ///     Ok(Applied::Applied)
    /// })?;
    /// assert_eq!(report.total, 0);
    /// # Ok::<(), wal_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `apply` returned; `Corrupt`, unless [`skip_corrupted`](Self::skip_corrupted); `NotInLog` if
    /// `from` was truncated; `TimedOut` behind the [`time_limit`](Self::time_limit); `Invalid` if it would end at a time, in
    /// front of a record whose time lies ahead of the clock, unless [`allow_times_ahead`](Self::allow_times_ahead). Records in
    /// front of the error were applied.
    pub fn replay(
        &self,
        from: Lsn,
        until: Until,
        mut apply: impl FnMut(Entry<Bytes>) -> Result<Applied>,
    ) -> Result<ReplayReport> {
        self.read(from, until, |Entry { lsn, timestamp, record, .. }| {
            apply(Entry::new(lsn, timestamp, record.keep()))
        })
    }

    /// The same, but each record is only lent: for a caller that is done with a record when it returns.
    /// With small records it is quicker, as nothing is counted or allocated for one.
    ///
    /// ```
    /// use wal_core::{Lsn, MemoryStorage};
    /// use wal_recovery::{Applied, Until, View};
    /// let view = View::open(MemoryStorage::new())?;
    /// let mut bytes = 0;
    /// view.visit(Lsn::ZERO, Until::End, |entry| {
    ///     bytes += entry.record.len();
    ///     Ok(Applied::Applied)
    /// })?;
    /// assert_eq!(bytes, 0);
    /// # Ok::<(), wal_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As of [`replay`](Self::replay).
    pub fn visit(
        &self,
        from: Lsn,
        until: Until,
        mut apply: impl FnMut(Entry<&[u8]>) -> Result<Applied>,
    ) -> Result<ReplayReport> {
        self.read(from, until, |Entry { lsn, timestamp, record, .. }| {
            apply(Entry::new(lsn, timestamp, record.bytes))
        })
    }

    fn read(
        &self,
        from: Lsn,
        until: Until,
        mut apply: impl FnMut(Entry<Lent<'_>>) -> Result<Applied>,
    ) -> Result<ReplayReport> {
        let mut report = ReplayReport::default();
        let mut stopwatch = Stopwatch::start(&self.time);
        let mut records = self.records(from);
        if !matches!(until, Until::Lsn(last) if from > last) {
            records.lend(|entry| {
                let beyond = match until {
                    Until::End => false,
                    Until::Lsn(last) => entry.lsn > last,
                    Until::Time(last) => entry.timestamp > last,
                };
                if beyond {
                    return self.may_end_before(&entry, until).map(|()| Wanted::Enough);
                }
                let lsn = entry.lsn;
                stopwatch.glance(report.total)?;
                report.total += 1;
                report.last_lsn = lsn;
                match apply(entry)? {
                    Applied::Applied => report.applied += 1,
                    Applied::Skipped => report.skipped += 1,
                }
                let is_last = matches!(until, Until::Lsn(last) if lsn >= last);
                Ok(if is_last { Wanted::Enough } else { Wanted::More })
            })?;
        }
        report.elapsed = stopwatch.look(report.total)?;
        report.holes = records.holes().to_vec();
        report.corrupted =
            report.holes.iter().map(|hole| hole.before.since(hole.after).saturating_sub(1)).sum();
        Ok(report)
    }

    /// Whether the replay may end in front of this record, as what was asked for ends there.
    fn may_end_before<T>(&self, entry: &Entry<T>, until: Until) -> Result<()> {
        let is_by_time = matches!(until, Until::Time(_));
        if !is_by_time || self.times_ahead || !is_ahead(entry.timestamp, self.time.clock.wall()) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, "replay log").with_lsn(entry.lsn).with_detail(format!(
            "a time says nothing here: the next record has a time ahead of the clock, {}; it was ahead when the record was \
             appended, or it is behind now; end the replay at an LSN instead",
            entry.timestamp
        )))
    }
}

/// Holds a replay to its time limit.
struct Stopwatch<'a> {
    clock: &'a dyn Clock,
    recent: Recent,
    started: Duration,
    limit: Option<Duration>,
}

impl<'a> Stopwatch<'a> {
    fn start(time: &'a TimeLimit) -> Self {
        let (clock, limit) = (&*time.clock, time.limit);
        let mut recent = Recent::default();
        let started = clock.monotonic_since(&mut recent);
        Stopwatch { clock, recent, started, limit }
    }

    /// Called for each record. Without a limit there is nothing to look at.
    #[inline]
    fn glance(&mut self, records: u64) -> Result<()> {
        if self.limit.is_none() { Ok(()) } else { self.look(records).map(drop) }
    }

    /// The time since the start, if it is within the limit.
    fn look(&mut self, records: u64) -> Result<Duration> {
        let passed = self.clock.monotonic_since(&mut self.recent).saturating_sub(self.started);
        match self.limit {
            Some(limit) if passed > limit => Err(Error::new(ErrorKind::TimedOut, "replay log")
                .with_detail(format!(
                    "{passed:?} have passed, allowed are {limit:?}; {records} records were read"
                ))),
            _ => Ok(passed),
        }
    }
}
