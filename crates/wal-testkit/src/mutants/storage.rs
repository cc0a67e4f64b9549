//! A storage that is honest in all points but one.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use wal_core::{
    Access, Capabilities, Changes, Copied, Io, Listing, LogStorage, Lsn, Publish, Result, Segment,
    Staged, StorageLock, WriteMode, copy_in_pieces,
};

/// The one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StorageBug {
    /// The removal of a segment takes the next one with it.
    RemovesTheNext,
    /// What is to be replaced is removed first.
    ReplacesInTwoSteps,
    /// Only so many segments are kept.
    KeepsOnly(usize),
    /// The newest segment is listed only when it is the only one.
    HidesTheNewest,
    /// A write is made when the next call comes.
    WritesLate,
    /// A sync is made when the next call comes.
    SyncsLate,
    /// Reads deliver at most a sector.
    ReadsShort,
    /// A cut goes to the start of the sector.
    CutsSectors,
    /// The reserve is never opened.
    KeepsReserveShut,
}

impl StorageBug {
    /// `inner` with this mistake.
    pub(super) fn put_into(self, inner: Arc<dyn LogStorage>) -> Arc<dyn LogStorage> {
        Arc::new(Lying { inner, bug: self })
    }
}

struct Lying {
    inner: Arc<dyn LogStorage>,
    bug: StorageBug,
}

impl Lying {
    fn wrap(&self, inner: Arc<dyn Segment>) -> Arc<dyn Segment> {
        wrap(self.bug, inner)
    }

    fn create_wrongly(
        &self,
        name: Lsn,
        data: Bytes,
        capacity: u64,
        publish: Publish,
    ) -> Result<Arc<dyn Segment>> {
        let mut how = publish;
        if self.bug == StorageBug::ReplacesInTwoSteps && publish != Publish::New {
            self.inner.remove(&[name]).wait()?;
            how = Publish::New;
        }
        self.inner.create(name, data, capacity, how).wait()
    }

    fn remove_wrongly(&self, names: &[Lsn]) -> Result<()> {
        let last = names.iter().max().copied().unwrap_or_default();
        let next = self.inner.list().wait()?.segments.into_iter().find(|there| *there > last);
        self.inner.remove(names).wait()?;
        next.map_or(Ok(()), |next| self.inner.remove(&[next]).wait())
    }

    fn retain(&self, most: usize) -> Result<()> {
        let mut segments = self.inner.list().wait()?.segments;
        segments.truncate(segments.len().saturating_sub(most));
        self.inner.remove(&segments).wait()
    }
}

fn wrap(bug: StorageBug, inner: Arc<dyn Segment>) -> Arc<dyn Segment> {
    Arc::new(LyingSegment { inner, bug, late: Mutex::default() })
}

#[deny(clippy::missing_trait_methods)]
impl LogStorage for Lying {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        self.inner.lock()
    }

    fn list(&self) -> Io<'_, Listing> {
        let mut listing = self.inner.list().wait();
        if let (StorageBug::HidesTheNewest, Ok(listing)) = (self.bug, &mut listing)
            && listing.segments.len() > 1
        {
            listing.segments.pop();
        }
        Io::ready(listing)
    }

    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        let bug = self.bug;
        self.inner
            .stage(name, capacity)
            .map(move |staged| staged.wrap(move |inner| wrap(bug, inner)))
    }

    fn create(
        &self,
        name: Lsn,
        data: Bytes,
        capacity: u64,
        publish: Publish,
    ) -> Io<'_, Arc<dyn Segment>> {
        let created = self.create_wrongly(name, data, capacity, publish);
        Io::ready(created.and_then(|segment| {
            if let StorageBug::KeepsOnly(most) = self.bug {
                self.retain(most)?;
            }
            Ok(self.wrap(segment))
        }))
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let opened = self.inner.open(name, access).wait();
        Io::ready(opened.map(|segment| self.wrap(segment)))
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        match self.bug {
            StorageBug::RemovesTheNext => Io::ready(self.remove_wrongly(names)),
            _ => self.inner.remove(names),
        }
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.inner.set_aside(label, data)
    }

    fn open_reserve(&self, open: bool) {
        match self.bug {
            StorageBug::KeepsReserveShut => {}
            _ => self.inner.open_reserve(open),
        }
    }

    fn fill_reserve(&self, segment_size: u64) -> Io<'_, ()> {
        self.inner.fill_reserve(segment_size)
    }

    fn reserve(&self) -> Io<'_, u64> {
        self.inner.reserve()
    }

    fn changes(&self) -> Option<Box<dyn Changes>> {
        self.inner.changes()
    }

    /// In pieces, each of which comes through here.
    fn copy_segment(&self, name: Lsn, source: Arc<dyn Segment>, len: u64) -> Io<'_, Copied> {
        copy_in_pieces(self, name, source, len)
    }
}

struct LyingSegment {
    inner: Arc<dyn Segment>,
    bug: StorageBug,
    /// What was asked for and not done yet.
    late: Mutex<Option<Late>>,
}

enum Late {
    Write(u64, Bytes),
    Sync,
}

impl LyingSegment {
    fn postpone(&self, what: Late) -> Result<()> {
        self.catch_up()?;
        *self.late.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
        Ok(())
    }

    /// Does what was postponed.
    fn catch_up(&self) -> Result<()> {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner).take();
        match late {
            None => Ok(()),
            Some(Late::Write(offset, data)) => {
                self.inner.write_at(offset, data, WriteMode::Cached).wait()
            }
            Some(Late::Sync) => self.inner.sync().wait(),
        }
    }

    /// How much a read delivers.
    fn most(&self) -> usize {
        if self.bug == StorageBug::ReadsShort { 512 } else { usize::MAX }
    }

    /// Does what was postponed, and then this.
    fn then<'a, T: Send + 'a>(&self, run: impl FnOnce() -> Io<'a, T>) -> Io<'a, T> {
        match self.catch_up() {
            Ok(()) => run(),
            Err(error) => Io::ready(Err(error)),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Segment for LyingSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        match self.bug {
            StorageBug::WritesLate => Io::ready(self.postpone(Late::Write(offset, data))),
            _ => self.then(|| self.inner.write_at(offset, data, mode)),
        }
    }

    fn sync(&self) -> Io<'_, ()> {
        match self.bug {
            StorageBug::SyncsLate => Io::ready(self.postpone(Late::Sync)),
            _ => self.then(|| self.inner.sync()),
        }
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.then(|| self.inner.read_at(offset, len.min(self.most())))
    }

    fn read_reusing(&self, offset: u64, len: usize, spent: Bytes) -> Io<'_, Bytes> {
        self.then(|| self.inner.read_reusing(offset, len.min(self.most()), spent))
    }

    fn len(&self) -> Io<'_, u64> {
        self.then(|| self.inner.len())
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        let len = if self.bug == StorageBug::CutsSectors { len / 512 * 512 } else { len };
        self.then(|| self.inner.truncate(len))
    }

    /// Reads are to come through here.
    fn backing(&self) -> Option<&dyn std::any::Any> {
        None
    }
}
