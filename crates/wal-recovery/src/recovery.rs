//! `Recovery`: from a storage to a log that can be opened.

use std::sync::Arc;
use std::time::Duration;

use wal_core::format::{Layers, LogId};
use wal_core::{
    Clock, CodecId, Error, ErrorKind, LogStorage, Lsn, OpenReserve, Recovered, RecoveredParts,
    Result, StorageLock,
};

use crate::memory::Memory;
use crate::mode::{Mode, Until, Verify};
use crate::repair::lost_header::Assumed;
use crate::repair::mend_header::Which;
use crate::repair::{Done, Repair, end_earlier, lost_header, make_room, mend_header, steps};
use crate::report::{DamageKind, Finding, FindingKind, Report};
use crate::scan::found::Scan;
use crate::scan::identity::{list, peek};
use crate::scan::options::ScanOptions;
use crate::scan::scanner::{Scanned, Scanner};
use crate::watch::Progress;

/// Recovers a log, so that it can be opened.
///
/// Takes the writer's lock, scans, repairs as far as the [`Mode`] allows, and makes durable what it
/// returns: every record in [`Recovered`] survives an immediate second crash. All segments are sealed
/// then. A recovery that is itself interrupted can be repeated, with the same outcome.
///
/// ```
/// use wal_core::{Always, MemoryStorage, Wal};
/// use wal_recovery::{Recovery, Verdict};
/// let storage = MemoryStorage::new();
/// let (recovered, _) = Recovery::new(storage.clone()).run()?;
/// let log = Wal::builder(Always).open(recovered)?;
/// log.append(b"first")?;
/// drop(log); // not closed
///
/// let (recovered, report) = Recovery::new(storage).run()?;
/// assert_eq!((report.records, report.clean), (1, false));
/// assert_eq!(report.verdict(), Verdict::Clean);
/// let log = Wal::builder(Always).open(recovered)?;
/// assert_eq!(log.append(b"second")?.get(), 2);
/// # log.close()?;
/// # Ok::<(), wal_core::Error>(())
/// ```
pub struct Recovery {
    storage: Arc<dyn LogStorage>,
    mode: Mode,
    until: Until,
    options: ScanOptions,
    codec: Option<CodecId>,
    layers: Option<Layers>,
    log_id: Option<LogId>,
    save_cut: Option<bool>,
    times_ahead: bool,
    room_before: Option<Lsn>,
}

impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovery")
            .field("storage", &self.storage.describe())
            .field("mode", &self.mode)
            .field("until", &self.until)
            .field("verify", &self.options.verify)
            .finish_non_exhaustive()
    }
}

impl Recovery {
    /// The [memory limit](Self::memory_limit) if none is chosen, in bytes.
    pub const MEMORY_LIMIT: u64 = Memory::DEFAULT;

    /// A recovery of the log in `storage`, in the default mode.
    #[must_use]
    pub fn new(storage: impl LogStorage) -> Self {
        Recovery {
            storage: Arc::new(storage),
            mode: Mode::default(),
            until: Until::default(),
            options: ScanOptions::new(Verify::default()),
            codec: None,
            layers: None,
            log_id: None,
            save_cut: None,
            times_ahead: false,
            room_before: None,
        }
    }

    /// What to do about torn tails and damage; [`Mode::TornTail`] if not called.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Where the log is to end; [`Until::End`] if not called.
    #[must_use]
    pub fn until(mut self, until: Until) -> Self {
        self.until = until;
        self
    }

    /// How closely to look at sealed segments; [`Verify::Footers`] if not called.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.options.verify = verify;
        self
    }

    /// How many segments are scanned at once: 1 to 256. As many as the machine has processors, up to 8,
    /// if not called.
    ///
    /// A log that is well, or whose torn tail is cut, is scanned once. After each step of a repair that
    /// goes further the whole log is scanned again, by as many threads: up to 4 times in all, up to 5 in
    /// the mode [`PointInTime`](Mode::PointInTime) and up to 7 in the mode [`Salvage`](Mode::Salvage).
    /// Such steps are to move an end that nothing proves durable, to take out damage, and to end the log
    /// earlier ([`until`](Self::until)).
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = Some(threads);
        self
    }

    /// How long the first scan may take. Then [`run`](Self::run) fails with `TimedOut`, having changed
    /// nothing. A repair that has begun is not interrupted, nor are the scans that follow its steps (see
    /// [`threads`](Self::threads)): a recovery that repairs may take several times as long.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.options.time.limit = Some(limit);
        self
    }

    /// How much memory may be used for what is read, moved and copied, in bytes: 1 MiB (1048576) or more;
    /// 256 MiB (268435456) if not called.
    ///
    /// Everything that grows with a segment is read, moved and copied in pieces, so a recovery needs no more, however
    /// much nothing proves durable. A frame is held as a whole: it may take half of the limit, and where several
    /// segments are scanned at once, they share that half, or are scanned one after the other. With less than 4 MiB for
    /// each, fewer are scanned at once than [`threads`](Self::threads) says. Copies of what is taken out are in pieces of
    /// a quarter of the limit, up to 16 MiB; each has a name of its own.
    ///
    /// Not counted is what the open log needs as well: about a KiB for each segment, and 8 bytes for each 64 KiB of the
    /// log, which is 128 MiB for a TiB; a recovery has these up to three times for a moment.
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.options.memory = bytes;
        self
    }

    /// Where the time comes from; the operating system if not called.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.options.time.clock = Arc::new(clock);
        self
    }

    /// The codec that the log is to be opened with. If another one wrote the log, [`run`](Self::run) fails as
    /// `CodecMismatch` before it changes anything. If not called, any codec will do, and opening finds out.
    ///
    /// A salvage of a log of which no header is left takes this one; [`CodecId::RAW`] if not called.
    #[must_use]
    pub fn codec(mut self, id: CodecId) -> Self {
        self.codec = Some(id);
        self
    }

    /// The layers that the log is to be opened with. If it was written through others, [`run`](Self::run) fails as
    /// `LayerMismatch` before it changes anything. If not called, any will do, and opening finds out.
    ///
    /// A salvage of a log of which no header is left takes these; none if not called.
    #[must_use]
    pub fn layers(mut self, layers: Layers) -> Self {
        self.layers = Some(layers);
        self
    }

    /// The identity of the log that is begun if the place is empty, or if a salvage finds no header that tells it; a
    /// random one if not called. A log that exists keeps its own.
    #[must_use]
    pub fn log_id(mut self, id: LogId) -> Self {
        self.log_id = Some(id);
        self
    }

    /// Whether [`Until::Time`] ends the log also if records have times that lie ahead of the clock; not, if not called.
    ///
    /// If the clock was ahead when records were appended, "until now" would take all of them out, though they are old. So
    /// [`run`](Self::run) fails as `Invalid` then, and says which records these are.
    #[must_use]
    pub fn allow_times_ahead(mut self, allow: bool) -> Self {
        self.times_ahead = allow;
        self
    }

    /// Which segments may be removed if the disk is full and there is no [reserve](LogStorage::fill_reserve): those of
    /// which every record is before `lsn`, the oldest first, and no more than needed. None, if not called.
    ///
    /// Call it before a truncation at the front, which removes them in any case: it may be what makes room. If it never
    /// comes, the next recovery says that the front is missing ([`FindingKind::Front`]).
    #[must_use]
    pub fn make_room_before(mut self, lsn: Lsn) -> Self {
        self.room_before = Some(lsn);
        self
    }

    /// Whether a torn tail is copied, by [`LogStorage::set_aside`], before it is cut. If not called: not
    /// in the mode `TornTail`, but in the modes `PointInTime` and `Salvage`. These, and
    /// [`until`](Self::until), always copy everything else that they take out.
    #[must_use]
    pub fn save_cut(mut self, save: bool) -> Self {
        self.save_cut = Some(save);
        self
    }

    /// Called about every 256 KiB of the scan, and after each segment, from any of its threads, one
    /// call at a time.
    #[must_use]
    pub fn progress(mut self, tell: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.options.progress = Some(Box::new(tell));
        self
    }

    /// Recovers the log. In an empty place a new one begins; nothing is written for it yet.
    ///
    /// # Errors
    /// In all of these cases nothing was changed, but that the mode `Salvage` may have put copies aside, and
    /// mended headers or made new ones, before it met something that it cannot help:
    /// - `Locked`: another writer holds the log.
    /// - `NotALog`: the place holds something else.
    /// - `TornTail`: the mode is `Strict`, and the log ends in an incomplete write.
    /// - `Corrupt`: the mode is `Strict` or `TornTail`, and bytes that had been durable are damaged; or
    ///   the segments are not of one log.
    /// - `Unsupported`: a newer build wrote this log.
    /// - `CodecMismatch`, `LayerMismatch`: it was written with another codec, or through other layers, than those that
    ///   were named by [`codec`](Self::codec) and [`layers`](Self::layers).
    /// - `NotInLog`: the log starts behind [`Until::Lsn`].
    /// - `OutOfMemory`: a frame is larger than the [memory limit](Self::memory_limit) allows. The message says how large
    ///   it is.
    /// - `Invalid`: it is to end at a time, and records have times ahead of the clock
    ///   ([`allow_times_ahead`](Self::allow_times_ahead)); or a setting is out of its range.
    /// - `TimedOut`.
    ///
    /// An error of the storage itself (`Io`, `Full`, `Denied`) may come up at any moment. It is never
    /// taken for damage, and recovering again finishes what was begun. On a full disk a recovery uses the
    /// [reserve](LogStorage::fill_reserve); `Full` says that it was too small. Then
    /// [`make_room_before`](Self::make_room_before) helps.
    pub fn run(self) -> Result<(Recovered, Report)> {
        self.options.validate("recover log")?;
        // Nothing of ours, not even a lock, is left in a place that is somebody else's.
        let listing = list(&*self.storage)?;
        let repairs = matches!(self.mode, Mode::PointInTime | Mode::Salvage);
        peek(&*self.storage, &listing, repairs)?;
        let lock = self.storage.lock().wait()?;
        let run = Run {
            storage: self.storage,
            mode: self.mode,
            until: self.until,
            codec: self.codec,
            layers: self.layers,
            save_cut: self.save_cut,
            times_ahead: self.times_ahead,
            room_before: self.room_before,
            scanner: Scanner::new(self.options, false, repairs),
        };
        let reserve_bytes = run.storage.reserve().wait()?;
        let recovered = run.recover(lock, self.log_id);
        let (recovered, report) =
            recovered.map_err(|error| run.scanner.watch.memory().explain(error))?;
        Ok((recovered, Report { reserve_bytes, ..report }))
    }
}

struct Run {
    storage: Arc<dyn LogStorage>,
    mode: Mode,
    until: Until,
    codec: Option<CodecId>,
    layers: Option<Layers>,
    save_cut: Option<bool>,
    times_ahead: bool,
    room_before: Option<Lsn>,
    scanner: Scanner,
}

impl Run {
    fn recover(&self, mut lock: StorageLock, log_id: Option<LogId>) -> Result<(Recovered, Report)> {
        let watch = &self.scanner.watch;
        let _reserve = OpenReserve::of(&*self.storage);
        let mut mended = Vec::new();
        let mut found = self.scan_as_owner(&mut lock)?;
        let mut repair = self.repair(&lock);
        let which = match self.mode {
            Mode::Salvage => Some(Which::All),
            Mode::PointInTime => Some(Which::Versions),
            Mode::Strict | Mode::TornTail => None,
        };
        if let Some(which) = which.filter(|_| lacks_header(&found)) {
            mend_header::headers(&mut repair, which, &mut mended)?;
            if self.mode == Mode::Salvage {
                let (codec, layers) = (self.codec, self.layers);
                lost_header::restore(&mut repair, &Assumed { log_id, codec, layers }, &mut mended)?;
            }
            // The copy of a segment is that of its header; damage in what follows is copied as well.
            repair.done.saved.clear();
            if !mended.is_empty() {
                // Now these headers tell of their owners as well.
                found = self.scan_as_owner(&mut lock)?;
                repair.owner = lock.owner();
            }
        }
        let scan = match found? {
            Scanned::Log(scan) => scan,
            Scanned::Empty(listing) => {
                let report = Report { elapsed: watch.elapsed(), ..Report::empty(listing.foreign) };
                let log_id = log_id.map_or_else(LogId::random, Ok)?;
                return Ok((Recovered::empty(self.storage.clone(), lock, log_id)?, report));
            }
        };
        self.allow(&scan)?;
        watch.check()?;
        watch.disarm();
        let (scan, mut report) = self.take_steps(scan, &mut repair)?;
        report.damages.splice(0..0, mended);
        let done = repair.done;
        let records = scan.span().records;
        report.skipped = (report.records + report.skipped).saturating_sub(records);
        report.records = records;
        (report.cut, report.holes) = (done.cut, done.holes);
        report.rewritten_bytes = done.rewritten;
        report.elapsed = watch.elapsed();
        let mut parts = RecoveredParts::new(self.storage.clone(), lock, scan.log_id);
        parts.codec = Some(scan.codec);
        parts.layers = Some(scan.layers);
        parts.segments = scan.recovered_segments();
        parts.next_generation = scan.next_generation;
        parts.events = done.events;
        let recovered = Recovered::assert_recovered(parts);
        report.first_lsn = recovered.first_lsn();
        report.last_lsn = recovered.last_lsn();
        report.next_lsn = recovered.next_lsn();
        #[cfg(feature = "tracing")]
        tracing::info!(
            log = %recovered.log_id(),
            records,
            next = %report.next_lsn,
            verdict = %report.verdict(),
            elapsed = ?report.elapsed,
            "recovered"
        );
        Ok((recovered, report))
    }

    /// Repairs what was scanned, and makes room for that where there is none. What there is in the end, and a report of what
    /// was found.
    fn take_steps(&self, mut scan: Scan, repair: &mut Repair<'_>) -> Result<(Scan, Report)> {
        let mut report = scan.report();
        loop {
            match steps::run(scan, self.mode, self.until, repair) {
                Err(error) if error.kind() == ErrorKind::Full => {
                    scan = make_room::remove_one(repair, self.room_before)?.ok_or(error)?;
                    self.allow(&scan)?;
                    report = scan.report();
                }
                outcome => return outcome.map(|scan| (scan, report)),
            }
        }
    }

    /// Whether the log can be opened as the caller means to, and whether the mode has an answer to what is wrong.
    fn allow(&self, scan: &Scan) -> Result<()> {
        if let Some(wanted) = self.codec
            && wanted != scan.codec
        {
            return Err(Error::new(ErrorKind::CodecMismatch, "recover log").with_detail(format!(
                "the log in {} was written with codec {}, it is to be opened with {wanted}",
                self.storage.describe(),
                scan.codec
            )));
        }
        if let Some(wanted) = self.layers
            && wanted != scan.layers
        {
            return Err(Error::new(ErrorKind::LayerMismatch, "recover log").with_detail(format!(
                "the log in {} was written through {}, it is to be opened with {wanted}",
                self.storage.describe(),
                scan.layers
            )));
        }
        if let Some(error) = &scan.read_only {
            return Err(error.clone());
        }
        if let Some(error) = scan.unsupported.as_ref().filter(|_| self.mode != Mode::Salvage) {
            return Err(error.clone());
        }
        #[cfg(feature = "tracing")]
        for damage in &scan.damages {
            tracing::warn!(%damage, mode = %self.mode, "damage");
        }
        let unbearable = match self.mode {
            Mode::Strict => scan.fatal().or(scan.damages.first()),
            Mode::TornTail => scan.fatal(),
            Mode::PointInTime | Mode::Salvage => None,
        };
        unbearable.map_or(Ok(()), |damage| Err(damage.error()))?;
        let ahead = scan.findings.iter().find(|finding| finding.kind == FindingKind::Ahead);
        if let (Until::Time(_), false, Some(finding)) = (self.until, self.times_ahead, ahead) {
            return Err(cut_by_time(finding));
        }
        if let Until::Lsn(lsn) = self.until
            && lsn < scan.log_start.prev()
            && scan.span().records > 0
        {
            return Err(end_earlier::before_start(scan, lsn));
        }
        Ok(())
    }

    /// Scans the log, as an owner whose epoch is above those in the log. The storage may have forgotten them, such as in
    /// a copy of nothing but the segments.
    ///
    /// # Errors
    /// Those of the fence. What the scan could not do is inside.
    fn scan_as_owner(&self, lock: &mut StorageLock) -> Result<Result<Scanned>> {
        let found = self.scanner.scan(&*self.storage);
        let Ok(Scanned::Log(scan)) = &found else { return Ok(found) };
        let (own, largest) = (lock.owner().epoch, scan.largest_epoch());
        // A storage that does not tell its owners apart says 0.
        let is_behind = own > 0 && own <= largest;
        if !is_behind {
            return Ok(found);
        }
        lock.raise(largest)?;
        // What counts is what is read by the owner.
        Ok(self.scanner.scan(&*self.storage))
    }

    fn repair(&self, lock: &StorageLock) -> Repair<'_> {
        let saves = matches!(self.mode, Mode::PointInTime | Mode::Salvage);
        Repair {
            storage: &*self.storage,
            owner: lock.owner(),
            fence: lock.fence().clone(),
            scanner: &self.scanner,
            save_tail: self.save_cut.unwrap_or(saves),
            done: Done::default(),
        }
    }
}

/// The error for a log that is to be ended by a time, and has times ahead of the clock.
fn cut_by_time(finding: &Finding) -> Error {
    Error::new(ErrorKind::Invalid, "recover log")
        .with_segment(finding.segment)
        .with_detail(format!("a time says nothing here: {finding}; end the log at an LSN instead"))
}

/// Whether the header of some segment that matters cannot be read.
fn lacks_header(found: &Result<Scanned>) -> bool {
    match found {
        Ok(Scanned::Log(scan)) => {
            scan.damages.iter().any(|damage| damage.kind == DamageKind::Header)
        }
        Ok(Scanned::Empty(_)) => false,
        // Without its magic a segment does not even look like one.
        Err(error) => matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotALog),
    }
}
