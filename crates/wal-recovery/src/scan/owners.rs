//! Segments of an owner that had lost the log.
//!
//! A lock may fail, and then two openers write to one log. The one that came first stops at the next sync, because the
//! fence tells it; see [`Fence`](wal_core::Fence). Until then it may have begun a segment. That segment is a *stray*:
//! it is not part of the log. What it holds was not acknowledged as durable.
//!
//! A stray is told by its header. Generations count the segments of a log in the order in which they were begun, and
//! epochs count its owners. So a larger generation has an epoch that is as large or larger. Where that is not so, the
//! owner of the smaller epoch did not know of the later owner. An epoch of 0 says that nobody counted.

use wal_core::format::SegmentHeader;

/// For each segment, whether it is a stray.
pub(crate) fn strays<'a>(headers: impl Iterator<Item = Option<&'a SegmentHeader>>) -> Vec<bool> {
    let headers: Vec<_> = headers.collect();
    let mut by_epoch: Vec<_> = headers
        .iter()
        .enumerate()
        .filter_map(|(i, header)| header.map(|header| (header.owner.epoch, header.generation, i)))
        .filter(|&(epoch, ..)| epoch > 0)
        .collect();
    by_epoch.sort_unstable();
    let mut strays = vec![false; headers.len()];
    // The least generation of the larger epochs.
    let mut least = u64::MAX;
    for owner in by_epoch.chunk_by(|a, b| a.0 == b.0).rev() {
        for &(_, generation, i) in owner {
            strays[i] = generation >= least;
        }
        least = owner.iter().map(|&(_, generation, _)| generation).fold(least, u64::min);
    }
    strays
}

#[cfg(test)]
mod tests {
    use super::*;
    use wal_core::Lsn;
    use wal_core::format::{LogId, Owner};

    fn of(segments: &[(u64, u64)]) -> Vec<bool> {
        let header = |&(epoch, generation): &(u64, u64)| SegmentHeader {
            owner: Owner { epoch, token: [epoch as u8; 16] },
            ..SegmentHeader::new(LogId([0; 16]), generation, Lsn::new(generation))
        };
        let headers: Vec<_> = segments.iter().map(header).collect();
        strays(headers.iter().map(Some))
    }

    #[test]
    fn a_log_of_one_owner_after_the_other_has_none() {
        assert_eq!(of(&[]), [false; 0]);
        assert_eq!(of(&[(0, 1), (0, 2), (0, 3)]), [false; 3]);
        assert_eq!(of(&[(1, 1), (1, 2), (4, 3), (7, 9)]), [false; 4]);
        assert_eq!(of(&[(1, 1), (0, 2), (2, 2)]), [false; 3]);
        // A salvage gives larger generations to older places.
        assert_eq!(of(&[(3, 8), (1, 2), (3, 9), (2, 5)]), [false; 4]);
    }

    #[test]
    fn what_an_owner_began_after_the_next_one_is_a_stray() {
        assert_eq!(of(&[(1, 1), (1, 2), (2, 2)]), [false, true, false]);
        assert_eq!(of(&[(1, 1), (1, 3), (2, 2)]), [false, true, false]);
        assert_eq!(of(&[(1, 1), (1, 3), (1, 4), (2, 4)]), [false, false, true, false]);
        assert_eq!(of(&[(1, 5), (2, 5), (3, 5)]), [true, true, false]);
        assert_eq!(of(&[(1, 5), (2, 6), (3, 6)]), [false, true, false]);
    }
}
