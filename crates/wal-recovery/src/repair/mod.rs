//! The only code that writes.
//!
//! | file | idea |
//! | --- | --- |
//! | here | what every step needs: the storage, copies of what is taken out, a list of what was done |
//! | `steps` | which steps a repair takes, and in which order |
//! | `new_segment` | whole segments, written in pieces and published in one step |
//! | `seal` | the end of a segment: what is behind the frames is cut off, a footer is written there |
//! | `move_tail` | the end that nothing proves durable, moved to where it is |
//! | `settle` | what every recovery ends with: sealed, without leftovers |
//! | `end_earlier` | ending a log before its damage, or where the caller wants |
//! | `salvage` | keeping what is readable |
//! | `mend_header` | correcting a header in which one bit is wrong |
//! | `lost_header` | making a header for a segment that has lost its own |
//! | `make_room` | removing segments that a truncation is to remove, on a full disk |
//! | `identify` | what the frames of such a segment tell of it |

pub(crate) mod end_earlier;
mod identify;
pub(crate) mod lost_header;
pub(crate) mod make_room;
pub(crate) mod mend_header;
mod move_tail;
mod new_segment;
mod salvage;
mod seal;
mod settle;
pub(crate) mod steps;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use wal_core::format::Owner;
use wal_core::{Access, Event, Fence, LogStorage, Lsn, Result};

use crate::report::{Cut, Hole};
use crate::scan::scanner::Scanner;

/// A repair under way.
pub(crate) struct Repair<'a> {
    pub(crate) storage: &'a dyn LogStorage,
    /// Who makes the segments that are made.
    pub(crate) owner: Owner,
    /// Says whether the log is still that owner's: asked before each step that takes bytes away.
    pub(crate) fence: Arc<dyn Fence>,
    /// Scans what a step left.
    pub(crate) scanner: &'a Scanner,
    /// Whether a torn tail is copied before it is cut.
    pub(crate) save_tail: bool,
    pub(crate) done: Done,
}

/// What was done so far.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) cut: Vec<Cut>,
    pub(crate) holes: Vec<Hole>,
    pub(crate) events: Vec<Event>,
    pub(crate) rewritten: u64,
    /// Segments whose damaged parts were copied already.
    pub(crate) saved: BTreeSet<Lsn>,
}

impl Repair<'_> {
    /// Asks whether the log is still ours.
    pub(crate) fn confirm(&self) -> Result<()> {
        self.fence.check(None).wait().map(drop)
    }

    /// Asks the same, and whether the segment has another name as well: what is written to it appears in a backup, too.
    pub(crate) fn is_linked_elsewhere(&self, name: Lsn) -> Result<bool> {
        Ok(self.fence.check(Some(name)).wait()?.linked_elsewhere)
    }

    /// Notes that bytes are taken out of a segment, after a copy of them was made durable.
    ///
    /// A copy is made in pieces, each with a name of its own, so that none has to be held that is larger than the limit
    /// on memory allows. Zeros at the end of a piece are not copied.
    pub(crate) fn save(&mut self, name: Lsn, from: u64, to: u64, first_lsn: Lsn) -> Result<()> {
        let at = |e: wal_core::Error| e.with_segment(name);
        let segment = self.storage.open(name, Access::Read).wait().map_err(at)?;
        let most = self.scanner.watch.memory().copy();
        let mut offset = from;
        while offset < to {
            let wanted = most.min(to - offset);
            let mut piece = segment.read_at(offset, wanted as usize).wait().map_err(at)?;
            if piece.is_empty() {
                break;
            }
            let next = offset + piece.len() as u64;
            piece.truncate(used(&piece));
            if !piece.is_empty() {
                let bytes = piece.len() as u64;
                let label = format!("{:020}-at-{offset}", name.get());
                let saved_as = Some(self.storage.set_aside(&label, piece).wait().map_err(at)?);
                self.done.cut.push(Cut { segment: name, offset, bytes, first_lsn, saved_as });
            }
            offset = next;
        }
        self.done.saved.insert(name);
        Ok(())
    }

    /// Notes that bytes are taken out, with or without a copy.
    pub(crate) fn cut(&mut self, name: Lsn, from: u64, to: u64, first_lsn: Lsn) -> Result<()> {
        if self.done.saved.contains(&name) {
            return Ok(());
        }
        if self.save_tail {
            return self.save(name, from, to, first_lsn);
        }
        if to > from {
            let (segment, offset, bytes) = (name, from, to - from);
            let cut = Cut { segment, offset, bytes, first_lsn, saved_as: None };
            // There already if a repair begins again, on a full disk.
            if !self.done.cut.contains(&cut) {
                self.done.cut.push(cut);
            }
        }
        Ok(())
    }
}

fn used(piece: &Bytes) -> usize {
    piece.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}
