//! Records of a log that is not open, in order, from segment to segment.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use wal_core::{Entry, Error, ErrorKind, LogStorage, Lsn, Result};

use crate::report::Hole;
use crate::segment::search::Want;
use crate::view::following::{Successor, Trail};
use crate::view::position::{Open, Step};
use crate::view::survey::Survey;
use crate::view::waiting::Waiting;

/// Looks at an end that is in place, without anything new, after which the segments are listed all the same.
const LOOKS: u32 = 8;

/// Whether the segments are listed after so many looks in vain: after 8, 16, 32, and so on. The log may go on under
/// another number than the next one, and the longer nothing comes, the less it costs.
const fn is_time_to_list(looks: u32) -> bool {
    looks >= LOOKS && looks.is_power_of_two()
}

/// The records of a log, in order. Made by [`View::records`](crate::View::records).
///
/// `None` is the present end: a later call goes on with what was appended in between. After an error
/// nothing more comes. A torn tail is an end; damage is an error of the kind `Corrupt`, unless it is
/// to be skipped. A record that was truncated before it was reached is an error of the kind `NotInLog`.
///
/// What is given out follows what was given out before. If the log was removed, if another one was put in its place, or
/// an older copy of it, that is an error of the kind `Replaced`, also if damage is skipped. To wait for what is
/// appended, see [`wait`](Self::wait).
pub struct Records {
    pub(super) storage: Arc<dyn LogStorage>,
    pub(super) survey: Survey,
    pub(super) trail: Trail,
    pub(super) waiting: Waiting,
    /// Looks at the present end since the last record.
    looks: u32,
    /// The record that comes next; `ZERO` before the first.
    pub(crate) next: Lsn,
    pub(crate) open: Option<Open>,
    skip_corrupted: bool,
    holes: Vec<Hole>,
    /// Generation and offset of an end that was found not to be damage.
    harmless: Option<(u64, u64)>,
    ended: bool,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("next", &self.next)
            .field("holes", &self.holes)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Iterator for Records {
    type Item = Result<Entry<Bytes>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let outcome = self.read().transpose();
        self.ended = matches!(outcome, Some(Err(_)));
        outcome
    }
}

impl Records {
    pub(crate) fn new(
        storage: Arc<dyn LogStorage>,
        survey: Survey,
        from: Lsn,
        skip_corrupted: bool,
    ) -> Self {
        Records {
            storage,
            trail: Trail::of(&survey),
            waiting: Waiting::default(),
            looks: 0,
            survey,
            next: from,
            open: None,
            skip_corrupted,
            holes: Vec::new(),
            harmless: None,
            ended: false,
        }
    }

    /// The LSN of the record that comes next, if it exists.
    #[must_use]
    pub fn position(&self) -> Lsn {
        self.next
    }

    /// What was skipped so far.
    #[must_use]
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    fn read(&mut self) -> Result<Option<Entry<Bytes>>> {
        loop {
            let Some(open) = &mut self.open else {
                if !self.enter()? {
                    return Ok(None);
                }
                continue;
            };
            if let Some((lsn, timestamp, records)) = &mut open.frame {
                let Some(record) = records.next() else {
                    open.frame = None;
                    continue;
                };
                let this = *lsn;
                *lsn = this.next();
                if this < self.next {
                    continue;
                }
                if open.limit.is_none_or(|limit| this <= limit) {
                    self.next = this.next();
                    (open.gave, self.trail.last, self.looks) = (true, this, 0);
                    return Ok(Some(Entry::new(this, *timestamp, record)));
                }
                self.leave();
                continue;
            }
            if open.limit.is_some_and(|limit| self.next > limit) {
                self.leave();
                continue;
            }
            let step = match open.step()? {
                Step::Frame => continue,
                // What was read ahead may be older than what is there now.
                Step::Footer => Step::Footer,
                Step::Stop(_) => {
                    open.refresh()?;
                    open.step()?
                }
            };
            if !matches!(step, Step::Frame) && !self.pass(step)? {
                return Ok(None);
            }
        }
    }

    /// Opens the segment that holds the next record; `false` if there is none yet.
    fn enter(&mut self) -> Result<bool> {
        if self.survey.segments.is_empty() {
            self.look_around()?;
        }
        let log_start = self.survey.log_start;
        if self.next == Lsn::ZERO {
            if self.survey.segments.is_empty() {
                return Ok(false);
            }
            self.next = log_start;
        }
        if self.next < log_start {
            return Err(Error::new(ErrorKind::NotInLog, "read log")
                .with_lsn(self.next)
                .with_detail(format!("truncated; the log starts at LSN {log_start}")));
        }
        let Some(found) = self.survey.locate(self.next) else { return Ok(false) };
        let name = found.name;
        let header = match &found.header {
            Ok(header) => header.clone(),
            Err(error) => {
                let error = damaged(name, error);
                return self.step_over(name, &error);
            }
        };
        let limit = found.limit;
        if self.next < name && self.next <= header.follows {
            let error = Error::new(ErrorKind::Corrupt, "read log")
                .with_lsn(self.next)
                .with_segment(name)
                .with_detail(format!("missing; segment {name} follows LSN {}", header.follows));
            self.hole(name, &error)?;
        }
        self.next = self.next.max(name);
        match Open::new(&*self.storage, header, limit, self.next) {
            Ok(open) => self.open = Some(open),
            // Removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.look_around()?;
                if self.survey.segments.iter().any(|segment| segment.name == name) {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Goes on behind a segment whose header does not check.
    fn step_over(&mut self, name: Lsn, error: &Error) -> Result<bool> {
        match self.survey.readable_behind(name) {
            Some(behind) => {
                self.hole(behind, error)?;
                self.next = behind;
                self.leave();
                Ok(true)
            }
            None if self.skip_corrupted => Ok(false),
            None => Err(error.clone()),
        }
    }

    /// Records that cannot be read: an error, or a hole.
    fn hole(&mut self, before: Lsn, error: &Error) -> Result<()> {
        if !self.skip_corrupted {
            return Err(error.clone());
        }
        let reason = error.to_string();
        self.holes.push(Hole { after: self.next.prev(), before, reason });
        Ok(())
    }

    /// No frame follows in this segment: finds out what that means; `false` at the present end.
    fn pass(&mut self, step: Step) -> Result<bool> {
        let open = self.open.as_ref().expect("still there");
        if open.limit.is_none() && self.survey.after(open.header.first_lsn).is_none() {
            self.looks += 1;
            if !self.is_in_place()? {
                self.look_around()?;
                // It is read anew, from wherever it is now.
                self.leave();
                return Ok(true);
            }
            match (self.successor()?, &step) {
                (Successor::Plain(header), Step::Footer) => {
                    self.survey.push(header);
                    self.leave();
                    return Ok(true);
                }
                (Successor::Nothing, _) if !is_time_to_list(self.looks) => {
                    return self.present_end(step);
                }
                _ => {}
            }
        }
        self.look_around()?;
        if self.follow_survey() {
            return Ok(true);
        }
        let open = self.open.as_mut().expect("still there");
        if open.limit.is_none() {
            let name = open.header.first_lsn;
            if let Some(newer) = self.survey.after(name) {
                let (name, header) = (newer.name, newer.header.clone());
                let error = header.err().map(|error| damaged(name, &error));
                let error = error.unwrap_or_else(|| open.missing(self.next));
                return self.step_over(name, &error);
            }
            return self.present_end(step);
        }
        // The writer may have gone on between the reading and the survey.
        open.refresh()?;
        let error = match open.step()? {
            Step::Frame => return Ok(true),
            Step::Footer => open.missing(self.next),
            Step::Stop(error) => error,
        };
        self.look_around()?;
        if self.follow_survey() {
            return Ok(true);
        }
        self.damage(error)
    }

    /// Takes over what the survey says of the present segment; `true` if it is read no further.
    fn follow_survey(&mut self) -> bool {
        let Some(open) = &mut self.open else { return true };
        let found = self.survey.find(&open.header);
        open.limit = found.and_then(|found| found.limit);
        if found.is_none() || open.limit.is_some_and(|limit| self.next > limit) {
            self.leave();
        }
        self.open.is_none()
    }

    /// The newest segment goes on with no frame.
    fn present_end(&mut self, step: Step) -> Result<bool> {
        match step {
            Step::Stop(error) => self.end_or_damage(error),
            Step::Footer | Step::Frame => self.end(),
        }
    }

    /// The same, where no footer stands either.
    fn end_or_damage(&mut self, error: Error) -> Result<bool> {
        let open = self.open.as_mut().expect("still there");
        let place = (open.header.generation, open.frames.offset());
        if error.kind() == ErrorKind::Unsupported {
            return self.damage(error);
        }
        if self.harmless == Some(place) {
            return self.end();
        }
        let found = open.search(Want::Proof, 0)?;
        if found.is_none() {
            self.harmless = Some(place);
            return self.end();
        }
        // Somebody may have written here since.
        open.refresh()?;
        match open.step()? {
            Step::Frame => Ok(true),
            Step::Footer => self.end(),
            Step::Stop(error) => self.damage(error),
        }
    }

    /// The frame here is damaged: goes on at the next one, or tells the error.
    fn damage(&mut self, error: Error) -> Result<bool> {
        if !self.skip_corrupted {
            return Err(error);
        }
        let open = self.open.as_mut().expect("still there");
        let (name, limit) = (open.header.first_lsn, open.limit);
        if let Some((offset, records)) = open.search(Want::Any, 1)? {
            let lsn = open.header.first_lsn.advance(u64::from(records));
            if limit.is_none_or(|limit| lsn <= limit) {
                open.jump(offset, records);
                if lsn > self.next {
                    self.hole(lsn, &error)?;
                    self.next = lsn;
                }
                return Ok(true);
            }
        }
        let behind = self.survey.readable_behind(name);
        let (Some(limit), Some(behind)) = (limit, behind) else { return Ok(false) };
        self.hole(behind, &error)?;
        self.next = limit.next();
        self.leave();
        Ok(true)
    }
}

/// The error of a segment's header, beside others that are those of a log.
fn damaged(name: Lsn, error: &Error) -> Error {
    match error.kind() {
        ErrorKind::NotALog => Error::new(ErrorKind::Corrupt, "read log")
            .with_segment(name)
            .with_offset(error.offset().unwrap_or(0))
            .with_detail(error.detail().to_owned()),
        _ => error.clone(),
    }
}
