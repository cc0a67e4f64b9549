//! The segments of a survey are brought into the target; again and again, as long as the source changes.

use std::collections::BTreeMap;

use wal_core::format::SegmentHeader;
use wal_core::{Copied, Error, ErrorKind, LogStorage, Lsn, Result};

use crate::backup::segment::{Part, copy};
use crate::scan::chain::moved_behind;
use crate::scan::identity::may_be_a_change;
use crate::view::survey::{Survey, Surveyed};
use crate::watch::Watch;

/// How often the segments are listed anew because some went while they were copied. What was copied is kept, so each
/// round has less to do.
const ROUNDS: usize = 200;
/// How often it is looked again before damage is believed of segments that stay the same: a writer that recovers the
/// log cuts its end.
const LOOKS: usize = 3;

/// How often the segments are listed anew before it is believed that the front is missing.
const LISTINGS: usize = 20;

/// A segment in the target.
struct InTarget {
    header: SegmentHeader,
    /// Whether it was copied as the newest one, up to its end at that moment.
    newest: bool,
    copied: Copied,
}

/// Rounds, and what they have brought into the target.
pub(super) struct Attempts<'a> {
    source: &'a dyn LogStorage,
    target: &'a dyn LogStorage,
    watch: &'a Watch,
    quiet: &'a Watch,
    there: BTreeMap<Lsn, InTarget>,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(
        source: &'a dyn LogStorage,
        target: &'a dyn LogStorage,
        watch: &'a Watch,
        quiet: &'a Watch,
    ) -> Self {
        Attempts { source, target, watch, quiet, there: BTreeMap::new() }
    }

    /// Copies until the target holds the segments of one survey.
    pub(super) fn run(mut self) -> Result<Vec<Copied>> {
        let mut survey = settled(self.source)?;
        let mut same = 1;
        for _ in 0..ROUNDS {
            match self.round(&survey) {
                Err(error) if may_be_a_change(&error) => {
                    let next = settled(self.source)?;
                    same = if is_same(&survey, &next) { same + 1 } else { 1 };
                    if same > LOOKS {
                        return Err(error);
                    }
                    survey = next;
                }
                outcome => {
                    outcome?;
                    return Ok(self.there.into_values().map(|there| there.copied).collect());
                }
            }
        }
        Err(Error::new(ErrorKind::NotFound, "back up log").with_detail(
            "segments were removed faster than they could be copied; truncate less often meanwhile",
        ))
    }

    /// Makes the target hold what a survey found, and nothing else.
    fn round(&mut self, survey: &Survey) -> Result<()> {
        let segments = &survey.segments;
        self.drop_others(survey)?;
        let headers = segments.iter().map(|segment| segment.header.clone().map_err(damaged));
        let headers: Vec<SegmentHeader> = headers.collect::<Result<_>>()?;
        let todo = headers.iter().filter(|header| !self.there.contains_key(&header.first_lsn));
        let mut bytes = 0;
        for header in todo.clone() {
            bytes += self.len_of(header.first_lsn)?;
        }
        self.watch.begin(todo.count(), bytes)?;
        for (at, header) in headers.iter().enumerate() {
            let (name, limit) = (header.first_lsn, segments[at].limit);
            let next = headers.get(at + 1);
            if self.there.get(&name).is_some_and(|there| there.newest == next.is_none()) {
                continue;
            }
            let part = Part {
                source: self.source,
                target: self.target,
                header,
                limit,
                moved_behind: next.and_then(|next| moved_behind(header, next)),
                watch: self.watch,
                quiet: self.quiet,
            };
            let copied = match copy(&part) {
                Err(error) => {
                    // Some of it may be there.
                    self.target.remove(&[name]).wait()?;
                    return Err(error);
                }
                copied => copied?,
            };
            let newest = next.is_none();
            self.there.insert(name, InTarget { header: header.clone(), newest, copied });
            self.watch.segment_done()?;
        }
        Ok(())
    }

    /// Removes from the target what is not as the survey found it.
    fn drop_others(&mut self, survey: &Survey) -> Result<()> {
        let newest = survey.segments.last().map(|segment| segment.name);
        let stays = |name: &Lsn, there: &InTarget| {
            survey.find(&there.header).is_some() && there.newest == (newest == Some(*name))
        };
        let gone: Vec<Lsn> = self
            .there
            .iter()
            .filter(|(name, there)| !stays(name, there))
            .map(|(name, _)| *name)
            .collect();
        self.target.remove(&gone).wait()?;
        self.there.retain(|name, _| !gone.contains(name));
        Ok(())
    }

    fn len_of(&self, name: Lsn) -> Result<u64> {
        let open = self.source.open(name, wal_core::Access::Read).wait();
        let len = open.and_then(|segment| segment.len().wait());
        len.map_err(|error| error.with_segment(name))
    }
}

/// The error of a segment's header, beside others that are those of a log.
fn damaged(error: Error) -> Error {
    if error.kind() != ErrorKind::NotALog {
        return error;
    }
    Error::new(ErrorKind::Corrupt, "back up log")
        .with_segment(error.segment().unwrap_or_default())
        .with_offset(error.offset().unwrap_or(0))
        .with_detail(error.detail().to_owned())
}

/// A survey that shows no front to be missing, unless it shows that again and again. A listing beside a writer may miss
/// both a segment that goes and the one whose header says so.
fn settled(source: &dyn LogStorage) -> Result<Survey> {
    let mut survey = Survey::take(source, None)?;
    for _ in 0..LISTINGS {
        if !lacks_its_front(&survey) {
            break;
        }
        let again = Survey::take(source, None)?;
        if is_same(&survey, &again) {
            break;
        }
        survey = again;
    }
    Ok(survey)
}

fn lacks_its_front(survey: &Survey) -> bool {
    let start = survey.headers().map(|header| header.log_start).max();
    let oldest = survey.segments.first().and_then(|segment| segment.header.as_ref().ok());
    oldest.zip(start).is_some_and(|(oldest, start)| oldest.follows >= start)
}

/// Whether two surveys found the same segments.
fn is_same(one: &Survey, other: &Survey) -> bool {
    let key = |segment: &Surveyed| (segment.name, segment.header.as_ref().ok().cloned());
    one.segments.iter().map(key).eq(other.segments.iter().map(key))
}
