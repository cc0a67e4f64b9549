//! The proof that a log was recovered, without which none can be opened.

use std::fmt;
use std::sync::Arc;

use crate::format::{
    Footer, Layers, LogId, SEGMENT_HEADER_LEN, SegmentHeader, SegmentSummary, read_footer,
};
use crate::{
    Access, CodecId, Error, ErrorKind, Event, LogStorage, Lsn, Result, StorageLock, Timestamp,
};

/// A segment as recovery left it: durable and readable from its first frame to its last.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecoveredSegment {
    /// Its header.
    pub header: SegmentHeader,
    /// Its frames, as counted while scanning or as told by its footer.
    pub summary: SegmentSummary,
    /// Its last valid record; later ones are void. Before `first_lsn` if it holds none.
    pub last_lsn: Lsn,
}

impl RecoveredSegment {
    /// A segment with its header, its frames, and its last valid record.
    #[must_use]
    pub const fn new(header: SegmentHeader, summary: SegmentSummary, last_lsn: Lsn) -> Self {
        RecoveredSegment { header, summary, last_lsn }
    }

    /// Its last record, void or not; what it follows if it holds none.
    fn last_held(&self) -> Lsn {
        match self.summary.records {
            0 => self.header.follows,
            records => self.header.first_lsn.advance(u64::from(records)).prev(),
        }
    }
}

/// What the segments of a log come to together. Computed from them: what could be said apart from them could
/// contradict them, and a log that goes on in the wrong place makes records void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first record; `next_lsn` if there is none.
    pub(crate) first_lsn: Lsn,
    /// The last record; before `first_lsn` if there is none.
    pub(crate) last_lsn: Lsn,
    pub(crate) next_lsn: Lsn,
    /// The time of the last record.
    pub(crate) last_time: Timestamp,
}

impl Span {
    fn of(segments: &[RecoveredSegment]) -> Self {
        let (mut last_lsn, mut next_lsn) = (Lsn::ZERO, Lsn::FIRST);
        if let Some(newest) = segments.last() {
            last_lsn = newest.last_lsn;
            next_lsn = newest.last_held().next().max(newest.header.first_lsn);
        }
        let log_start = segments.iter().map(|segment| segment.header.log_start).max();
        let log_start = log_start.unwrap_or(Lsn::FIRST);
        let first_held = segments.iter().find_map(|segment| {
            let first = segment.header.first_lsn.max(log_start);
            (segment.last_lsn >= first).then_some(first)
        });
        let holds_any = |segment: &&RecoveredSegment| segment.summary.records > 0;
        let last_time = segments.iter().rfind(holds_any).map_or(Timestamp::EPOCH, |segment| {
            segment.header.created.saturating_add_micros(segment.summary.last_time)
        });
        Span { first_lsn: first_held.unwrap_or(next_lsn), last_lsn, next_lsn, last_time }
    }
}

/// What a recovery found, to be made a [`Recovered`]. Where the log begins and ends is not in here: the segments say it.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecoveredParts {
    /// Where the log lives.
    pub storage: Arc<dyn LogStorage>,
    /// The one-writer lock, held since before the scan.
    pub lock: StorageLock,
    /// The log's identity; a fresh one for an empty storage.
    pub log_id: LogId,
    /// The codec of the records; `None` for an empty storage.
    pub codec: Option<CodecId>,
    /// The layers above the engine; `None` for an empty storage.
    pub layers: Option<Layers>,
    /// Ascending.
    pub segments: Vec<RecoveredSegment>,
    /// The generation of the next segment.
    pub next_generation: u64,
    /// What recovery changed, for the log's observer.
    pub events: Vec<Event>,
}

impl RecoveredParts {
    /// The parts of a log that holds nothing yet.
    #[must_use]
    pub fn new(storage: Arc<dyn LogStorage>, lock: StorageLock, log_id: LogId) -> Self {
        RecoveredParts {
            storage,
            lock,
            log_id,
            codec: None,
            layers: None,
            segments: Vec::new(),
            next_generation: 1,
            events: Vec::new(),
        }
    }
}

/// A recovered log: the storage, its lock, and what is in it.
///
/// [`Builder::open`](crate::Builder::open) takes this by value, so that no log is ever appended to that
/// nobody scanned. `wal-recovery` makes it. `open` compares it with what the storage holds, under the lock: a
/// `Recovered` that does not fit is refused as [`NotRecovered`](ErrorKind::NotRecovered).
#[derive(Debug)]
pub struct Recovered {
    parts: RecoveredParts,
    span: Span,
}

impl Recovered {
    /// Takes the caller's word that these parts are the outcome of a recovery. Nothing but a recovery may call this.
    ///
    /// # Contract
    /// - Every record of `segments` survives a power loss from now on.
    /// - `segments` are all of the log's, ascending, and no byte behind a segment's last frame can be taken for a frame.
    /// - The newest segment is sealed: it ends in its footer, as no segment may follow one that does not.
    /// - `next_generation` is larger than any generation that the storage may still hold.
    /// - `lock` is the lock of `storage`, and was held since before the scan.
    ///
    /// # Panics
    /// If the parts contradict each other.
    #[must_use]
    pub fn assert_recovered(parts: RecoveredParts) -> Self {
        assert!(
            parts.segments.iter().all(|segment| segment.last_lsn <= segment.last_held()),
            "a segment has no valid record that it does not hold: {:?}",
            parts.segments
        );
        assert!(
            parts.segments.last().is_none_or(|newest| newest.last_lsn == newest.last_held()),
            "of the newest segment nothing is void: {:?}",
            parts.segments
        );
        assert!(
            parts.segments.windows(2).all(|pair| pair[0].last_lsn == pair[1].header.follows),
            "segments follow each other: {:?}",
            parts.segments
        );
        let newest = parts.segments.iter().map(|segment| segment.header.generation).max();
        assert!(
            newest.is_none_or(|newest| newest < parts.next_generation),
            "generations are not given out again"
        );
        let span = Span::of(&parts.segments);
        Recovered { parts, span }
    }

    /// A log that holds nothing yet, in a storage that holds no segment.
    ///
    /// # Errors
    /// `NotRecovered` if the storage holds a segment: recover it. `Io` if it cannot be listed.
    pub fn empty(storage: Arc<dyn LogStorage>, lock: StorageLock, log_id: LogId) -> Result<Self> {
        let parts = RecoveredParts::new(storage, lock, log_id);
        let recovered = Recovered { parts, span: Span::of(&[]) };
        recovered.check_listing()?;
        Ok(recovered)
    }

    /// Where the log lives.
    #[must_use]
    pub fn storage(&self) -> &Arc<dyn LogStorage> {
        &self.parts.storage
    }

    /// The log's identity.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.parts.log_id
    }

    /// The codec of the records; `None` for an empty storage.
    #[must_use]
    pub fn codec(&self) -> Option<CodecId> {
        self.parts.codec
    }

    /// The layers above the engine that the log was written with; `None` for an empty storage.
    #[must_use]
    pub fn layers(&self) -> Option<Layers> {
        self.parts.layers
    }

    /// The segments, ascending.
    #[must_use]
    pub fn segments(&self) -> &[RecoveredSegment] {
        &self.parts.segments
    }

    /// The first record; [`next_lsn`](Self::next_lsn) if there is none.
    #[must_use]
    pub fn first_lsn(&self) -> Lsn {
        self.span.first_lsn
    }

    /// The last record; before [`first_lsn`](Self::first_lsn) if there is none.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        self.span.last_lsn
    }

    /// The LSN of the next append.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.span.next_lsn
    }

    /// The time of the last record.
    #[must_use]
    pub fn last_time(&self) -> Timestamp {
        self.span.last_time
    }

    /// The generation of the next segment: larger than any that the storage may still hold.
    #[must_use]
    pub fn next_generation(&self) -> u64 {
        self.parts.next_generation
    }

    /// What the recovery did to the log: the observer of the log is told.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.parts.events
    }

    pub(crate) fn span(&self) -> Span {
        self.span
    }

    pub(crate) fn into_parts(self) -> RecoveredParts {
        self.parts
    }

    /// Compares this with what the storage holds: the names of the segments, the header of the newest one, and its
    /// footer. Reads a few KiB.
    ///
    /// Returns that footer; `None` if there is no segment.
    ///
    /// # Errors
    /// `NotRecovered`, saying what differs; `LostOwnership`; `Io`.
    pub(crate) fn check(&self) -> Result<Option<Footer>> {
        self.parts.lock.fence().check(None).wait()?;
        self.check_listing()?;
        let Some(newest) = self.parts.segments.last() else { return Ok(None) };
        let name = newest.header.first_lsn;
        self.check_newest(newest).map(Some).map_err(|e| e.with_segment(name))
    }

    fn check_listing(&self) -> Result<()> {
        let there = self.parts.storage.list().wait()?.segments;
        let known: Vec<Lsn> = self.parts.segments.iter().map(|s| s.header.first_lsn).collect();
        if there == known {
            return Ok(());
        }
        let odd = |a: &[Lsn], b: &[Lsn]| a.iter().find(|name| !b.contains(name)).copied();
        Err(match (odd(&there, &known), odd(&known, &there)) {
            (Some(name), _) => {
                mismatch("the storage holds a segment that was not recovered").with_segment(name)
            }
            (None, Some(name)) => mismatch("a recovered segment is gone").with_segment(name),
            (None, None) => mismatch("the storage lists its segments in another order"),
        })
    }

    fn check_newest(&self, newest: &RecoveredSegment) -> Result<Footer> {
        let RecoveredSegment { header, summary, .. } = newest;
        let segment = self.parts.storage.open(header.first_lsn, Access::Read).wait()?;
        let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait()?;
        // A recovery may have written it again.
        let found = SegmentHeader::decode(&bytes, header.first_lsn).ok();
        if found.map(|found| found.known()) != Some(header.known()) {
            return Err(mismatch(
                "the newest segment has another header than when it was recovered",
            ));
        }
        let len = segment.len().wait()?;
        let what = match read_footer(&*segment, header, len)? {
            // Its offset may differ: a recovery may put padding between the frames that it read and the footer.
            Some(footer) => {
                let found = &footer.summary;
                if found.records == summary.records && found.last_time == summary.last_time {
                    return Ok(footer);
                }
                "the newest segment was sealed with other records than were recovered"
            }
            None if len < summary.data_end => {
                "the newest segment is shorter than when it was recovered"
            }
            None => "the newest segment does not end in the footer that every recovery leaves",
        };
        Err(mismatch(what).with_offset(len))
    }
}

fn mismatch(what: &'static str) -> Error {
    Error::new(ErrorKind::NotRecovered, "open log").with_detail(what)
}

impl fmt::Debug for dyn LogStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogStorage({})", self.describe())
    }
}
