//! The search for frames behind a bad place.
//!
//! A frame says how far the log was durable when it was written. So a valid frame behind a bad place
//! can prove that the place had been durable: then it is damage. Without such a frame it is what a
//! crash may leave: a torn tail. Frames begin at any byte, so every byte is looked at; what a valid
//! frame must satisfy is so narrow that next to nothing but frames has its checksum computed.

use std::sync::Arc;

use bytes::Bytes;
use wal_core::format::{
    BATCH_COUNT_LEN, FOOTER_TRAILER_LEN, FRAME_HEADER_LEN, Flags, Footer, FrameHeader, FrameKind,
    Salt, SegmentHeader,
};
use wal_core::{Lsn, Result, Segment};

use crate::segment::footer;
use crate::watch::Watch;

/// How much is read at once, in bytes, if so much memory may be used.
const WINDOW: usize = 1 << 20;
/// Blocks of this many bytes that are all zero are stepped over at once.
const ZERO_RUN: usize = 64;

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// A frame that proves the bad place to have been durable.
    Proof,
    /// Any valid frame, to go on reading behind the bad place.
    Any,
}

/// A bad place.
pub(crate) struct Place<'a> {
    pub(crate) segment: &'a Arc<dyn Segment>,
    pub(crate) header: &'a SegmentHeader,
    /// Where it is.
    pub(crate) offset: u64,
    /// The segment's length.
    pub(crate) len: u64,
    /// Records in the segment before it.
    pub(crate) records: u32,
}

/// A valid frame behind the bad place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) offset: u64,
    pub(crate) header: FrameHeader,
}

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// What was wanted; the search ended there.
    pub(crate) hit: Option<Hit>,
    /// The first valid frame that proves nothing.
    pub(crate) unproving: Option<Hit>,
    /// Up to here the frames that prove nothing of the place say that the log was durable.
    pub(crate) durable_upto: Lsn,
    /// Offset behind the last byte seen that is not zero, at least the bad place's.
    pub(crate) extent: u64,
    /// Too many bytes looked like frames and were none; the rest was not searched.
    pub(crate) exhausted: bool,
    /// Bytes read.
    pub(crate) scanned: u64,
}

/// Searches everything from the bad place to the end of the segment.
///
/// Memory is bounded by two windows. Time is linear: at most 17 times the bytes there are get
/// checksummed, however they are made.
pub(crate) fn search(place: &Place<'_>, want: Want, watch: &Watch) -> Result<Findings> {
    let left = place.len.saturating_sub(place.offset);
    let mut search = Search {
        place,
        want,
        salt: place.header.salt(),
        strong_budget: 16 * left + WINDOW as u64,
        weak_budget: left + WINDOW as u64,
        found: Findings { extent: place.offset, ..Findings::default() },
    };
    let mut at = place.offset;
    let window = watch.memory().window(WINDOW);
    while at < place.len && !search.is_over() {
        let wanted = window.min(usize::try_from(place.len - at).unwrap_or(usize::MAX));
        let window = place.segment.read_at(at, wanted).wait()?;
        search.found.scanned += window.len() as u64;
        watch.advance(window.len() as u64, 0)?;
        if let Some(last) = last_used(&window) {
            search.found.extent = search.found.extent.max(at + last as u64 + 1);
        }
        if window.len() < FRAME_HEADER_LEN {
            break;
        }
        at = search.window(&window, at, watch)?;
    }
    Ok(search.found)
}

fn last_used(window: &[u8]) -> Option<usize> {
    window.iter().rposition(|&byte| byte != 0)
}

struct Search<'a> {
    place: &'a Place<'a>,
    want: Want,
    salt: Salt,
    /// Bytes that may still be checksummed for candidates of what is wanted.
    strong_budget: u64,
    /// The same, for the others.
    weak_budget: u64,
    found: Findings,
}

/// How a candidate matters, if its checksum is right.
#[derive(PartialEq, Eq)]
enum Weight {
    Wanted,
    Unproving,
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.found.hit.is_some() || self.found.exhausted
    }

    /// Searches one window, which begins at `at`; returns where to go on.
    fn window(&mut self, window: &Bytes, at: u64, watch: &Watch) -> Result<u64> {
        let starts = window.len() - FRAME_HEADER_LEN + 1;
        let mut i = 0;
        while i < starts {
            let kinds = &window[i + 22..window.len().min(i + 22 + ZERO_RUN)];
            if kinds.iter().fold(0, |all, &byte| all | byte) == 0 {
                i += kinds.len().min(ZERO_RUN);
                continue;
            }
            // Up to the next byte that can be a kind.
            let skip = kinds.iter().position(|&kind| matches!(kind, 1 | 7 | 8));
            let Some(skip) = skip else {
                i += kinds.len();
                continue;
            };
            i += skip;
            if i >= starts {
                break;
            }
            if let Some(frame_len) = self.candidate(window, i, at, watch)? {
                if self.is_over() {
                    return Ok(at + i as u64);
                }
                // What is inside a valid frame is its records.
                let behind = i as u64 + frame_len;
                self.found.extent = self.found.extent.max(at + behind);
                if behind >= starts as u64 {
                    return Ok(at + behind);
                }
                i = behind as usize;
                continue;
            }
            if self.is_over() {
                break;
            }
            i += 1;
        }
        Ok(at + i.min(starts) as u64)
    }

    /// Looks at the bytes from `i` on; the frame's length if they are a valid one.
    fn candidate(
        &mut self,
        window: &Bytes,
        i: usize,
        at: u64,
        watch: &Watch,
    ) -> Result<Option<u64>> {
        let header = FrameHeader::decode(&window[i..]);
        let offset = at + i as u64;
        let Some(weight) = self.weigh(&header, offset, &window[i + FRAME_HEADER_LEN..]) else {
            return Ok(None);
        };
        let budget = match weight {
            Weight::Wanted => &mut self.strong_budget,
            Weight::Unproving => &mut self.weak_budget,
        };
        let Some(rest) = budget.checked_sub(u64::from(header.body_len)) else {
            self.found.exhausted |= weight == Weight::Wanted;
            return Ok(None);
        };
        *budget = rest;
        if !self.is_valid(&header, window, i, offset, watch)? {
            return Ok(None);
        }
        let frame_len = header.frame_len();
        let hit = Hit { offset, header };
        match weight {
            Weight::Wanted => self.found.hit = Some(hit),
            Weight::Unproving => {
                let upto = hit.header.durable_upto(self.place.header.first_lsn);
                self.found.durable_upto = self.found.durable_upto.max(upto);
                self.found.unproving.get_or_insert(hit);
            }
        }
        Ok(Some(frame_len))
    }

    /// The cheap conditions; `None` if this is no frame of this segment behind the bad place.
    fn weigh(&self, frame: &FrameHeader, offset: u64, body: &[u8]) -> Option<Weight> {
        let place = self.place;
        if frame.frame_len() > place.len - offset {
            return None;
        }
        // Every record takes at least four bytes.
        let passed = u64::from(frame.lsn_delta.checked_sub(place.records)?);
        if passed > (offset - place.offset) / 4 + 1 {
            return None;
        }
        match FrameKind::from_number(frame.kind) {
            Some(FrameKind::Footer) => {
                let plausible = frame.flags == Flags::default()
                    && footer::plausible_body(frame.body_len, place.len);
                return plausible.then_some(Weight::Wanted);
            }
            Some(FrameKind::Data) if frame.flags == Flags::BATCH => {
                let count = body.get(..BATCH_COUNT_LEN);
                let count = count.map(|_| u64::from(frame.record_count(body)));
                let fits = |count| count > 0 && 4 * count <= u64::from(frame.body_len);
                if !count.is_none_or(fits) {
                    return None;
                }
            }
            Some(FrameKind::Data | FrameKind::Padding) if frame.flags == Flags::default() => {}
            _ => return None,
        }
        // If no record is missing in front of the frame, padding is, which is as durable as the record
        // before it.
        let needed = match passed {
            0 if offset - place.offset < FRAME_HEADER_LEN as u64 => 0,
            0 => 1,
            _ => passed,
        };
        match self.want {
            Want::Any => Some(Weight::Wanted),
            // A frame that says less than that the place was durable proves nothing.
            Want::Proof if u64::from(frame.durable_lag) < needed => Some(Weight::Wanted),
            Want::Proof => (needed > 0).then_some(Weight::Unproving),
        }
    }

    fn is_valid(
        &mut self,
        frame: &FrameHeader,
        window: &Bytes,
        i: usize,
        offset: u64,
        watch: &Watch,
    ) -> Result<bool> {
        let body_at = i + FRAME_HEADER_LEN;
        let body_len = frame.body_len as usize;
        let inside = window.get(body_at..body_at + body_len);
        let is_footer = frame.kind == FrameKind::Footer as u8;
        if is_footer && !self.has_trailer(frame, offset)? {
            return Ok(false);
        }
        let body_crc = match inside {
            Some(body) => Some(crc32c::crc32c(body)),
            None => self.stream_crc(offset + FRAME_HEADER_LEN as u64, body_len, watch)?,
        };
        let expected = body_crc.map(|crc| FrameHeader::expected_crc(&window[i..], crc, self.salt));
        if expected != Some(frame.crc) {
            return Ok(false);
        }
        if !is_footer {
            return Ok(true);
        }
        let body = self.place.segment.read_at(offset + FRAME_HEADER_LEN as u64, body_len).wait()?;
        Ok(footer::is_one(frame, &body, offset, self.place.header))
    }

    /// Whether a footer's last bytes are there, which spares the checksum of most that look like one.
    fn has_trailer(&mut self, frame: &FrameHeader, offset: u64) -> Result<bool> {
        let at = offset + frame.frame_len() - FOOTER_TRAILER_LEN as u64;
        let trailer = self.place.segment.read_at(at, FOOTER_TRAILER_LEN).wait()?;
        Ok(Footer::frame_len(&trailer).map(u64::from) == Some(frame.frame_len()))
    }

    /// The checksum of a body that reaches beyond the window; `None` if the segment ends before.
    fn stream_crc(&mut self, mut at: u64, mut left: usize, watch: &Watch) -> Result<Option<u32>> {
        let mut crc = 0;
        while left > 0 {
            let most = watch.memory().window(WINDOW);
            let piece = self.place.segment.read_at(at, left.min(most)).wait()?;
            if piece.is_empty() {
                return Ok(None);
            }
            watch.check()?;
            self.found.scanned += piece.len() as u64;
            crc = crc32c::crc32c_append(crc, &piece);
            at += piece.len() as u64;
            left -= piece.len();
        }
        Ok(Some(crc))
    }
}
