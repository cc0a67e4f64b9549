//! Applying the records of a log to something.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use wal_core::{Entry, Error, ErrorKind, Lsn, Result};

use crate::mode::Until;
use crate::report::Hole;
use crate::view::View;

/// What was done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Applied {
    /// It took effect.
    Applied,
    /// It did not matter, for instance because it had been applied before.
    Skipped,
}

/// What a replay did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
    /// What `apply` returned; `Corrupt`, unless [`skip_corrupted`](Self::skip_corrupted); `NotFound` if
    /// `from` was truncated; `TimedOut` behind the [`time_limit`](Self::time_limit).
    pub fn replay(
        &self,
        from: Lsn,
        until: Until,
        mut apply: impl FnMut(Entry<Bytes>) -> Result<Applied>,
    ) -> Result<ReplayReport> {
        let started = self.clock.monotonic();
        let mut report = ReplayReport::default();
        let mut records = self.records(from);
        loop {
            report.elapsed = self.clock.monotonic().saturating_sub(started);
            if let Some(limit) = self.time_limit.filter(|&limit| report.elapsed > limit) {
                return Err(Error::new(ErrorKind::TimedOut, "replay log").detail(format!(
                    "{:?} have passed, allowed are {limit:?}; {} records were read",
                    report.elapsed, report.total
                )));
            }
            if matches!(until, Until::Lsn(last) if records.position() > last) {
                break;
            }
            let Some(entry) = records.next().transpose()? else { break };
            let beyond = match until {
                Until::End => false,
                Until::Lsn(last) => entry.lsn > last,
                Until::Time(last) => entry.timestamp > last,
            };
            if beyond {
                break;
            }
            report.total += 1;
            report.last_lsn = entry.lsn;
            match apply(entry)? {
                Applied::Applied => report.applied += 1,
                Applied::Skipped => report.skipped += 1,
            }
        }
        report.holes = records.holes().to_vec();
        report.corrupted =
            report.holes.iter().map(|hole| hole.before.since(hole.after).saturating_sub(1)).sum();
        Ok(report)
    }
}
