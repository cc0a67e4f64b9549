//! What was copied.

use std::fmt;
use std::time::Duration;

use wal_core::{Copied, Lsn};

use crate::report::{Finding, Report};

/// What a [`Backup`](super::Backup) copied.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BackupReport {
    /// The log's identity in hexadecimal digits, which the copy has as well; `None` for an empty place.
    pub log_id: Option<String>,
    /// Records in the copy.
    pub records: u64,
    /// The first of them; `next_lsn` if there is none.
    pub first_lsn: Lsn,
    /// The last of them; before `first_lsn` if there is none.
    pub last_lsn: Lsn,
    /// What the next record would get in the copy.
    pub next_lsn: Lsn,
    /// Segments that were copied.
    pub segments: u64,
    /// Bytes of these, those included that are shared.
    pub bytes: u64,
    /// How many of them take no space of their own yet, as the file system shares them (a *reflink*).
    pub shared_bytes: u64,
    /// What may be missing in the source, and so in the copy.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub elapsed: Duration,
}

impl BackupReport {
    pub(super) fn new(found: &Report, copied: Vec<Copied>, elapsed: Duration) -> Self {
        let missing = found.findings.iter().filter(|finding| finding.may_miss_records());
        BackupReport {
            log_id: found.log_id.clone(),
            records: found.records,
            first_lsn: found.first_lsn,
            last_lsn: found.last_lsn,
            next_lsn: found.next_lsn,
            segments: copied.len() as u64,
            bytes: copied.iter().map(|copied| copied.bytes).sum(),
            shared_bytes: copied.iter().map(|copied| copied.shared).sum(),
            findings: missing.cloned().collect(),
            elapsed,
        }
    }
}

/// One line.
impl fmt::Display for BackupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.records {
            0 => write!(f, "no records, the next one gets LSN {}", self.next_lsn)?,
            records => write!(f, "{records} records, LSN {} to {}", self.first_lsn, self.last_lsn)?,
        }
        write!(
            f,
            "; {} segments, {} bytes, {} of them shared",
            self.segments, self.bytes, self.shared_bytes
        )
    }
}
