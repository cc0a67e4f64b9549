//! Looking at a log without changing it.

use std::sync::Arc;
use std::time::Duration;

use wal_core::{Clock, Error, ErrorKind, LogStorage, Result, SystemClock};

use crate::mode::Verify;
use crate::report::Report;
use crate::scan::parallel;
use crate::scan::scanner::{Options, Scan, scan};
use crate::watch::{Callback, Progress, Watch};

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
    verify: Verify,
    threads: Option<usize>,
    time_limit: Option<Duration>,
    clock: Arc<dyn Clock>,
    progress: Option<Callback>,
}

impl std::fmt::Debug for Inspect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspect")
            .field("storage", &self.storage.describe())
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}

impl Inspect {
    /// A look at the log in `storage`.
    #[must_use]
    pub fn new(storage: impl LogStorage) -> Self {
        Inspect {
            storage: Arc::new(storage),
            verify: Verify::All,
            threads: None,
            time_limit: None,
            clock: Arc::new(SystemClock::new()),
            progress: None,
        }
    }

    /// How closely to look at sealed segments; [`Verify::All`] if not called.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// How many segments are scanned at once: 1 to 256. As many as the machine has processors, up to 8,
    /// if not called.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// How long it may take; then [`run`](Self::run) fails with `TimedOut`.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Where the time comes from; the operating system if not called.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Called about every 256 KiB, and after each segment, from any of the threads, one call at a time.
    #[must_use]
    pub fn progress(mut self, tell: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.progress = Some(Box::new(tell));
        self
    }

    /// Scans the log. Damage is in the report, it is not an error.
    ///
    /// Beside a running writer the report may show its last write as a torn tail.
    ///
    /// # Errors
    /// `NotALog` if the place holds something else; `Unsupported` if a newer build wrote the log;
    /// `Corrupt` if no segment's header can be read or the segments are not of one log; `TimedOut`;
    /// the storage's errors.
    pub fn run(self) -> Result<Report> {
        let threads = self.threads.unwrap_or_else(parallel::threads);
        if !(1..=256).contains(&threads) {
            return Err(Error::new(ErrorKind::Invalid, "inspect log")
                .detail(format!("threads is {threads}, allowed are 1 to 256")));
        }
        let watch = Watch::new(self.clock, self.time_limit, self.progress);
        let options = Options { verify: self.verify, threads, beside_writer: true };
        let storage = &*self.storage;
        let mut before: Option<Scan> = None;
        for last in (0..TRIES).map(|n| n + 1 == TRIES) {
            let scan = match scan(storage, options, &watch) {
                Ok(Ok(scan)) => scan,
                Ok(Err(listing)) => {
                    return Ok(Report {
                        elapsed: watch.elapsed(),
                        ..Report::empty(listing.foreign)
                    });
                }
                // A segment was removed between being listed and being read.
                Err(error) if error.kind() == ErrorKind::NotFound && !last => continue,
                Err(error) => return Err(error),
            };
            let suspicious = scan.fatal().is_some() || scan.unsupported.is_some();
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
            .detail("segments came and went faster than they could be read"))
    }
}
