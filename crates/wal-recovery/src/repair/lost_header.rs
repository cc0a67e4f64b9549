//! Making a header for a segment that has lost its own.
//!
//! What it said follows from elsewhere: the first LSN from the name, the log from the neighbours, the generation from
//! between theirs, and the salt from the [frames](crate::repair::identify). The frames stay as they are. So the new
//! header needs an owner and a generation that give their salt: those of the neighbours if they do, otherwise a token
//! that is computed for it. When the segment was created follows from its footer, or from the neighbours, but not to the
//! second.
//!
//! It replaces the segment in one step, after a copy of it was set aside. What else is wrong with the segment is then
//! found as in any other.
//!
//! If no segment of a log has a header, and none can be given one, nothing tells what the log was. A new one is begun
//! behind all numbers that its segments can have held, which makes them void.

use wal_core::format::{Layers, LogId, Maker, Owner, SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{Access, CodecId, Error, ErrorKind, Lsn, Result, Timestamp};

use crate::repair::Repair;
use crate::repair::identify::{Identified, Suspects, identify};
use crate::repair::mend_header::corrected;
use crate::repair::new_segment::{self, NewSegment};
use crate::report::{Damage, DamageKind, Hole};
use crate::scan::chain::{Status, chain};
use crate::scan::identity::list;
use crate::segment::outcome::time;
use crate::segment::{footer, header, runs};

/// So many generations are tried, from that of the neighbour on.
const GENERATIONS: u64 = 64;
/// Is to be larger than any generation that was given out, if none is known.
const FAR: u64 = 1 << 20;

/// What a caller says of the log, in case its segments do not.
pub(crate) struct Assumed {
    pub(crate) log_id: Option<LogId>,
    pub(crate) codec: Option<CodecId>,
    pub(crate) layers: Option<Layers>,
}

/// A segment of the log.
struct Seen {
    name: Lsn,
    len: u64,
    header: Result<SegmentHeader>,
}

/// Gives every segment a header that has lost its own, if its frames tell enough. What was wrong is added to `mended`.
///
/// # Errors
/// The storage's; `TimedOut` before anything is changed.
pub(crate) fn restore(
    repair: &mut Repair<'_>,
    assumed: &Assumed,
    mended: &mut Vec<Damage>,
) -> Result<()> {
    let mut seen = Vec::new();
    for name in list(repair.storage)?.segments {
        let opened = header::read(repair.storage, name)?;
        seen.push(Seen { name, len: opened.len, header: opened.header(true) });
    }
    let mut log_id = assumed.log_id;
    for at in 0..seen.len() {
        let Seen { name, len, .. } = seen[at];
        // Of what is void nothing is needed.
        if !matters(&seen, at) {
            continue;
        }
        let segment = repair.storage.open(name, Access::Read).wait()?;
        let head = segment.read_at(0, SEGMENT_HEADER_LEN).wait()?;
        if is_of_another_name(&head, name) {
            continue;
        }
        let place = Place::of(&seen, at, corrected(&head, name).map(|corrected| corrected.header));
        let suspects = place.suspects(&seen, log_id);
        let found = identify(&segment, len, &suspects, &repair.scanner.watch)
            .map_err(|e| e.with_segment(name))?;
        let Some(found) = found else { continue };
        // The frames are those of a segment that is there: this is a copy of it under another name.
        if seen.iter().any(|other| other.header.as_ref().is_ok_and(|h| h.salt() == found.salt)) {
            continue;
        }
        let own = place.corrected.as_ref().filter(|own| own.salt() == found.salt);
        let id = match place.near().or(own).map(|near| near.log_id).or(log_id) {
            Some(id) => id,
            None => LogId::random()?,
        };
        log_id = Some(id);
        let header = place.header(repair, &seen, id, assumed, &found)?;
        begin(repair)?;
        repair.save(name, 0, len, name)?;
        new_segment::with_header(repair, name, &header.encode(), &*segment, len)
            .map_err(|e| e.with_segment(name))?;
        if header.follows < name.prev() {
            let reason = "the segment that holds them is missing, or they were truncated: the header that said so is lost";
            let (after, before) = (header.follows, name);
            repair.done.holes.push(Hole { after, before, reason: reason.into() });
        }
        let what = told(&place, assumed, &header, &found);
        mended.push(damage(&seen[at], &format!("its header was made anew: {what}")));
        seen[at].header = Ok(header);
    }
    if !seen.is_empty() && seen.iter().all(|segment| segment.header.is_err()) {
        begin_anew(repair, &seen, log_id, assumed, mended)?;
    }
    Ok(())
}

/// Whether this is a header, whole or nearly, of a segment that has another name: a file that was renamed or copied. Its
/// header is not lost, and its records have other numbers than the name says.
fn is_of_another_name(head: &[u8], name: Lsn) -> bool {
    let told = head.get(40..48).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    told.map(Lsn::new).filter(|&told| told != name).is_some_and(|told| {
        SegmentHeader::decode(head, told).is_ok() || corrected(head, told).is_some()
    })
}

/// From here on something is changed, so no time limit may stop it.
fn begin(repair: &Repair<'_>) -> Result<()> {
    repair.scanner.watch.check()?;
    repair.scanner.watch.disarm();
    Ok(())
}

/// Whether a segment has lost its header, and may hold records of the log.
fn matters(seen: &[Seen], at: usize) -> bool {
    let lost = |error: &Error| matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotALog);
    if !seen[at].header.as_ref().is_err_and(lost) {
        return false;
    }
    let chain = chain(seen.iter().map(|segment| (segment.name, &segment.header)));
    chain.statuses[at] == Status::Unreadable
}

fn damage(seen: &Seen, what: &str) -> Damage {
    let error = seen.header.as_ref().err();
    Damage {
        kind: DamageKind::Header,
        segment: seen.name,
        offset: error.and_then(Error::offset).unwrap_or(0),
        lsn: seen.name,
        bytes: SEGMENT_HEADER_LEN as u64,
        reason: format!("{}; {what}", error.map(Error::detail).unwrap_or_default()),
    }
}

/// Whether its own header was nearly whole.
fn is_own(place: &Place<'_>, found: &Identified) -> bool {
    place.corrected.as_ref().is_some_and(|own| own.salt() == found.salt)
}

/// What is said of a header that was made.
fn told(
    place: &Place<'_>,
    assumed: &Assumed,
    header: &SegmentHeader,
    found: &Identified,
) -> String {
    let frames = match (found.frames, found.writer.is_some()) {
        (1, _) => "one of its frames is of this log".to_owned(),
        (n, true) => format!("{n} of its frames were checked to be of this log"),
        (n, false) => format!("{n} of its frames were checked to belong together"),
    };
    if place.near().is_some() || is_own(place, found) {
        return frames;
    }
    let codec = match assumed.codec {
        Some(codec) => format!("codec {codec} as it was asked for"),
        None => format!("codec {} as nothing tells it", header.codec),
    };
    format!(
        "{frames}; no other segment says what the log is, so it has a new id, {codec}, and {}",
        header.layers
    )
}

/// A segment without a header, and the nearest ones that have theirs.
struct Place<'a> {
    name: Lsn,
    before: Option<&'a SegmentHeader>,
    behind: Option<&'a SegmentHeader>,
    /// Whether `before` is right in front of it.
    is_next: bool,
    /// Its own header, if one bit of it was wrong, and the first frame does not confirm it.
    corrected: Option<SegmentHeader>,
}

impl<'a> Place<'a> {
    fn of(seen: &'a [Seen], at: usize, corrected: Option<SegmentHeader>) -> Self {
        let readable = |segment: &'a Seen| segment.header.as_ref().ok();
        Place {
            name: seen[at].name,
            before: seen[..at].iter().rev().find_map(readable),
            behind: seen[at + 1..].iter().find_map(readable),
            is_next: at.checked_sub(1).is_some_and(|before| seen[before].header.is_ok()),
            corrected,
        }
    }

    /// One that tells what all segments have in common.
    fn near(&self) -> Option<&'a SegmentHeader> {
        self.before.or(self.behind)
    }

    /// The generations that it can be of.
    fn generations(&self) -> impl Iterator<Item = u64> + Clone + use<> {
        let before = self.before.map(|before| before.generation);
        let behind = self.behind.map(|behind| behind.generation);
        let (from, to) = match (before, behind) {
            (Some(before), Some(behind)) if before < behind => (before + 1, behind),
            (Some(before), _) => (before + 1, before + 1 + GENERATIONS),
            (None, Some(behind)) => (1, behind),
            (None, None) => (1, 1 + GENERATIONS),
        };
        // The last ones in front of the next segment, if there are more.
        from.max(to.saturating_sub(GENERATIONS))..to
    }

    fn suspects(&self, seen: &[Seen], log_id: Option<LogId>) -> Suspects {
        let mut suspects = Suspects::near(self.near());
        if let Some(own) = &self.corrected {
            suspects.add(own.log_id, &[own.owner], [own.generation].into_iter());
        }
        let Some(id) = self.near().map(|near| near.log_id).or(log_id) else { return suspects };
        let mut owners = vec![Owner::default()];
        for near in [self.before, self.behind].into_iter().flatten() {
            if !owners.contains(&near.owner) {
                owners.push(near.owner);
            }
        }
        let free = self.generations().filter(|generation| !is_taken(seen, *generation));
        let free: Vec<u64> = free.collect();
        suspects.add(id, &owners, free.iter().copied());
        suspects
    }

    /// The header of the segment, as far as it can be known.
    fn header(
        &self,
        repair: &Repair<'_>,
        seen: &[Seen],
        log_id: LogId,
        assumed: &Assumed,
        found: &Identified,
    ) -> Result<SegmentHeader> {
        let name = self.name;
        if let Some(own) = self.corrected.as_ref().filter(|own| own.salt() == found.salt) {
            return Ok(SegmentHeader { maker: Maker::SALVAGED, ..own.known() });
        }
        let (generation, owner) = found.writer.unwrap_or_else(|| {
            let mut free = self.generations().filter(|generation| !is_taken(seen, *generation));
            let largest = seen.iter().filter_map(|s| s.header.as_ref().ok()).map(|h| h.generation);
            let generation = free.next().unwrap_or_else(|| largest.max().unwrap_or(0) + FAR);
            let token = found.salt.token(log_id, generation);
            (generation, Owner { epoch: 0, token })
        });
        let near = self.near();
        let mut header = SegmentHeader {
            codec: near.map(|near| near.codec).or(assumed.codec).unwrap_or(CodecId::RAW),
            layers: near.map(|near| near.layers).or(assumed.layers).unwrap_or(Layers::NONE),
            origin: near.and_then(|near| near.origin),
            log_start: self.log_start(seen),
            data_offset: found.data_offset,
            owner,
            maker: Maker::SALVAGED,
            pad_to: near.map_or(1, |near| near.pad_to),
            blanks: near.is_some_and(|near| near.blanks),
            ..SegmentHeader::new(log_id, generation, name)
        };
        let before = self.before.filter(|_| self.is_next);
        let before = before.map(|before| end_of(repair, before)).transpose()?.flatten();
        if let Some((last, ..)) = before {
            header.follows = last.min(name.prev());
        }
        (header.created, header.log_time) = self.age(repair, &header, before)?;
        Ok(header)
    }

    /// Where the log started when the segment was created; not later, as a later start makes what is in front of it void.
    fn log_start(&self, seen: &[Seen]) -> Lsn {
        let near = self.before.or(self.behind).map(|near| near.log_start.min(self.name));
        // What cannot be read in front of it may hold records.
        let is_oldest = seen.iter().all(|other| other.name >= self.name);
        near.unwrap_or(if is_oldest { self.name } else { Lsn::FIRST })
    }

    /// When the segment was created, by the time of day and by the log clock.
    fn age(
        &self,
        repair: &Repair<'_>,
        header: &SegmentHeader,
        before: Option<(Lsn, Timestamp, u64)>,
    ) -> Result<(Timestamp, u64)> {
        let segment = repair.storage.open(self.name, Access::Read).wait()?;
        let len = segment.len().wait()?;
        if let Some(footer) = footer::find(&*segment, header, len)? {
            // It was sealed right behind its last record, or later.
            let lived = footer.summary.last_time.max(0);
            let created = footer.time.saturating_add_micros(-lived);
            return Ok((created, footer.log_time.saturating_sub(lived.unsigned_abs())));
        }
        if let Some((_, time, log_time)) = before {
            return Ok((time, log_time));
        }
        Ok(match self.behind {
            Some(behind) => (behind.created, behind.log_time),
            None => (repair.scanner.watch.wall(), self.before.map_or(0, |before| before.log_time)),
        })
    }
}

fn is_taken(seen: &[Seen], generation: u64) -> bool {
    let mut headers = seen.iter().filter_map(|segment| segment.header.as_ref().ok());
    headers.any(|header| header.generation == generation)
}

/// With which record a sealed segment ends, and when.
fn end_of(repair: &Repair<'_>, header: &SegmentHeader) -> Result<Option<(Lsn, Timestamp, u64)>> {
    let segment = repair.storage.open(header.first_lsn, Access::Read).wait()?;
    let len = segment.len().wait()?;
    Ok(footer::find(&*segment, header, len)?.map(|footer| {
        let last = match footer.summary.records {
            0 => header.follows,
            records => header.first_lsn.advance(u64::from(records)).prev(),
        };
        (last, footer.time.max(time(header, footer.summary.last_time)), footer.log_time)
    }))
}

/// Begins a log behind everything that segments without a header can have held.
fn begin_anew(
    repair: &mut Repair<'_>,
    seen: &[Seen],
    log_id: Option<LogId>,
    assumed: &Assumed,
    mended: &mut Vec<Damage>,
) -> Result<()> {
    let (Some(first), Some(last)) = (seen.first(), seen.last()) else { return Ok(()) };
    for segment in seen {
        // What may be somebody else's file is left alone.
        if !was_a_segment(repair, segment)? {
            return Ok(());
        }
    }
    begin(repair)?;
    for segment in seen {
        repair.save(segment.name, 0, segment.len, segment.name)?;
        mended.push(damage(segment, "no frame can be told to be its own, and it was left out"));
    }
    // One that is shorter than its header was cut, and may have held as much as any.
    let is_cut = last.len < SEGMENT_HEADER_LEN as u64;
    let next = runs::at_most(last.name, if is_cut { u32::MAX.into() } else { last.len });
    let alignment = repair.storage.capabilities().alignment;
    let header = SegmentHeader {
        follows: first.name.prev(),
        log_start: next,
        created: repair.scanner.watch.wall(),
        codec: assumed.codec.unwrap_or(CodecId::RAW),
        layers: assumed.layers.unwrap_or(Layers::NONE),
        data_offset: SegmentHeader::data_offset_for(alignment),
        owner: repair.owner,
        maker: Maker::NEW_END,
        ..SegmentHeader::new(log_id.map_or_else(LogId::random, Ok)?, FAR, next)
    };
    NewSegment::new(repair, header, 0).create()?;
    let reason = "no segment has a header, and none could be given one: a new log was begun";
    let (after, before) = (first.name.prev(), next);
    repair.done.holes.push(Hole { after, before, reason: reason.into() });
    Ok(())
}

/// Whether there is nothing in it, or something that is nearly the header of a segment.
fn was_a_segment(repair: &Repair<'_>, seen: &Seen) -> Result<bool> {
    let Err(error) = &seen.header else { return Ok(true) };
    if error.kind() == ErrorKind::Corrupt {
        return Ok(true);
    }
    let segment = repair.storage.open(seen.name, Access::Read).wait()?;
    let head = segment.read_at(0, SEGMENT_HEADER_LEN).wait()?;
    Ok(head.iter().all(|&byte| byte == 0))
}
