//! Looking at a log without changing it.

use std::sync::Arc;
use std::time::Duration;

use wal_core::{Clock, Error, ErrorKind, LogStorage, Result};

use crate::mode::Verify;
use crate::report::{Finding, Report};
use crate::scan::found::Scan;
use crate::scan::identity::may_be_a_change;
use crate::scan::options::ScanOptions;
use crate::scan::scanner::{Scanned, Scanner};
use crate::watch::Progress;

/// How often a scan is repeated because segments came and went meanwhile.
const TRIES: usize = 5;

/// Verifies every byte of a log, without a lock and without changing anything, also beside a running
/// writer. Takes the defaults of [`Inspect`].
///
/// # Errors
/// As [`Inspect::run`].
pub fn inspect(storage: impl LogStorage) -> Result<Report> {
    Inspect::new(storage).run()
}

/// A look at a log, with options.
///
/// ```
/// use wal_core::MemoryStorage;
/// use wal_recovery::{Inspect, Verdict};
/// let report = Inspect::new(MemoryStorage::new()).threads(2).run()?;
/// assert_eq!((report.records, report.verdict()), (0, Verdict::Clean));
/// println!("{report}");
/// # Ok::<(), wal_core::Error>(())
/// ```
pub struct Inspect {
    storage: Arc<dyn LogStorage>,
    options: ScanOptions,
}

impl std::fmt::Debug for Inspect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspect")
            .field("storage", &self.storage.describe())
            .field("verify", &self.options.verify)
            .finish_non_exhaustive()
    }
}

impl Inspect {
    /// A look at the log in `storage`.
    #[must_use]
    pub fn new(storage: impl LogStorage) -> Self {
        Inspect { storage: Arc::new(storage), options: ScanOptions::new(Verify::All) }
    }

    /// How closely to look at sealed segments; [`Verify::All`] if not called.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.options.verify = verify;
        self
    }

    /// How many segments are scanned at once: 1 to 256. As many as the machine has processors, up to 8,
    /// if not called.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = Some(threads);
        self
    }

    /// How long it may take; then [`run`](Self::run) fails with `TimedOut`.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.options.time.limit = Some(limit);
        self
    }

    /// Where the time comes from; the operating system if not called.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.options.time.clock = Arc::new(clock);
        self
    }

    /// How much memory may be used for what is read, in bytes: 1 MiB (1048576) or more; 256 MiB (268435456) if not called.
    /// See [`Recovery::memory_limit`](crate::Recovery::memory_limit).
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.options.memory = bytes;
        self
    }

    /// Called about every 256 KiB, and after each segment, from any of the threads, one call at a time.
    #[must_use]
    pub fn progress(mut self, tell: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.options.progress = Some(Box::new(tell));
        self
    }

    /// Scans the log. Damage is in the report, it is not an error.
    ///
    /// Beside a running writer the report may show its last write as a torn tail.
    ///
    /// # Errors
    /// `NotALog` if the place holds something else; `Unsupported` if a newer build wrote the log;
    /// `Corrupt` if no segment's header can be read or the segments are not of one log; `TimedOut`;
    /// `OutOfMemory` for a frame that is larger than the [limit](Self::memory_limit) allows; the storage's errors.
    pub fn run(self) -> Result<Report> {
        self.options.validate("inspect log")?;
        let scanner = Scanner::new(self.options, true, false);
        let looked = look(&*self.storage, &scanner);
        let report = looked.map_err(|error| scanner.watch.memory().explain(error))?;
        Ok(Report { reserve_bytes: self.storage.reserve().wait()?, ..report })
    }
}

fn look(storage: &dyn LogStorage, scanner: &Scanner) -> Result<Report> {
    let watch = &scanner.watch;
    let mut before: Option<Scan> = None;
    for last in (0..TRIES).map(|n| n + 1 == TRIES) {
        let scan = match scanner.scan(storage) {
            Ok(Scanned::Log(scan)) => scan,
            Ok(Scanned::Empty(listing)) => {
                return Ok(Report { elapsed: watch.elapsed(), ..Report::empty(listing.foreign) });
            }
            Err(error) if may_be_a_change(&error) && !last => continue,
            Err(error) => return Err(error),
        };
        let suspicious = scan.fatal().is_some()
            || scan.unsupported.is_some()
            || scan.findings.iter().any(Finding::may_miss_records);
        let changing = before.is_none_or(|b| b.fingerprint() != scan.fingerprint());
        // What looks like damage may be a segment that a writer removed or replaced meanwhile:
        // then the next scan finds other segments.
        if suspicious && changing && !last {
            before = Some(scan);
            continue;
        }
        if let Some(error) = scan.unsupported {
            return Err(error);
        }
        return Ok(Report { elapsed: watch.elapsed(), ..scan.report() });
    }
    Err(Error::new(ErrorKind::NotFound, "inspect log")
        .with_detail("segments came and went faster than they could be read"))
}
