//! Segments that are made without a name, and then published under one.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::Segment;
use crate::format::SegmentHeader;
use crate::{Error, ErrorKind, Io, Lsn, Result};

/// What a segment that is published may take the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a storage must know every way: it is a claim of durability"
)]
pub enum Publish {
    /// Nothing. If the name is taken, publishing fails as [`Exists`](crate::ErrorKind::Exists).
    New,
    /// The segment of this generation, as its header says; `None` if its header cannot be read. If something else
    /// is there, or nothing, publishing fails as [`Exists`](crate::ErrorKind::Exists) or
    /// [`NotFound`](crate::ErrorKind::NotFound).
    Replace {
        /// The generation of the segment that is to go.
        generation: Option<u64>,
    },
}

impl Publish {
    /// Whether a segment may be published as `name` in this way, where `present` are the first bytes of the segment
    /// that has that name now: its whole header, or all there is. `None` if there is no such segment. For
    /// implementors of storages; if they cannot read those bytes, that is an error, and no unreadable header.
    ///
    /// # Errors
    /// `Exists` or `NotFound`, saying what is there; `Unsupported` if only a newer build can read that.
    pub fn check(self, name: Lsn, present: Option<&[u8]>) -> Result<()> {
        let fail = |kind, detail: String| {
            Err(Error::new(kind, "publish segment").with_segment(name).with_detail(detail))
        };
        let generation = |bytes: &[u8]| match self {
            // That there is one is enough.
            Publish::New => Ok(None),
            Publish::Replace { .. } => SegmentHeader::generation_of(bytes, name),
        };
        let there = present.map(generation).transpose()?;
        match (self, there) {
            (Publish::New, None) => Ok(()),
            (Publish::New, Some(_)) => {
                fail(ErrorKind::Exists, "a segment of that name exists".into())
            }
            (Publish::Replace { generation }, Some(there)) if generation == there => Ok(()),
            (Publish::Replace { generation }, Some(there)) => fail(
                ErrorKind::Exists,
                format!("{} was to be replaced, there is {}", called(generation), called(there)),
            ),
            (Publish::Replace { generation }, None) => fail(
                ErrorKind::NotFound,
                format!("{} was to be replaced, there is none", called(generation)),
            ),
        }
    }
}

fn called(generation: Option<u64>) -> String {
    match generation {
        Some(generation) => format!("generation {generation}"),
        None => "a segment with an unreadable header".into(),
    }
}

/// A segment without a name: see [`LogStorage::stage`](super::LogStorage::stage). If it is dropped, it was never there.
pub trait StagedSegment: Send {
    /// Writes `data` at `offset`, growing the segment if needed.
    ///
    /// - **On `Ok`**: the bytes are there. Those that were never written are zeros, or, with
    ///   [`recycles`](super::Capabilities::recycles), anything.
    /// - **On `Err`**: the segment can only be dropped.
    /// - **If cancelled**: as on `Err`.
    /// - **Concurrency**: one call at a time.
    /// - **Durability**: none until `sync`.
    fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()>;

    /// Makes every byte durable that was written.
    ///
    /// - **On `Ok`**: those bytes, and the length they need, are there after a power loss if the segment is
    ///   published.
    /// - **On `Err`**: the segment can only be dropped.
    /// - **If cancelled**: as on `Err`.
    /// - **Concurrency**: one call at a time.
    /// - **Durability**: of the bytes, not of a name.
    fn sync(&mut self) -> Io<'_, ()>;

    /// Gives the segment its name. What was written and not synced is synced before.
    ///
    /// - **On `Ok`**: the segment exists under its name and can be used as one that was opened for writing. The
    ///   bytes, and that they have this name, are durable. [`Publish::New`] has replaced nothing;
    ///   [`Publish::Replace`] has replaced what it names, in one step. Readers that had opened what was replaced get
    ///   its old bytes, or an error.
    /// - **On `Err`**: as `Exists` or `NotFound`, the name means what it meant before, durably, and nothing is left of
    ///   this segment. As anything else, the name means what it meant before, or this segment with all of its bytes,
    ///   or the storage can no longer tell; the caller must not use it.
    /// - **If cancelled**: the name means what it meant before, or this segment with all of its bytes.
    /// - **Concurrency**: one call at a time, by the writer. Where the system cannot compare and replace in one
    ///   step, a second writer that ignores the lock could come in between; the storage says so.
    /// - **Durability**: a crash at any moment leaves what was there before, or this segment with all of its bytes:
    ///   never one whose header is missing or torn.
    fn publish(self: Box<Self>, how: Publish) -> Io<'static, Arc<dyn Segment>>;
}

/// A [`StagedSegment`] of any storage.
pub struct Staged(Box<dyn StagedSegment>);

impl Staged {
    /// Wraps what a storage staged.
    pub fn new(staged: impl StagedSegment + 'static) -> Self {
        Staged(Box::new(staged))
    }

    /// As [`StagedSegment::write_at`].
    pub fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()> {
        self.0.write_at(offset, data)
    }

    /// As [`StagedSegment::sync`].
    pub fn sync(&mut self) -> Io<'_, ()> {
        self.0.sync()
    }

    /// As [`StagedSegment::publish`].
    pub fn publish(self, how: Publish) -> Io<'static, Arc<dyn Segment>> {
        self.0.publish(how)
    }

    /// The same, which makes something else of the segment that is published; for storages that wrap others.
    #[must_use]
    pub fn wrap(
        self,
        wrap: impl FnOnce(Arc<dyn Segment>) -> Arc<dyn Segment> + Send + 'static,
    ) -> Self {
        struct Wrapped<F>(Box<dyn StagedSegment>, F);
        impl<F> StagedSegment for Wrapped<F>
        where
            F: FnOnce(Arc<dyn Segment>) -> Arc<dyn Segment> + Send + 'static,
        {
            fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()> {
                self.0.write_at(offset, data)
            }
            fn sync(&mut self) -> Io<'_, ()> {
                self.0.sync()
            }
            fn publish(self: Box<Self>, how: Publish) -> Io<'static, Arc<dyn Segment>> {
                let Wrapped(inner, wrap) = *self;
                inner.publish(how).map(wrap)
            }
        }
        Staged::new(Wrapped(self.0, wrap))
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Staged")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{LogId, SEGMENT_HEADER_LEN};

    #[test]
    fn only_what_was_named_is_replaced() {
        let name = Lsn::new(7);
        let header = SegmentHeader::new(LogId([1; 16]), 3, name);
        let (third, torn) = (header.encode(), [0; SEGMENT_HEADER_LEN]);
        let check = |how: Publish, present: Option<&[u8]>| {
            how.check(name, present).map_err(|error| error.kind()).err()
        };
        let replace = |generation| Publish::Replace { generation };
        for (how, present, outcome) in [
            (Publish::New, None, None),
            (Publish::New, Some(&third[..]), Some(ErrorKind::Exists)),
            (Publish::New, Some(&torn[..]), Some(ErrorKind::Exists)),
            (replace(Some(3)), Some(&third[..]), None),
            (replace(Some(2)), Some(&third[..]), Some(ErrorKind::Exists)),
            (replace(Some(3)), Some(&torn[..]), Some(ErrorKind::Exists)),
            (replace(Some(3)), None, Some(ErrorKind::NotFound)),
            (replace(None), Some(&torn[..]), None),
            (replace(None), Some(&third[..]), Some(ErrorKind::Exists)),
            (replace(None), None, Some(ErrorKind::NotFound)),
        ] {
            assert_eq!(check(how, present), outcome, "{how:?}");
        }
    }
}
