//! A reader goes on only with what follows what it has read.
//!
//! It knows a log by its place, and whoever may put something else there: another log, nothing, an older copy. So
//! whenever a reader looks at the place again, it compares. What counts is the last record that it gave out: that
//! record has to be there still, as it was, unless a truncation says why it is not.

use bytes::Bytes;
use wal_core::format::{FRAME_HEADER_LEN, FrameHeader, LogId, SEGMENT_HEADER_LEN, SegmentHeader};
use wal_core::{Access, Error, ErrorKind, LogStorage, Lsn, Result, Timestamp};

use crate::segment::header;
use crate::view::position::{Open, Step};
use crate::view::records::Records;
use crate::view::survey::Survey;

/// How often it is looked again, beside a writer, before something is called gone.
const TRIES: usize = 8;

/// What a reader has read, as far as it must know it.
#[derive(Default)]
pub(crate) struct Trail {
    log_id: Option<LogId>,
    /// The last record that was given out; `ZERO` before the first.
    pub(crate) last: Lsn,
    /// The segment from which it came, if that is not open any more.
    pub(crate) source: Option<SegmentHeader>,
    /// That record, once the reader has waited behind it.
    seen: Option<Seen>,
}

/// What is remembered of a record.
#[derive(PartialEq, Eq)]
struct Seen {
    lsn: Lsn,
    time: Timestamp,
    len: usize,
    checksum: u32,
}

impl Seen {
    fn new(lsn: Lsn, time: Timestamp, record: &[u8]) -> Self {
        Seen { lsn, time, len: record.len(), checksum: crc32c::crc32c(record) }
    }
}

/// What comes behind the newest segment that is known.
pub(crate) enum Successor {
    Nothing,
    /// The segment that the writer of this one created next.
    Plain(SegmentHeader),
    /// Something about which only a survey can say what it is.
    Other,
}

impl Trail {
    /// Of a log of which nothing was read yet.
    pub(crate) fn of(survey: &Survey) -> Self {
        let log_id = survey.headers().next_back().map(|header| header.log_id);
        Trail { log_id, ..Trail::default() }
    }

    fn replaced(&self, what: impl Into<String>) -> Error {
        let mut what = what.into();
        if self.last > Lsn::ZERO {
            what = format!("{what}; record {} was the last one that was read", self.last);
        }
        Error::new(ErrorKind::Replaced, "read log").with_detail(what)
    }

    /// Says what an error means to a reader who knows that a log was there.
    fn explain(&self, error: Error) -> Error {
        let is_gone = match error.kind() {
            // Of the place itself, and not of one of its segments.
            ErrorKind::NotFound => error.segment().is_none(),
            ErrorKind::NotALog => true,
            _ => false,
        };
        if self.log_id.is_none() || !is_gone {
            return error;
        }
        self.replaced("the log is not there any more").with_source(error)
    }

    /// Whether what is there now follows what was read. `source` is the segment from which the last record came.
    fn check(
        &mut self,
        storage: &dyn LogStorage,
        survey: &Survey,
        source: Option<&SegmentHeader>,
    ) -> Result<()> {
        let Some(newest) = survey.headers().next_back() else {
            return match self.log_id {
                Some(_) if survey.segments.is_empty() => {
                    Err(self.replaced("no segment of the log is there any more"))
                }
                _ => Ok(()),
            };
        };
        let known = *self.log_id.get_or_insert(newest.log_id);
        if known != newest.log_id {
            let there = newest.log_id;
            return Err(self.replaced(format!("log {there} is there, and log {known} was read")));
        }
        let (last, Some(source)) = (self.last, source) else { return Ok(()) };
        let newest = survey.headers().map(|header| header.generation).max().unwrap_or_default();
        let epoch = survey.headers().map(|header| header.owner.epoch).max().unwrap_or_default();
        if newest < source.generation || epoch < source.owner.epoch {
            return Err(self.replaced(format!(
                "an older copy of the log is there: its newest segment is of generation {newest}, one of generation {} \
                 was read",
                source.generation
            )));
        }
        // Truncated at the front, up to there at least.
        if last < survey.log_start {
            return Ok(());
        }
        let Some(holder) = survey.locate(last) else { return Ok(()) };
        // Behind a truncation at the back there is no such record, and will be none.
        let (Ok(header), true) = (&holder.header, holder.name <= last) else { return Ok(()) };
        if header == source {
            return Ok(());
        }
        // Another segment holds it now. A recovery moves records, and they stay what they were.
        match (&self.seen, record_at(storage, header, last)?) {
            (_, None) => Err(self.lost()),
            (Some(seen), Some((time, record))) if seen.lsn == last => {
                if *seen == Seen::new(last, time, &record) {
                    return Ok(());
                }
                Err(self.replaced("LSNs were given out again: another record has this number now"))
            }
            // It was not remembered, as more was to be read behind it then.
            (_, Some(_)) if header.moved_from == Some(source.generation) => Ok(()),
            (_, Some(_)) => Err(self.replaced(format!(
                "the segment of generation {} that was read is not there any more",
                source.generation
            ))),
        }
    }

    fn lost(&self) -> Error {
        self.replaced("the log ends before what was read: an older copy of it is there")
    }
}

/// A record of a segment, with its time.
fn record_at(
    storage: &dyn LogStorage,
    header: &SegmentHeader,
    lsn: Lsn,
) -> Result<Option<(Timestamp, Bytes)>> {
    let mut open = Open::new(storage, header.clone(), None, lsn)?;
    while let Step::Frame = open.step()? {
        if let Some(found) = open.take_record(lsn) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl Records {
    /// Lists the segments anew, and compares them with what was read.
    ///
    /// # Errors
    /// `Replaced`, and those of the survey.
    pub(super) fn look_around(&mut self) -> Result<()> {
        let mut tried = 1;
        loop {
            // The second time without what was known: segments of the same names may be others.
            let known = Some(&self.survey).filter(|_| tried == 1);
            let survey = Survey::take(&*self.storage, known);
            let survey = survey.map_err(|error| self.trail.explain(error)).and_then(|survey| {
                let given = self.open.as_ref().filter(|open| open.gave).map(|open| &open.header);
                let source = given.cloned().or_else(|| self.trail.source.clone());
                self.trail.check(&*self.storage, &survey, source.as_ref())?;
                Ok(survey)
            });
            match survey {
                // Segments come and go meanwhile, and a listing may have missed both the old and the new one.
                Err(error) if tried < tries(&error) => tried += 1,
                survey => {
                    self.survey = survey?;
                    return Ok(());
                }
            }
        }
    }

    /// Leaves the segment that is open.
    pub(super) fn leave(&mut self) {
        if let Some(open) = self.open.take().filter(|open| open.gave) {
            self.trail.source = Some(open.header);
        }
    }

    /// Whether the name of the open segment still leads to it, and to the frame that was read last. Costs the same
    /// for every log, however many segments it has.
    pub(super) fn is_in_place(&self) -> Result<bool> {
        let open = self.open.as_ref().expect("still there");
        let name = open.header.first_lsn;
        let at = |error: Error| error.with_segment(name);
        let segment = match self.storage.open(name, Access::Read).wait() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            segment => segment.map_err(at)?,
        };
        let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait().map_err(at)?;
        if SegmentHeader::decode(&bytes, name).ok().as_ref() != Some(&open.header) {
            return Ok(false);
        }
        let Some((offset, header)) = open.last_frame() else { return Ok(true) };
        let bytes = segment.read_at(offset, FRAME_HEADER_LEN).wait().map_err(at)?;
        Ok(bytes.len() == FRAME_HEADER_LEN && FrameHeader::decode(&bytes) == header)
    }

    /// What stands behind the open segment, by the name that a successor has. Costs the same for every log, too.
    pub(super) fn successor(&self) -> Result<Successor> {
        let open = self.open.as_ref().expect("still there");
        let (own, name) = (&open.header, open.last_lsn().next());
        if name == own.first_lsn {
            return Ok(Successor::Nothing);
        }
        let next = match header::read(&*self.storage, name) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Successor::Nothing),
            opened => opened?.header,
        };
        let is_plain = |next: &SegmentHeader| {
            (next.log_id, next.owner, next.codec, next.layers)
                == (own.log_id, own.owner, own.codec, own.layers)
                && next.features == own.features
                && next.generation == own.generation + 1
                && next.follows.next() == name
        };
        Ok(next.ok().filter(is_plain).map_or(Successor::Other, Successor::Plain))
    }

    /// The present end, if what was read is in front of it: `false`, and the last record is remembered.
    ///
    /// # Errors
    /// `Replaced`: the log ends before what was read.
    pub(super) fn end(&mut self) -> Result<bool> {
        let open = self.open.as_ref().expect("still there");
        let last = self.trail.last;
        if open.last_lsn() < last {
            return Err(self.trail.lost());
        }
        if last > Lsn::ZERO && self.trail.seen.as_ref().is_none_or(|seen| seen.lsn != last) {
            let found = match (open.gave, &self.trail.source) {
                (true, _) => open.read_last(last)?,
                (false, Some(source)) => record_at(&*self.storage, source, last)?,
                (false, None) => None,
            };
            self.trail.seen = found.map(|(time, record)| Seen::new(last, time, &record));
        }
        Ok(false)
    }
}

/// How often it is looked before such an error is believed.
fn tries(error: &Error) -> usize {
    match error.kind() {
        ErrorKind::Replaced => TRIES,
        // The survey itself has looked again and again.
        ErrorKind::NotFound | ErrorKind::Corrupt => 2,
        _ => 1,
    }
}
