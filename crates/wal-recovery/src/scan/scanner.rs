//! The scan of a whole log, by several threads.

use wal_core::{Access, Error, ErrorKind, Listing, LogStorage, Result};

use crate::memory::Memory;
use crate::mode::Verify;
use crate::scan::chain::{Status, chain, moved_behind};
use crate::scan::ends;
use crate::scan::found::{Found, Scan};
use crate::scan::identity::{check_identity, list};
use crate::scan::judge::judge;
use crate::scan::options::ScanOptions;
use crate::scan::owners::Standing;
use crate::scan::parallel;
use crate::scan::times;
use crate::segment::header;
use crate::segment::outcome::Walk;
use crate::segment::walk::{Manner, walk};
use crate::watch::Watch;

/// Scans a log, and can do it again.
pub(crate) struct Scanner {
    verify: Verify,
    threads: usize,
    /// Whether a writer may be running.
    beside_writer: bool,
    /// Whether it scans for somebody who repairs whatever is damaged.
    repairs: bool,
    pub(crate) watch: Watch,
}

/// What is in a place.
pub(crate) enum Scanned {
    Log(Scan),
    /// Nothing, or nothing but names that are not the log's.
    Empty(Listing),
}

impl Scanner {
    /// The time begins to run.
    pub(crate) fn new(options: ScanOptions, beside_writer: bool, repairs: bool) -> Self {
        let memory = Memory::new(options.memory);
        let threads = memory.threads(options.threads());
        let ScanOptions { verify, time, progress, .. } = options;
        let watch = Watch::new(time, memory, progress);
        Scanner { verify, threads, beside_writer, repairs, watch }
    }

    /// Scans the log.
    ///
    /// # Errors
    /// The storage's; `TimedOut`; `NotALog` if there is something, but no log; `Unsupported` for a segment
    /// of another version; `Corrupt` if the segments are not those of one log; `OutOfMemory` for a frame that is larger
    /// than the limit allows. Damage is no error here.
    pub(crate) fn scan(&self, storage: &dyn LogStorage) -> Result<Scanned> {
        let memory = self.watch.memory();
        let scanned = match self.scan_by(self.threads, storage) {
            // One thread may hold a larger frame than each of many.
            Err(error) if error.kind() == ErrorKind::OutOfMemory && self.threads > 1 => {
                self.scan_by(1, storage)
            }
            scanned => scanned,
        };
        memory.share_among(1);
        scanned
    }

    fn scan_by(&self, threads: usize, storage: &dyn LogStorage) -> Result<Scanned> {
        let watch = &self.watch;
        watch.memory().share_among(threads);
        let listing = list(storage)?;
        if listing.segments.is_empty() {
            return Ok(Scanned::Empty(listing));
        }
        let names = &listing.segments;
        let mut found = parallel::map(names.len(), threads, |i| {
            watch.check()?;
            let opened = header::read(storage, names[i])?;
            let (len, header) = (opened.len, opened.header(self.repairs));
            let status = Status::Unreadable;
            Ok(Found { name: names[i], len, header, status, is_replacement: false, walk: None })
        })?;
        let identity = check_identity(found.iter().map(|f| &f.header))?;
        let chain = chain(found.iter().map(|f| (f.name, &f.header)));
        let live: Vec<usize> = (0..found.len())
            .filter(|&i| matches!(chain.statuses[i], Status::Live { .. }))
            .collect();
        watch.begin(live.len(), live.iter().map(|&i| found[i].len).sum())?;
        let walks = parallel::map(live.len(), threads, |at| {
            let next = live.get(at + 1).map(|&i| &found[i]);
            let walk = self.walk_one(storage, &found[live[at]], next)?;
            watch.segment_done()?;
            Ok(walk)
        })?;
        for (&i, walk) in live.iter().zip(walks) {
            found[i].walk = Some(walk);
        }
        let standings = chain.standings.into_iter();
        for ((found, status), standing) in found.iter_mut().zip(chain.statuses).zip(standings) {
            found.status = status;
            found.is_replacement = standing == Standing::Replacement;
        }
        let mut scan = Scan {
            segments: found,
            log_id: identity.log_id,
            codec: identity.codec,
            layers: identity.layers,
            read_only: identity.read_only,
            log_start: chain.log_start,
            next_generation: identity.next_generation,
            missing: chain.missing,
            damages: Vec::new(),
            findings: Vec::new(),
            unsupported: None,
            foreign: listing.foreign,
        };
        judge(&mut scan);
        scan.findings = ends::findings(&scan);
        scan.findings.extend(times::findings(&scan, storage, watch)?);
        Ok(Scanned::Log(scan))
    }

    fn walk_one(
        &self,
        storage: &dyn LogStorage,
        found: &Found,
        next: Option<&Found>,
    ) -> Result<Walk> {
        let at = |e: Error| e.with_segment(found.name);
        let header = found.expect_header();
        let segment = storage.open(found.name, Access::Read).wait().map_err(at)?;
        let manner = Manner {
            newest: next.is_none(),
            moved_behind: next.and_then(|next| moved_behind(header, next.expect_header())),
            in_full: self.verify == Verify::All,
            beside_writer: self.beside_writer,
        };
        walk(&segment, header, found.len, manner, &self.watch).map_err(at)
    }
}
