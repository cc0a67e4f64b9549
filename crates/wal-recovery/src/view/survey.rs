//! Which segments a reader finds, taken anew whenever it comes to an end.

use std::collections::HashMap;

use wal_core::format::SegmentHeader;
use wal_core::{ErrorKind, LogStorage, Lsn, Result};

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
        let known = known.map_or(&[][..], |known| &known.segments);
        let settled = known[..known.len().saturating_sub(VOLATILE)].iter();
        let mut settled: HashMap<Lsn, SegmentHeader> =
            settled.filter_map(|s| Some((s.name, s.header.as_ref().ok()?.clone()))).collect();
        loop {
            match Self::attempt(storage, &mut settled) {
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

    /// `settled` has the headers that need not be read again. Those that are read are added to it. So an attempt that fails
    /// leaves less to read to the next one, and the writer has less time to remove a segment.
    fn attempt(
        storage: &dyn LogStorage,
        settled: &mut HashMap<Lsn, SegmentHeader>,
    ) -> Result<Self> {
        let listing = list(storage)?;
        let mut headers = Vec::with_capacity(listing.segments.len());
        let mut gone = None;
        for (at, &name) in listing.segments.iter().enumerate() {
            let header = match settled.get(&name) {
                Some(header) => Ok(header.clone()),
                None => match header::read(storage, name) {
                    Ok(read) => {
                        let is_settled = at + VOLATILE < listing.segments.len();
                        if let (Ok(header), true) = (&read.header, is_settled) {
                            settled.insert(name, header.clone());
                        }
                        read.header
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        gone = Some(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            headers.push((name, header));
        }
        gone.map_or(Ok(()), Err)?;
        if !headers.is_empty() {
            check_identity(headers.iter().map(|(_, header)| header))?;
        }
        let chain = chain(headers.iter().map(|(name, header)| (*name, header)));
        let segments =
            headers.into_iter().zip(chain.statuses).filter_map(|((name, header), status)| {
                match status {
                    Status::Live { limit } => Some(Surveyed { name, header, limit }),
                    Status::Unreadable => Some(Surveyed { name, header, limit: None }),
                    Status::Void | Status::Front | Status::Stray => None,
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
        let name = header.first_lsn;
        let at = self.segments.binary_search_by_key(&name, |segment| segment.name).ok()?;
        let found = &self.segments[at];
        found.header.as_ref().is_ok_and(|found| found == header).then_some(found)
    }

    /// The first segment that may hold `lsn` or something behind it.
    ///
    /// A reader asks for each segment that it comes to. So it is looked for by halves.
    pub(crate) fn locate(&self, lsn: Lsn) -> Option<&Surveyed> {
        // Where a segment ends, the next one does not end before.
        let (mut low, mut high) = (0, self.segments.len());
        while low < high {
            let at = usize::midpoint(low, high);
            if self.limit_of(at).is_some_and(|limit| limit < lsn) {
                low = at + 1;
            } else {
                high = at;
            }
        }
        self.segments.get(low)
    }

    /// Up to which record a segment may hold something valid; `None` for the newest one.
    fn limit_of(&self, at: usize) -> Option<Lsn> {
        match &self.segments[at].header {
            Ok(_) => self.segments[at].limit,
            // What it held ends where the next one goes on.
            Err(_) => self.segments[at + 1..]
                .iter()
                .find_map(|next| next.header.as_ref().ok().map(|header| header.follows)),
        }
    }

    /// The first LSN of the next segment whose header can be read.
    pub(crate) fn readable_behind(&self, name: Lsn) -> Option<Lsn> {
        let behind = self.behind(name).iter();
        behind.filter_map(|segment| segment.header.as_ref().ok()).map(|h| h.first_lsn).next()
    }

    /// The segment behind another, whether its header can be read or not.
    pub(crate) fn after(&self, name: Lsn) -> Option<&Surveyed> {
        self.behind(name).first()
    }

    fn behind(&self, name: Lsn) -> &[Surveyed] {
        &self.segments[self.segments.partition_point(|segment| segment.name <= name)..]
    }

    /// Takes the segment in that was created behind the newest one.
    pub(crate) fn push(&mut self, header: SegmentHeader) {
        if let Some(newest) = self.segments.last_mut() {
            newest.limit = Some(header.follows);
        }
        self.log_start = self.log_start.max(header.log_start);
        self.segments.push(Surveyed { name: header.first_lsn, header: Ok(header), limit: None });
    }
}
