//! Segments of an owner that had lost the log.
//!
//! A lock may fail, and then two openers write to one log. The one that came first stops at the next sync, because the
//! fence tells it; see [`Fence`](wal_core::Fence). Until then it may have begun a segment. That segment is a *stray*:
//! it is not part of the log. What it holds was not acknowledged as durable.
//!
//! A stray is told by its header. Generations count the segments of a log in the order in which they were begun, and
//! epochs count its owners. So a larger generation has an epoch that is as large or larger. Where that is not so, the
//! owner of the smaller epoch did not know of the later owner. An epoch of 0 says that nobody counted.
//!
//! Each owner has a token of its own, so two tokens of one epoch are two owners that did not know of each other: two copies
//! of the log went on apart, and their files were mixed. Or the owner's file was removed beside a writer, together with the
//! lock. The owner that came furthest is taken for that of the log, and what the other one began is a stray.
//!
//! There is one exception. With three owners the second one may have lost the log to the third one while it recovers, and
//! still put a copy in the place of a segment. The third one has read that segment before, and goes on behind it. Then
//! the copy is all that is left of its records. It is a *replacement*: part of the log, whoever made it. It is told by
//! what it says that it was moved from: the same generation that the next segment was moved from, of which no segment
//! is there.

use wal_core::format::SegmentHeader;

/// What a segment is to the log, as far as its owner says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// An owner of the log began it.
    Own,
    /// An owner that had lost the log put it in the place of a segment of the log.
    Replacement,
    /// An owner that had lost the log began it.
    Stray,
}

/// The standing of each segment. Ascending by name.
pub(crate) fn standings<'a>(
    headers: impl Iterator<Item = Option<&'a SegmentHeader>>,
) -> Vec<Standing> {
    let headers: Vec<_> = headers.collect();
    let mut by_epoch: Vec<_> = headers
        .iter()
        .enumerate()
        .filter_map(|(i, header)| header.map(|header| (header.owner.epoch, header.generation, i)))
        .filter(|&(epoch, ..)| epoch > 0)
        .collect();
    by_epoch.sort_unstable();
    let mut standings = vec![Standing::Own; headers.len()];
    // The least generation of the larger epochs.
    let mut least = u64::MAX;
    let token = |i: usize| headers[i].map(|header| header.owner.token);
    for epoch in by_epoch.chunk_by(|a, b| a.0 == b.0).rev() {
        // The one that came furthest; with the same generation, the one whose last segment has the larger name.
        let owner = epoch.last().and_then(|&(.., i)| token(i));
        for &(_, generation, i) in epoch {
            if generation >= least || token(i) != owner {
                standings[i] = Standing::Stray;
            }
        }
        let own = epoch.iter().filter(|&&(.., i)| token(i) == owner);
        least = own.map(|&(_, generation, _)| generation).fold(least, u64::min);
    }
    for i in 0..headers.len() {
        if standings[i] == Standing::Stray && replaces(&headers, &standings, i) {
            standings[i] = Standing::Replacement;
        }
    }
    standings
}

/// Whether a stray stands for a segment of the log.
fn replaces(headers: &[Option<&SegmentHeader>], standings: &[Standing], at: usize) -> bool {
    let own = |i: &usize| standings[*i] == Standing::Own;
    let next = (at + 1..headers.len()).find(own).and_then(|i| headers[i]);
    let (Some(stray), Some(next)) = (headers[at], next) else { return false };
    let Some(source) = next.moved_from else { return false };
    let is_there = (0..headers.len())
        .filter(own)
        .any(|i| headers[i].is_some_and(|header| header.generation == source));
    !is_there
        && stray.moved_from == Some(source)
        && stray.first_lsn <= next.follows
        && next.follows.next() == next.first_lsn
}

#[cfg(test)]
mod tests {
    use super::*;
    use wal_core::Lsn;
    use wal_core::format::{LogId, Owner};

    fn of(segments: &[(u64, u64)]) -> Vec<bool> {
        let own = |&(epoch, generation): &(u64, u64)| (epoch, epoch as u8, generation);
        of_tokens(&segments.iter().map(own).collect::<Vec<_>>())
    }

    fn of_tokens(segments: &[(u64, u8, u64)]) -> Vec<bool> {
        let header = |&(epoch, token, generation): &(u64, u8, u64)| SegmentHeader {
            owner: Owner { epoch, token: [token; 16] },
            ..SegmentHeader::new(LogId([0; 16]), generation, Lsn::new(generation))
        };
        let headers: Vec<_> = segments.iter().map(header).collect();
        let standings = standings(headers.iter().map(Some));
        standings.iter().map(|standing| *standing == Standing::Stray).collect()
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

    #[test]
    fn of_two_owners_of_one_epoch_the_one_that_came_further_has_the_log() {
        let [a, b] = [10, 11];
        assert_eq!(of_tokens(&[(1, a, 1), (1, a, 2), (1, a, 3)]), [false; 3]);
        assert_eq!(
            of_tokens(&[(1, 0, 1), (2, a, 2), (2, b, 2), (2, b, 3)])[1..],
            [true, false, false]
        );
        assert_eq!(
            of_tokens(&[(1, 0, 1), (2, b, 2), (2, a, 2), (2, b, 3)])[1..],
            [false, true, false]
        );
        // As far as each other.
        assert_eq!(of_tokens(&[(2, a, 2), (2, b, 2)]), [true, false]);
        assert_eq!(of_tokens(&[(2, b, 2), (2, a, 2)]), [true, false]);
        // What the other one began does not make strays of earlier ones.
        assert_eq!(of_tokens(&[(1, 0, 3), (2, a, 2), (2, b, 4)]), [false, true, false]);
        // Nobody counted: the tokens say nothing.
        assert_eq!(of_tokens(&[(0, a, 1), (0, b, 2)]), [false; 2]);
    }

    #[test]
    fn a_copy_in_the_place_of_what_the_last_owner_read_is_part_of_the_log() {
        let header = |epoch, generation, first, moved_from| SegmentHeader {
            owner: Owner { epoch, token: [epoch as u8; 16] },
            follows: Lsn::new(first - 1),
            moved_from,
            ..SegmentHeader::new(LogId([0; 16]), generation, Lsn::new(first))
        };
        let of = |headers: &[SegmentHeader]| standings(headers.iter().map(Some));
        use Standing::{Own, Replacement, Stray};
        let (first, next) = (header(1, 1, 1, None), header(4, 3, 3, Some(2)));
        let log = |copy: SegmentHeader| of(&[first.clone(), copy, next.clone()]);
        assert_eq!(log(header(3, 3, 2, Some(2))), [Own, Replacement, Own]);
        // It was moved from something else, or from nothing that anybody knows.
        assert_eq!(log(header(3, 3, 2, Some(1))), [Own, Stray, Own]);
        assert_eq!(log(header(3, 3, 2, None)), [Own, Stray, Own]);
        // The segment is there.
        let there = [header(2, 2, 1, None), header(3, 3, 2, Some(2)), next.clone()];
        assert_eq!(of(&there), [Own, Stray, Own]);
        // The last owner goes on in front of it.
        let before = SegmentHeader { follows: Lsn::new(1), ..header(4, 3, 2, Some(2)) };
        assert_eq!(of(&[first.clone(), header(3, 3, 2, Some(2)), before]), [Own, Stray, Own]);
    }
}
