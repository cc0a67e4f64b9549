//! Which segments are the log, told from their headers alone.
//!
//! Walked from the newest to the oldest: each header says with which record the log went on before
//! it, so what lies behind that record in older segments is void. What ends before the start of the
//! log is a leftover as well.

use wal_core::format::SegmentHeader;
use wal_core::{Error, Lsn};

use crate::scan::owners::{Standing, standings};

/// What a segment is to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Holds records up to `limit`, which is `None` for the newest one.
    Live { limit: Option<Lsn> },
    /// Everything in it was truncated at the back: a leftover.
    Void,
    /// Everything in it was truncated at the front: a leftover.
    Front,
    /// Begun by an owner that had lost the log: no part of it.
    Stray,
    /// May hold records, but its header does not check.
    Unreadable,
}

/// The statuses of all segments.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) statuses: Vec<Status>,
    /// See [`Standing`].
    pub(crate) standings: Vec<Standing>,
    /// Records before this one are void.
    pub(crate) log_start: Lsn,
    /// The record with which the oldest live segment goes on, if no segment is there that could
    /// hold it and the clean-up of a truncation cannot have removed it.
    pub(crate) missing: Option<Lsn>,
}

/// Assigns the statuses; `segments` ascending by name.
pub(crate) fn chain<'a>(
    segments: impl Iterator<Item = (Lsn, &'a Result<SegmentHeader, Error>)>,
) -> Chain {
    let segments: Vec<_> = segments.collect();
    let standings = standings(segments.iter().map(|(_, header)| header.as_ref().ok()));
    let mut statuses = Vec::new();
    let mut log_start = Lsn::FIRST;
    let mut oldest = None;
    let mut limit = None;
    let mut void_before = false;
    for ((name, header), standing) in segments.into_iter().zip(standings.iter().copied()).rev() {
        if standing == Standing::Stray {
            statuses.push(Status::Stray);
            continue;
        }
        statuses.push(match (limit, header) {
            (Some(limit), _) if limit < log_start => Status::Front,
            (Some(limit), _) if name > limit => {
                void_before = true;
                Status::Void
            }
            (_, Err(_)) => {
                oldest = Some(name);
                void_before = false;
                Status::Unreadable
            }
            (_, Ok(header)) => {
                let status = Status::Live { limit };
                oldest = Some(name);
                void_before = false;
                log_start = log_start.max(header.log_start);
                limit = Some(header.follows);
                status
            }
        });
    }
    statuses.reverse();
    // A truncation removes what is void at the back before anything at the front. So if leftovers of
    // the former are still there, the segment that they followed must be, too.
    let missing = limit.filter(|&limit| void_before && limit >= log_start);
    Chain {
        statuses,
        standings,
        log_start: oldest.map_or(log_start, |name| log_start.max(name)),
        missing,
    }
}

/// Whether `next` holds what was moved from the segment before it, and behind which record.
///
/// It names the segment then. That one may be gone, or replaced.
pub(crate) fn moved_behind(header: &SegmentHeader, next: &SegmentHeader) -> Option<Lsn> {
    let goes_on =
        next.moved_from == Some(header.generation) && next.follows.next() == next.first_lsn;
    goes_on.then_some(next.follows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wal_core::ErrorKind;
    use wal_core::format::LogId;

    type Named = (Lsn, Result<SegmentHeader, Error>);

    fn segment(first: u64, follows: u64, log_start: u64) -> Named {
        let header = SegmentHeader {
            follows: Lsn::new(follows),
            log_start: Lsn::new(log_start),
            ..SegmentHeader::new(LogId([0; 16]), first, Lsn::new(first))
        };
        (Lsn::new(first), Ok(header))
    }

    fn bad(name: u64) -> Named {
        (Lsn::new(name), Err(Error::new(ErrorKind::Corrupt, "test")))
    }

    fn of(segments: &[Named]) -> Chain {
        chain(segments.iter().map(|(name, header)| (*name, header)))
    }

    const NEWEST: Status = Status::Live { limit: None };
    fn upto(limit: u64) -> Status {
        Status::Live { limit: Some(Lsn::new(limit)) }
    }

    #[test]
    fn a_plain_log_is_all_live() {
        let chain = of(&[segment(1, 0, 1), segment(11, 10, 1), segment(21, 20, 1)]);
        assert_eq!(chain.statuses, [upto(10), upto(20), NEWEST]);
        assert_eq!((chain.log_start, chain.missing), (Lsn::new(1), None));
    }

    #[test]
    fn leftovers_of_both_truncations_are_told() {
        let back = of(&[segment(1, 0, 1), segment(11, 10, 1), segment(21, 5, 1)]);
        assert_eq!(back.statuses, [upto(5), Status::Void, NEWEST]);
        let front = of(&[segment(1, 0, 1), segment(11, 10, 1), segment(21, 20, 12)]);
        assert_eq!(front.statuses, [Status::Front, upto(20), NEWEST]);
        assert_eq!(front.log_start, Lsn::new(12));
        let emptied = of(&[segment(1, 0, 1), segment(11, 10, 1), segment(21, 20, 21)]);
        assert_eq!(emptied.statuses, [Status::Front, Status::Front, NEWEST]);
        // The front goes by being removed when it ends with a segment.
        assert_eq!(of(&[segment(11, 10, 1), segment(21, 20, 1)]).log_start, Lsn::new(11));
    }

    #[test]
    fn leftovers_without_what_they_followed_are_a_gap() {
        let chain = of(&[segment(11, 10, 1), segment(21, 5, 1)]);
        assert_eq!(chain.statuses, [Status::Void, NEWEST]);
        assert_eq!(chain.missing, Some(Lsn::new(5)));
        assert_eq!(of(&[segment(11, 10, 11), segment(21, 10, 11)]).missing, None);
    }

    #[test]
    fn a_bad_header_matters_only_where_records_could_be() {
        assert_eq!(
            of(&[segment(1, 0, 1), bad(11), segment(21, 20, 1)]).statuses,
            [upto(20), Status::Unreadable, NEWEST]
        );
        assert_eq!(
            of(&[segment(1, 0, 1), bad(11), segment(21, 5, 1)]).statuses,
            [upto(5), Status::Void, NEWEST]
        );
        assert_eq!(of(&[segment(1, 0, 1), bad(11)]).statuses, [NEWEST, Status::Unreadable]);
    }
}
