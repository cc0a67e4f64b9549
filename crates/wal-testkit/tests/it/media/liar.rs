//! A storage that breaks its contract in one way of many.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use wal_core::*;
use wal_testkit::CrashPolicy;
use wal_testkit::conformance::Medium;

use super::Erased;
use super::liar_segment::LiarSegment;

/// What a [`Liar`] does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// None: only an alignment, to which a storage has a right.
    Aligned,
    NeverLocks,
    NeverUnlocks,
    LockOutlivesItsHolder,
    RefusalRemovesASegment,
    CapabilitiesChange,
    PadsBesideItsAlignment,
    ListsBackwards,
    HidesForeign,
    ListsSetAside,
    ListsPassingNames,
    DirtBehindTheHeader,
    CutsTheHeader,
    KeepsTheOldSegment,
    ReplacesInTwoSteps,
    CreatesInTwoSteps,
    StagesUnderTheName,
    KeepsTheFirstPiece,
    BytesAfterTheName,
    ReplacesWhatIsNew,
    ReplacesAnyGeneration,
    /// Takes a header of another version for one that is damaged.
    ReplacesAnyVersion,
    PublishesInTwoSteps,
    OpensAnything,
    RemovesNothing,
    RemovesTheFirst,
    RemoveFails,
    /// Takes what was created while it removed with it.
    RemovesWhatCameMeanwhile,
    ReadersFollowTheName,
    SetAsideOverwrites,
    BuffersInTheHandle,
    CountsItsDescriptions,
    CutsLongWrites,
    EmptyWritesGrow,
    WritesTheNeighbourToo,
    ReopensEmpty,
    ReadsShort,
    GivesSpentMemoryBack,
    NoiseInGaps,
    TruncateGrows,
    SyncUndoesWrites,
    SyncDoesNothing,
    ThroughIsCached,
}

#[derive(Default)]
struct Shared {
    flag: AtomicBool,
    count: AtomicU64,
    aside: Mutex<Vec<String>>,
}

/// An honest medium whose storages lie.
pub(crate) struct Lying {
    pub(crate) medium: Erased<Box<dyn LogStorage>>,
    pub(crate) lie: Lie,
    shared: Arc<Shared>,
}

impl Lying {
    pub(crate) fn new(medium: Erased<Box<dyn LogStorage>>, lie: Lie) -> Self {
        Lying { medium, lie, shared: Arc::default() }
    }

    fn wrap(&self, inner: Box<dyn LogStorage>) -> Liar {
        Liar { inner: inner.into(), lie: self.lie, shared: Arc::clone(&self.shared) }
    }
}

impl Medium for Lying {
    type Storage = Liar;

    fn open(&self) -> Liar {
        self.wrap(self.medium.open())
    }
    fn open_after_kill(&self) -> Option<Liar> {
        self.medium.open_after_kill().map(|storage| self.wrap(storage))
    }
    fn cut_power_after(&self, calls: u64) {
        self.medium.cut_power_after(calls);
    }
    fn open_after_power_loss(&self, policy: CrashPolicy) -> Option<Liar> {
        self.medium.open_after_power_loss(policy).map(|storage| self.wrap(storage))
    }
    fn put_foreign(&self) -> Option<String> {
        self.medium.put_foreign()
    }
}

/// The storage that lies.
pub(crate) struct Liar {
    inner: Arc<dyn LogStorage>,
    lie: Lie,
    shared: Arc<Shared>,
}

impl Liar {
    fn wrap(&self, name: Lsn, inner: Arc<dyn Segment>) -> Arc<dyn Segment> {
        let (lie, storage) = (self.lie, Arc::clone(&self.inner));
        Arc::new(LiarSegment { inner, lie, storage, name, buffer: Mutex::default() })
    }

    fn remove_too_much(&self, names: &[Lsn]) -> Result<()> {
        let before = self.inner.list().wait()?.segments;
        self.inner.remove(names).wait()?;
        thread::sleep(Duration::from_millis(1));
        let mut new = self.inner.list().wait()?.segments;
        new.retain(|name| !before.contains(name));
        self.inner.remove(&new).wait()
    }

    fn exists(&self, name: Lsn) -> bool {
        self.inner.open(name, Access::Read).wait().is_ok()
    }

    fn create_wrongly(
        &self,
        name: Lsn,
        header: Bytes,
        capacity: u64,
        how: Publish,
    ) -> Result<Arc<dyn Segment>> {
        let how = self.lie.way(&*self.inner, name, how);
        let create = |header: Bytes| self.inner.create(name, header, capacity, how).wait();
        match self.lie {
            Lie::CapabilitiesChange => self.shared.flag.store(true, Ordering::Relaxed),
            Lie::ListsPassingNames => {
                self.shared.flag.store(true, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(2));
                self.shared.flag.store(false, Ordering::Relaxed);
            }
            Lie::CutsTheHeader => return create(header.slice(..header.len().min(1000))),
            Lie::KeepsTheOldSegment if self.exists(name) => {
                return self.inner.open(name, Access::Write).wait();
            }
            Lie::CreatesInTwoSteps => {
                let segment = create(header.slice(..header.len().min(100)))?;
                segment.write_at(0, header, WriteMode::Cached).wait()?;
                return Ok(segment);
            }
            _ => {}
        }
        let len = header.len() as u64;
        let segment = create(header)?;
        if self.lie == Lie::DirtBehindTheHeader {
            segment.write_at(len, vec![0xee; 100].into(), WriteMode::Cached).wait()?;
        }
        Ok(segment)
    }
}

struct Unflag(Arc<Shared>);

impl Drop for Unflag {
    fn drop(&mut self) {
        self.0.flag.store(false, Ordering::Relaxed);
    }
}

#[deny(clippy::missing_trait_methods)]
impl LogStorage for Liar {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        if self.lie == Lie::CapabilitiesChange && self.shared.flag.load(Ordering::Relaxed) {
            capabilities.atomic_write_unit = 1;
        }
        if self.lie == Lie::Aligned {
            capabilities.alignment = 4096;
        }
        if self.lie == Lie::PadsBesideItsAlignment {
            (capabilities.alignment, capabilities.pad_to) = (512, 4096);
        }
        capabilities
    }

    fn describe(&self) -> String {
        match self.lie {
            Lie::CountsItsDescriptions => {
                format!("number {}", self.shared.count.fetch_add(1, Ordering::Relaxed))
            }
            _ => self.inner.describe(),
        }
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        let locked = self.inner.lock();
        Io::ready(match self.lie {
            Lie::NeverLocks => Ok(StorageLock::new(())),
            Lie::NeverUnlocks => locked.wait().map(|lock| {
                std::mem::forget(lock);
                StorageLock::new(())
            }),
            Lie::LockOutlivesItsHolder => match self.shared.flag.swap(true, Ordering::Relaxed) {
                true => Err(Error::new(ErrorKind::Locked, "lock")),
                false => Ok(StorageLock::new(Unflag(Arc::clone(&self.shared)))),
            },
            Lie::RefusalRemovesASegment => locked.wait().inspect_err(|_| {
                for name in self.inner.list().wait().unwrap().segments {
                    self.inner.remove(&[name]).wait().unwrap();
                }
            }),
            _ => return locked,
        })
    }

    fn list(&self) -> Io<'_, Listing> {
        Io::ready(self.inner.list().wait().map(|mut listing| {
            match self.lie {
                Lie::ListsBackwards => listing.segments.reverse(),
                Lie::HidesForeign => listing.foreign.clear(),
                Lie::ListsSetAside => {
                    listing.foreign.clone_from(&self.shared.aside.lock().unwrap())
                }
                Lie::ListsPassingNames if self.shared.flag.load(Ordering::Relaxed) => {
                    listing.foreign.push("passing.tmp".into());
                }
                _ => {}
            }
            listing
        }))
    }

    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        let inner = self.inner.clone();
        if self.lie == Lie::StagesUnderTheName {
            let _ = inner.create(name, Bytes::new(), capacity, Publish::New).wait();
        }
        let staged = LiarStaged { inner, lie: self.lie, name, capacity, writes: Vec::new() };
        Io::ready(Ok(Staged::new(staged)))
    }

    fn create(
        &self,
        name: Lsn,
        header: Bytes,
        capacity: u64,
        publish: Publish,
    ) -> Io<'_, Arc<dyn Segment>> {
        if self.lie == Lie::ReplacesInTwoSteps && publish != Publish::New && self.exists(name) {
            return Io::future(async move {
                self.inner.remove(&[name]).await?;
                thread::sleep(Duration::from_millis(1));
                let mut first = true;
                std::future::poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    if std::mem::take(&mut first) {
                        std::task::Poll::Pending
                    } else {
                        std::task::Poll::Ready(())
                    }
                })
                .await;
                Ok(self.wrap(name, self.inner.create(name, header, capacity, Publish::New).await?))
            });
        }
        let created = self.create_wrongly(name, header, capacity, publish);
        Io::ready(created.map(|segment| self.wrap(name, segment)))
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let opened = self.inner.open(name, access).wait();
        Io::ready(
            match self.lie {
                Lie::OpensAnything => opened.or_else(|_| {
                    self.inner.open(self.inner.list().wait()?.segments[0], access).wait()
                }),
                Lie::ReopensEmpty if access == Access::Write => {
                    opened.and_then(|segment| segment.truncate(1300).wait().map(|()| segment))
                }
                _ => opened,
            }
            .map(|segment| self.wrap(name, segment)),
        )
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        match self.lie {
            Lie::RemovesNothing => Io::ready(Ok(())),
            Lie::RemoveFails => Io::ready(Err(Error::new(ErrorKind::Io, "remove"))),
            Lie::RemovesWhatCameMeanwhile => Io::ready(self.remove_too_much(names)),
            Lie::RemovesTheFirst => self.inner.remove(&names[..1.min(names.len())]),
            _ => self.inner.remove(names),
        }
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        let name = self.inner.set_aside(label, data).wait().unwrap();
        self.shared.aside.lock().unwrap().push(name.clone());
        Io::ready(Ok(if self.lie == Lie::SetAsideOverwrites { label.into() } else { name }))
    }

    fn open_reserve(&self, open: bool) {
        self.inner.open_reserve(open);
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

impl Lie {
    /// How it publishes: some find out what is there, and say that it may go.
    fn way(self, inner: &dyn LogStorage, name: Lsn, how: Publish) -> Publish {
        let lies = match how {
            Publish::New => self == Lie::ReplacesWhatIsNew,
            Publish::Replace { .. } => {
                matches!(self, Lie::ReplacesAnyGeneration | Lie::ReplacesAnyVersion)
            }
        };
        if !lies {
            return how;
        }
        if self == Lie::ReplacesAnyVersion {
            let present = inner.open(name, Access::Read).wait();
            let there = present.and_then(|segment| segment.read_at(0, 512).wait());
            let unsupported = there.is_ok_and(|bytes| {
                let header = format::SegmentHeader::decode(&bytes, name);
                header.is_err_and(|error| error.kind() == ErrorKind::Unsupported)
            });
            if unsupported {
                inner.remove(&[name]).wait().unwrap();
                return Publish::New;
            }
            return how;
        }
        match inner.open(name, Access::Read).wait() {
            Ok(segment) => {
                let bytes = segment.read_at(0, format::SEGMENT_HEADER_LEN).wait().unwrap();
                let header = format::SegmentHeader::decode(&bytes, name).ok();
                Publish::Replace { generation: header.map(|header| header.generation) }
            }
            Err(_) => Publish::New,
        }
    }
}

/// Does nothing before it is published, to which any storage has a right.
struct LiarStaged {
    inner: Arc<dyn LogStorage>,
    lie: Lie,
    name: Lsn,
    capacity: u64,
    writes: Vec<(u64, Bytes)>,
}

impl LiarStaged {
    fn publish_wrongly(self, how: Publish) -> Result<Arc<dyn Segment>> {
        let LiarStaged { inner, lie, name, capacity, mut writes } = self;
        let how = lie.way(&*inner, name, how);
        let mut late = Vec::new();
        match lie {
            Lie::StagesUnderTheName => inner.remove(&[name]).wait()?,
            Lie::PublishesInTwoSteps if how != Publish::New => inner.remove(&[name]).wait()?,
            Lie::KeepsTheFirstPiece => writes.truncate(1),
            Lie::BytesAfterTheName => late = std::mem::take(&mut writes),
            _ => {}
        }
        let gone = [Lie::StagesUnderTheName, Lie::PublishesInTwoSteps].contains(&lie);
        let how = if gone { Publish::New } else { how };
        let mut staged = inner.stage(name, capacity).wait()?;
        for (offset, data) in writes {
            staged.write_at(offset, data).wait()?;
        }
        let segment = staged.publish(how).wait()?;
        for (offset, data) in late {
            segment.write_at(offset, data, WriteMode::Cached).wait()?;
        }
        Ok(segment)
    }
}

impl StagedSegment for LiarStaged {
    fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()> {
        self.writes.push((offset, data));
        Io::ready(Ok(()))
    }

    fn sync(&mut self) -> Io<'_, ()> {
        Io::ready(Ok(()))
    }

    fn publish(self: Box<Self>, how: Publish) -> Io<'static, Arc<dyn Segment>> {
        Io::ready(self.publish_wrongly(how))
    }
}
