//! Keeping everything readable of a damaged log.
//!
//! Good runs behind a bad place become segments of their own; a damaged segment is replaced by its
//! first run; a segment that followed what is lost is made to follow what is left. Worked off from the
//! newest to the oldest, every step in one piece: so each state in between is a log whose salvage
//! ends in the same.

use wal_core::format::{Maker, Owner, SegmentHeader};
use wal_core::{Access, Error, ErrorKind, Lsn, Result};

use crate::repair::Repair;
use crate::repair::end_earlier;
use crate::repair::new_segment::NewSegment;
use crate::report::Hole;
use crate::scan::found::{Found, Live, Scan};
use crate::segment::frames::{Frames, Next};
use crate::segment::outcome::{End, Walk};
use crate::segment::runs::{self, Run};

/// A segment that is to be created or replaced.
struct Output<'a> {
    /// The segment from which its frames are.
    source: &'a SegmentHeader,
    header: SegmentHeader,
    frames: Kept<'a>,
}

enum Kept<'a> {
    /// All of them as they are.
    All(&'a Walk),
    Run(Run),
}

/// What is to be done, ascending.
struct Plan<'a> {
    scan: &'a Scan,
    outputs: Vec<Output<'a>>,
    holes: Vec<Hole>,
    /// The last record that is kept so far.
    end: Lsn,
    /// Why records behind it are missing.
    lost: Option<String>,
    next_generation: u64,
    /// Who makes the new segments.
    owner: Owner,
}

/// Takes the damage out of a log. Its end is proven durable, or part of the damage.
pub(crate) fn salvage(scan: &Scan, repair: &mut Repair<'_>) -> Result<()> {
    let beyond = end_earlier::beyond(scan, repair)?;
    let mut plan = Plan::new(scan, repair.owner);
    for found in &scan.segments {
        if found.is_leftover() {
            continue;
        }
        match found.live() {
            None => {
                repair.save(found.name, 0, found.len, found.name)?;
                let why = found.header.as_ref().err().map(Error::detail).unwrap_or_default();
                plan.lose(format!("the header of segment {} does not check: {why}", found.name));
            }
            Some(live) => match reason(scan, live) {
                None => plan.keep(live),
                Some(reason) => {
                    repair.save(found.name, 0, found.len, live.last_lsn().next())?;
                    let watch = &repair.scanner.watch;
                    let runs = runs::find(repair.storage, live.into(), watch)?;
                    plan.take_runs(live, runs.runs);
                    if live.limit.is_none_or(|limit| plan.end < limit) {
                        plan.lose(reason);
                    }
                }
            },
        }
    }
    plan.work_off(repair, beyond)
}

/// Why the frames of a segment cannot be kept as they are.
fn reason(scan: &Scan, live: Live<'_>) -> Option<String> {
    let name = live.header.first_lsn;
    match &live.walk.end {
        End::Unsupported(error) => Some(error.detail().to_owned()),
        End::Broken { .. } => scan.fatal_in(name).map(|damage| damage.reason.clone()),
        _ => None,
    }
}

impl<'a> Plan<'a> {
    fn new(scan: &'a Scan, owner: Owner) -> Self {
        let first = scan.segments.iter().find(|found| !found.is_leftover());
        let first = first.and_then(Found::live);
        let (end, lost) = match (first, scan.missing) {
            (Some(live), None) => (live.header.follows, None),
            (_, None) => (scan.log_start.prev(), None),
            (_, Some(lsn)) => (
                scan.log_start.prev(),
                Some(format!("the segment that holds LSN {lsn} is missing")),
            ),
        };
        let mut plan = Plan {
            scan,
            outputs: Vec::new(),
            holes: Vec::new(),
            end,
            lost: None,
            // The second one is for a new end.
            next_generation: scan.next_generation + 2,
            owner,
        };
        if let Some(reason) = lost {
            plan.holes.push(Hole { after: Lsn::ZERO, before: scan.log_start, reason });
        }
        plan
    }

    fn lose(&mut self, reason: String) {
        self.lost.get_or_insert(reason);
    }

    /// Notes a hole in front of `before`.
    fn hole(&mut self, before: Lsn) {
        let lost = self.lost.take();
        let reason = lost.unwrap_or_else(|| "the segment that held them is missing".into());
        self.holes.push(Hole { after: self.end, before, reason });
    }

    fn header(&self, of: &SegmentHeader, first_lsn: Lsn, generation: u64) -> SegmentHeader {
        let log_start = of.log_start.max(self.scan.log_start).min(first_lsn);
        // Where the generation stays the frames may be copied as they are, so the owner stays as well.
        let (owner, moved_from) = match generation == of.generation {
            true => (of.owner, of.moved_from),
            false => (self.owner, None),
        };
        SegmentHeader {
            first_lsn,
            follows: self.end,
            log_start,
            generation,
            owner,
            moved_from,
            maker: Maker::SALVAGED,
            pad_to: 1,
            blanks: false,
            ..of.known()
        }
    }

    /// A segment that is whole.
    fn keep(&mut self, live: Live<'a>) {
        let header = live.header;
        if header.follows != self.end {
            if header.follows > self.end {
                self.hole(header.first_lsn);
            }
            self.outputs.push(Output {
                source: header,
                header: self.header(header, header.first_lsn, header.generation),
                frames: Kept::All(live.walk),
            });
        }
        self.lost = None;
        if live.walk.summary.records > 0 {
            self.end = live.last_lsn();
        }
    }

    /// A segment that is not.
    fn take_runs(&mut self, live: Live<'a>, runs: Vec<Run>) {
        let source = live.header;
        for run in runs {
            let at_start = run.first == source.first_lsn;
            let (follows, generation) = if at_start {
                (source.follows, source.generation)
            } else {
                self.lost = self.lost.take().or_else(|| reason(self.scan, live));
                self.next_generation += 1;
                (run.first.prev(), self.next_generation - 1)
            };
            if follows > self.end {
                self.hole(run.first);
            }
            self.lost = None;
            let header = self.header(source, run.first, generation);
            self.end = run.last;
            self.outputs.push(Output { source, header, frames: Kept::Run(run) });
        }
    }

    fn work_off(mut self, repair: &mut Repair<'_>, beyond: Lsn) -> Result<()> {
        // The name of a segment that cannot be read may lie among the records of another one.
        let beyond = beyond.max(self.end.next());
        if let Some(reason) = self.lost.take() {
            // What comes next must not get the numbers of what is lost.
            let hole = Hole { after: self.end, before: beyond, reason };
            let newest = self.outputs.last().map(|output| output.header.first_lsn);
            let last = self.scan.segments.iter().rev().find(|found| !found.is_leftover());
            let gone = last.is_some_and(|last| newest.is_none_or(|newest| newest < last.name));
            if beyond > self.end.next() || gone {
                end_earlier::new_end(self.scan, repair, self.end, beyond)?;
                self.holes.push(hole);
            }
        }
        for output in self.outputs.iter().rev() {
            output.create(repair).map_err(|e| e.with_segment(output.source.first_lsn))?;
        }
        repair.done.holes.append(&mut self.holes);
        Ok(())
    }
}

impl Output<'_> {
    fn create(&self, repair: &Repair<'_>) -> Result<()> {
        let name = self.source.first_lsn;
        let segment = repair.storage.open(name, Access::Read).wait()?;
        let header = self.header.clone();
        let new = match &self.frames {
            Kept::All(walk) => NewSegment::copy_of(repair, &segment, self.source, walk, header)?,
            Kept::Run(run) => {
                let mut new = NewSegment::new(repair, header, run.to - run.from);
                let (range, watch) = (run.from..run.to, &repair.scanner.watch);
                let mut frames =
                    Frames::within(&segment, self.source, range, run.records_before, watch);
                while frames.offset() < run.to {
                    let Next::Frame { frame, records } = frames.next()? else {
                        return Err(changed(frames.offset()));
                    };
                    // The new segment gets its own padding.
                    if records > 0 {
                        new.push(&frame)?;
                    }
                }
                new
            }
        };
        new.create()
    }
}

fn changed(offset: u64) -> Error {
    Error::new(ErrorKind::Io, "salvage log")
        .with_offset(offset)
        .with_detail("bytes changed between the scan and the repair; recover again")
}
