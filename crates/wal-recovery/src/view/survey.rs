//! Which segments a reader finds, taken anew whenever it comes to an end.

use std::collections::HashMap;

use wal_core::format::SegmentHeader;
use wal_core::{LogStorage, Lsn, Result};

use crate::scan::chain::{Status, chain};
use crate::scan::identity::{check_identity, list, may_be_a_change};
use crate::segment::header;

/// How often it is begun again because a segment disappeared under it.
const TRIES: usize = 8;
/// Of so many of the newest known segments the header is read again: a writer replaces an empty one.
const VOLATILE: usize = 2;

/// One segment that is no leftover.
#[derive(Clone, Debug)]
pub(crate) struct Surveyed {
    pub(crate) name: Lsn,
    pub(crate) header: Result<SegmentHeader>,
    /// Records behind it are void; `None` for the newest segment.
    pub(crate) limit: Option<Lsn>,
}

/// The segments of a log, leftovers not included.
#[derive(Clone, Debug)]
pub(crate) struct Survey {
    /// Ascending.
    pub(crate) segments: Vec<Surveyed>,
    /// Records before this one are void.
    pub(crate) log_start: Lsn,
}

impl Survey {
    /// Lists the segments and reads their headers; those that `known` has need not be read again.
    ///
    /// # Errors
    /// `NotALog`, `Unsupported`, `Corrupt` if the segments are not of one log, or the error of a header if
    /// none of them can be read.
    pub(crate) fn take(storage: &dyn LogStorage, known: Option<&Survey>) -> Result<Self> {
        let mut tried = 1;
        let mut unreadable = Vec::new();
        loop {
            match Self::attempt(storage, known) {
                Err(error) if may_be_a_change(&error) && tried < TRIES => {}
                // A file that was removed and recycled while it was read shows another header.
                Ok(survey) if survey.unreadable() != unreadable && tried < TRIES => {
                    unreadable = survey.unreadable();
                }
                outcome => return outcome,
            }
            tried += 1;
        }
    }

    fn unreadable(&self) -> Vec<Lsn> {
        let bad = self.segments.iter().filter(|segment| segment.header.is_err());
        bad.map(|segment| segment.name).collect()
    }

    fn attempt(storage: &dyn LogStorage, known: Option<&Survey>) -> Result<Self> {
        let listing = list(storage)?;
        let known = known.map_or(&[][..], |known| &known.segments);
        let settled = &known[..known.len().saturating_sub(VOLATILE)];
        let settled: HashMap<Lsn, &SegmentHeader> =
            settled.iter().filter_map(|s| Some((s.name, s.header.as_ref().ok()?))).collect();
        let mut headers = Vec::with_capacity(listing.segments.len());
        for &name in &listing.segments {
            let header = match settled.get(&name) {
                Some(&header) => Ok(header.clone()),
                None => header::read(storage, name)?.header,
            };
            headers.push((name, header));
        }
        if !headers.is_empty() {
            check_identity(headers.iter().map(|(_, header)| header))?;
        }
        let chain = chain(headers.iter().map(|(name, header)| (*name, header)));
        let segments =
            headers.into_iter().zip(chain.statuses).filter_map(|((name, header), status)| {
                match status {
                    Status::Live { limit } => Some(Surveyed { name, header, limit }),
                    Status::Unreadable => Some(Surveyed { name, header, limit: None }),
                    Status::Void | Status::Front => None,
                }
            });
        Ok(Survey { segments: segments.collect(), log_start: chain.log_start })
    }

    /// The headers that can be read, ascending.
    pub(crate) fn headers(&self) -> impl DoubleEndedIterator<Item = &SegmentHeader> {
        self.segments.iter().filter_map(|segment| segment.header.as_ref().ok())
    }

    /// The present place of a segment.
    pub(crate) fn find(&self, header: &SegmentHeader) -> Option<&Surveyed> {
        self.segments.iter().find(|segment| {
            segment.header.as_ref().is_ok_and(|found| {
                found.first_lsn == header.first_lsn && found.generation == header.generation
            })
        })
    }

    /// The first segment that may hold `lsn` or something behind it.
    pub(crate) fn locate(&self, lsn: Lsn) -> Option<&Surveyed> {
        self.segments.iter().enumerate().find_map(|(at, segment)| {
            let limit = match &segment.header {
                Ok(_) => segment.limit,
                // What it held ends where the next one goes on.
                Err(_) => self.segments[at + 1..]
                    .iter()
                    .find_map(|next| next.header.as_ref().ok().map(|header| header.follows)),
            };
            limit.is_none_or(|limit| lsn <= limit).then_some(segment)
        })
    }

    /// The first LSN of the next segment whose header can be read.
    pub(crate) fn readable_behind(&self, name: Lsn) -> Option<Lsn> {
        self.headers().map(|header| header.first_lsn).find(|&lsn| lsn > name)
    }

    /// The segment behind another, whether its header can be read or not.
    pub(crate) fn after(&self, name: Lsn) -> Option<&Surveyed> {
        self.segments.iter().find(|segment| segment.name > name)
    }
}
