//! The scan of a whole log: what is there, and what is wrong with it. Changes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use wal_core::format::{LogId, SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{
    Access, CodecId, Error, ErrorKind, Listing, LogStorage, Lsn, Result, Segment, Timestamp,
};

use crate::mode::Verify;
use crate::repair::move_tail;
use crate::report::{Damage, DamageKind};
use crate::scan::chain::{Role, chain};
use crate::scan::parallel;
use crate::segment::header;
use crate::segment::walk::{End, Manner, Walk, walk};
use crate::watch::Watch;

/// How much more than the largest generation seen the next one is, if some header is unreadable.
const GENERATION_LEAP: u64 = 1 << 20;

/// Everything that is known of a log.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Ascending.
    pub(crate) segments: Vec<Found>,
    pub(crate) log_id: LogId,
    pub(crate) codec: CodecId,
    /// No record before this one is valid.
    pub(crate) log_start: Lsn,
    pub(crate) next_generation: u64,
    /// A record whose segment is missing in front of all others.
    pub(crate) missing: Option<Lsn>,
    /// Ascending by place.
    pub(crate) damages: Vec<Damage>,
    /// A frame that only a newer build understands.
    pub(crate) unsupported: Option<Error>,
    pub(crate) foreign: Vec<String>,
}

/// One segment.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: Lsn,
    pub(crate) len: u64,
    pub(crate) header: Result<SegmentHeader>,
    pub(crate) role: Role,
    /// What it holds; of live segments only.
    pub(crate) walk: Option<Walk>,
}

/// A segment that belongs to the log and was walked.
#[derive(Clone, Copy)]
pub(crate) struct Live<'a> {
    pub(crate) header: &'a SegmentHeader,
    pub(crate) walk: &'a Walk,
    pub(crate) limit: Option<Lsn>,
    pub(crate) len: u64,
}

impl Live<'_> {
    /// The last record up to the end of this segment that is valid and not void. If the segment holds
    /// none, that of the one before it: the number before its own first one may be void.
    pub(crate) fn last_lsn(&self) -> Lsn {
        if self.walk.summary.records == 0 {
            return self.header.follows;
        }
        let last = self.walk.last_lsn(self.header);
        self.limit.map_or(last, |limit| last.min(limit))
    }
}

impl Found {
    pub(crate) fn live(&self) -> Option<Live<'_>> {
        let Role::Live { limit } = self.role else { return None };
        let (Ok(header), Some(walk)) = (&self.header, &self.walk) else { return None };
        Some(Live { header, walk, limit, len: self.len })
    }

    /// The header of one that is live.
    fn expect_header(&self) -> &SegmentHeader {
        self.header.as_ref().expect("a live segment has a header")
    }

    /// Whether a truncation left it.
    pub(crate) fn is_leftover(&self) -> bool {
        matches!(self.role, Role::Void | Role::Front)
    }
}

impl Scan {
    /// The live segments whose headers are readable, ascending.
    pub(crate) fn live(&self) -> impl DoubleEndedIterator<Item = Live<'_>> {
        self.segments.iter().filter_map(Found::live)
    }

    /// The newest readable one. There is one in every log.
    pub(crate) fn newest(&self) -> Live<'_> {
        self.live().next_back().expect("the newest readable segment is live")
    }

    /// The last record, or what a new segment would follow if there is none.
    pub(crate) fn last_lsn(&self) -> Lsn {
        self.newest().last_lsn()
    }

    /// Behind every record that the segments hold or their names tell of.
    pub(crate) fn next_lsn(&self) -> Lsn {
        let newest = self.newest();
        newest.walk.last_lsn(newest.header).next().max(newest.header.first_lsn)
    }

    /// The time of the newest frame.
    pub(crate) fn last_time(&self) -> Timestamp {
        let held = self.live().filter(|live| live.walk.summary.records > 0);
        held.map(|live| live.walk.last_time(live.header)).max().unwrap_or_default()
    }

    /// The first damage that may have cost records.
    pub(crate) fn fatal(&self) -> Option<&Damage> {
        self.damages.iter().find(|damage| damage.is_fatal())
    }

    /// The damage in one segment that may have cost records.
    pub(crate) fn fatal_in(&self, name: Lsn) -> Option<&Damage> {
        self.damages.iter().find(|damage| damage.segment == name && damage.is_fatal())
    }

    /// Names and generations: whether a writer was at work shows in them.
    pub(crate) fn fingerprint(&self) -> Vec<(Lsn, Option<u64>)> {
        self.segments
            .iter()
            .map(|found| (found.name, found.header.as_ref().ok().map(|h| h.generation)))
            .collect()
    }
}

/// How to scan.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) verify: Verify,
    pub(crate) threads: usize,
    /// Whether a writer may be running.
    pub(crate) beside_writer: bool,
}

/// The header of a segment and the segment's length.
pub(crate) fn read_header(
    storage: &dyn LogStorage,
    name: Lsn,
) -> Result<(Arc<dyn Segment>, u64, Result<SegmentHeader>)> {
    let at = |e: Error| e.segment(name);
    let segment = storage.open(name, Access::Read).wait().map_err(at)?;
    let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait().map_err(at)?;
    let len = segment.len().wait().map_err(at)?;
    let header = match SegmentHeader::decode(&bytes, name) {
        Ok(header) => header::check(&segment, &header, len).map_err(at)?.map(|()| header),
        Err(error) => Err(error),
    };
    Ok((segment, len, header))
}

/// Scans the log; the listing alone if there are no segments.
///
/// # Errors
/// The storage's; `TimedOut`; `NotALog` if there is something, but no log; `Unsupported` for a segment
/// of another version; `Corrupt` if the segments are not those of one log. Damage is no error here.
pub(crate) fn scan(
    storage: &dyn LogStorage,
    options: Options,
    watch: &Watch,
) -> Result<Result<Scan, Listing>> {
    let listing = list(storage)?;
    if listing.segments.is_empty() {
        return Ok(Err(listing));
    }
    let names = &listing.segments;
    let mut found = parallel::map(names.len(), options.threads, |i| {
        watch.check()?;
        let (_, len, header) = read_header(storage, names[i])?;
        Ok(Found { name: names[i], len, header, role: Role::Unreadable, walk: None })
    })?;
    let identity = check_identity(found.iter().map(|f| &f.header))?;
    let chain = chain(found.iter().map(|f| (f.name, &f.header)));
    let live: Vec<usize> =
        (0..found.len()).filter(|&i| matches!(chain.roles[i], Role::Live { .. })).collect();
    watch.begin(live.len(), live.iter().map(|&i| found[i].len).sum())?;
    let walks = parallel::map(live.len(), options.threads, |at| {
        let next = live.get(at + 1).map(|&i| &found[i]);
        let walk = walk_one(storage, &found[live[at]], next, options, watch)?;
        watch.segment_done()?;
        Ok(walk)
    })?;
    for (&i, walk) in live.iter().zip(walks) {
        found[i].walk = Some(walk);
    }
    for (found, role) in found.iter_mut().zip(chain.roles) {
        found.role = role;
    }
    let mut scan = Scan {
        segments: found,
        log_id: identity.log_id,
        codec: identity.codec,
        log_start: chain.log_start,
        next_generation: identity.next_generation,
        missing: chain.missing,
        damages: Vec::new(),
        unsupported: None,
        foreign: listing.foreign,
    };
    judge(&mut scan);
    Ok(Ok(scan))
}

/// Lists the place.
///
/// # Errors
/// The storage's; `NotALog` if something else is there, but no log.
pub(crate) fn list(storage: &dyn LogStorage) -> Result<Listing> {
    let listing = storage.list().wait()?;
    if listing.segments.is_empty() && !listing.foreign.is_empty() {
        return Err(Error::new(ErrorKind::NotALog, "open log").detail(format!(
            "{} holds no log, but {}",
            storage.describe(),
            listing.foreign.join(", ")
        )));
    }
    Ok(listing)
}

fn walk_one(
    storage: &dyn LogStorage,
    found: &Found,
    next: Option<&Found>,
    options: Options,
    watch: &Watch,
) -> Result<Walk> {
    let at = |e: Error| e.segment(found.name);
    let header = found.expect_header();
    let segment = storage.open(found.name, Access::Read).wait().map_err(at)?;
    let manner = Manner {
        newest: next.is_none(),
        moved_behind: next.and_then(|next| move_tail::moved_behind(header, next.expect_header())),
        in_full: options.verify == Verify::All,
        beside_writer: options.beside_writer,
        blanks: storage.capabilities().recycles,
    };
    walk(&segment, header, found.len, manner, watch).map_err(at)
}

pub(crate) struct Identity {
    log_id: LogId,
    codec: CodecId,
    next_generation: u64,
}

/// Whether all segments are of one log.
///
/// # Errors
/// `Corrupt` if they are not, `Unsupported` if one is of a newer version; the error of a header if none
/// can be read.
pub(crate) fn check_identity<'a>(
    headers: impl Iterator<Item = &'a Result<SegmentHeader>>,
) -> Result<Identity> {
    let mixed = |a: &SegmentHeader, b: &SegmentHeader, what: &str| {
        let (a_lsn, b_lsn) = (a.first_lsn, b.first_lsn);
        Err(Error::new(ErrorKind::Corrupt, "open log")
            .segment(b_lsn)
            .detail(format!("segments {a_lsn} and {b_lsn} are not of one log: {what}")))
    };
    let mut generations = HashMap::new();
    let mut first: Option<&SegmentHeader> = None;
    let mut unreadable: Option<&Error> = None;
    let mut largest = 0;
    for header in headers {
        let header = match header {
            Ok(header) => header,
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error.clone()),
            Err(error) => {
                unreadable = unreadable.or(Some(error));
                continue;
            }
        };
        let one = *first.get_or_insert(header);
        if one.log_id != header.log_id {
            return mixed(one, header, &format!("ids {} and {}", one.log_id, header.log_id));
        }
        if one.codec != header.codec {
            return mixed(one, header, &format!("codecs {} and {}", one.codec, header.codec));
        }
        if let Some(other) = generations.insert(header.generation, header) {
            return mixed(other, header, &format!("both are of generation {}", header.generation));
        }
        largest = largest.max(header.generation);
    }
    let Some(one) = first else {
        return Err(unreadable.expect("there are segments").clone());
    };
    // Of an unreadable segment not even the generation is known.
    let leap = if unreadable.is_some() { GENERATION_LEAP } else { 1 };
    // Headers with a generation near the largest number there is are not read.
    let next_generation = largest + leap;
    Ok(Identity { log_id: one.log_id, codec: one.codec, next_generation })
}

/// Says what is wrong.
fn judge(scan: &mut Scan) {
    let mut damages = Vec::new();
    let mut unsupported = None;
    if let Some(lsn) = scan.missing {
        let oldest = scan.live().next().expect("something follows the gap");
        damages.push(Damage {
            kind: DamageKind::Gap,
            segment: oldest.header.first_lsn,
            offset: 0,
            lsn: scan.log_start.min(lsn),
            bytes: 0,
            reason: format!("the segment that holds LSN {lsn} is missing"),
        });
    }
    for found in &scan.segments {
        if let (Role::Unreadable, Err(error)) = (found.role, &found.header) {
            damages.push(Damage {
                kind: DamageKind::Header,
                segment: found.name,
                offset: error.at_offset().unwrap_or(0),
                lsn: found.name,
                bytes: found.len,
                reason: error.detail_text().to_owned(),
            });
        }
        let Some(live) = found.live() else { continue };
        if let End::Unsupported(error) = &live.walk.end {
            // Behind the limit nothing is read.
            if live.limit.is_none_or(|limit| live.walk.last_lsn(live.header) < limit) {
                unsupported = unsupported.or(Some(error.clone()));
            }
        }
        damages.extend(judge_one(live));
    }
    scan.damages = damages;
    scan.unsupported = unsupported;
}

fn judge_one(live: Live<'_>) -> Option<Damage> {
    let Live { header, walk, limit, .. } = live;
    let last = walk.last_lsn(header);
    let offset = walk.summary.data_end;
    let damage = |kind, extent: u64, reason| {
        let (segment, lsn) = (header.first_lsn, last.next().max(header.first_lsn));
        let bytes = extent.saturating_sub(offset);
        Some(Damage { kind, segment, offset, lsn, bytes, reason })
    };
    let reaches = limit.is_some_and(|limit| last >= limit);
    match &walk.end {
        End::Sealed(_) | End::Open if limit.is_none() || reaches => None,
        End::Sealed(end) => damage(
            DamageKind::Gap,
            *end,
            format!(
                "the segment ends with LSN {last}, the next one follows LSN {}",
                limit.unwrap_or_default()
            ),
        ),
        End::Unsupported(_) | End::Moved => None,
        End::Torn { reason, extent } if limit.is_none() => {
            damage(DamageKind::TornTail, *extent, reason.clone())
        }
        End::Broken { reason, extent } | End::Torn { reason, extent } if reaches => {
            damage(DamageKind::Footer, *extent, format!("no valid footer: {reason}"))
        }
        End::Broken { reason, extent } | End::Torn { reason, extent } => {
            let what = limit.map(|l| format!("; the next segment follows LSN {l}"));
            let reason = format!("{reason}{}", what.unwrap_or_default());
            damage(DamageKind::Corrupt, *extent, reason)
        }
        End::Open => damage(DamageKind::Corrupt, live.len, "the segment ends early".into()),
    }
}
