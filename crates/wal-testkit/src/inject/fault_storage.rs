//! `FaultStorage`: any storage, with counters, failures and a gate that holds syncs.

use std::sync::Arc;

use bytes::Bytes;
use wal_core::{
    Access, Capabilities, Changes, Copied, Io, Listing, LogStorage, Lsn, Publish, Segment, Staged,
    StagedSegment, StorageLock, WriteMode, copy_in_pieces,
};

use super::control::{StorageCall, StorageControl};

/// A storage that passes every call on to another, unless its control says otherwise.
///
/// ```
/// use wal_core::{LogStorage, Lsn, Publish, WriteMode};
/// use wal_fs::FileStorage;
/// use wal_testkit::{FaultStorage, ModelFs, StorageCall};
///
/// let inner = FileStorage::create_with_file_system(ModelFs::new(), "/wal", Default::default())?;
/// let storage = FaultStorage::new(inner);
/// let control = storage.control();
/// let segment = storage.create(Lsn::FIRST, "header".into(), 4096, Publish::New).wait()?;
/// control.fail_once(StorageCall::Sync, 2, std::io::ErrorKind::Other);
/// segment.write_at(6, "frame".into(), WriteMode::Cached).wait()?;
/// assert!(segment.sync().wait().is_ok());
/// assert!(segment.sync().wait().is_err());
/// assert_eq!(control.counters().syncs, 2);
/// # Ok::<(), wal_core::Error>(())
/// ```
#[derive(Debug)]
pub struct FaultStorage<S> {
    inner: S,
    control: StorageControl,
}

impl<S: LogStorage> FaultStorage<S> {
    /// Wraps `inner`, with no faults yet and the gate open.
    pub fn new(inner: S) -> Self {
        FaultStorage { inner, control: StorageControl::default() }
    }

    /// A handle on the control, which also serves when the storage was given away.
    pub fn control(&self) -> StorageControl {
        self.control.clone()
    }

    /// The storage below.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

/// Fails now, or goes on with the storage below.
fn guarded<'a, T: Send + 'a>(
    control: &StorageControl,
    call: StorageCall,
    run: impl FnOnce() -> Io<'a, T>,
) -> Io<'a, T> {
    match control.admit(call) {
        Ok(()) => run(),
        Err(error) => Io::ready(Err(error)),
    }
}

fn wrap(control: &StorageControl, inner: Arc<dyn Segment>) -> Arc<dyn Segment> {
    Arc::new(FaultSegment { inner, control: control.clone() })
}

#[deny(clippy::missing_trait_methods)]
impl<S: LogStorage> LogStorage for FaultStorage<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        guarded(&self.control, StorageCall::Lock, || self.inner.lock())
    }

    fn list(&self) -> Io<'_, Listing> {
        guarded(&self.control, StorageCall::List, || self.inner.list())
    }

    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        guarded(&self.control, StorageCall::Create, || {
            let control = self.control.clone();
            let wrap = |inner| Staged::new(FaultStaged { inner, control });
            self.inner.stage(name, capacity).map(wrap)
        })
    }

    fn create(
        &self,
        name: Lsn,
        data: Bytes,
        capacity: u64,
        publish: Publish,
    ) -> Io<'_, Arc<dyn Segment>> {
        guarded(&self.control, StorageCall::Create, || {
            let inner = self.inner.create(name, data, capacity, publish);
            Io::future(async { Ok(wrap(&self.control, inner.await?)) })
        })
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        guarded(&self.control, StorageCall::Open, || {
            let inner = self.inner.open(name, access);
            Io::future(async { Ok(wrap(&self.control, inner.await?)) })
        })
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        guarded(&self.control, StorageCall::Remove, || self.inner.remove(names))
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        guarded(&self.control, StorageCall::SetAside, || self.inner.set_aside(label, data))
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

struct FaultStaged {
    inner: Staged,
    control: StorageControl,
}

impl StagedSegment for FaultStaged {
    fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()> {
        let mode = WriteMode::Cached;
        if let Some((bytes, error)) = self.control.count_write(data.len() as u64, mode) {
            let part = self.inner.write_at(offset, data.slice(..bytes.min(data.len())));
            return Io::future(async { part.await.and(Err(error)) });
        }
        let FaultStaged { inner, control } = self;
        guarded(control, StorageCall::Write, || inner.write_at(offset, data))
    }

    fn sync(&mut self) -> Io<'_, ()> {
        let FaultStaged { inner, control } = self;
        guarded(control, StorageCall::Sync, || inner.sync())
    }

    fn publish(self: Box<Self>, how: Publish) -> Io<'static, Arc<dyn Segment>> {
        let FaultStaged { inner, control } = *self;
        guarded(&control.clone(), StorageCall::Publish, || {
            inner.publish(how).map(move |segment| wrap(&control, segment))
        })
    }
}

struct FaultSegment {
    inner: Arc<dyn Segment>,
    control: StorageControl,
}

impl FaultSegment {
    /// Waits at the gate, if it is closed, and then syncs or writes through.
    fn gated<'a>(&'a self, run: impl FnOnce() -> Io<'a, ()> + Send + 'a) -> Io<'a, ()> {
        match self.control.enter_sync() {
            None => run(),
            Some(held) => Io::future(async move {
                held.await;
                run().await
            }),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Segment for FaultSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        let write = move |data| self.inner.write_at(offset, data, mode);
        if let Some((bytes, error)) = self.control.count_write(data.len() as u64, mode) {
            let part = self.inner.write_at(offset, data.slice(..bytes.min(data.len())), mode);
            return Io::future(async { part.await.and(Err(error)) });
        }
        guarded(&self.control, StorageCall::Write, || match mode {
            WriteMode::Cached => write(data),
            WriteMode::Through => match self.control.admit(StorageCall::Sync) {
                Ok(()) => self.gated(move || write(data)),
                Err(error) => Io::ready(Err(error)),
            },
        })
    }

    fn sync(&self) -> Io<'_, ()> {
        guarded(&self.control, StorageCall::Sync, || self.gated(|| self.inner.sync()))
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        let len = self.control.read_len(len);
        guarded(&self.control, StorageCall::Read, || self.inner.read_at(offset, len))
    }

    fn read_reusing(&self, offset: u64, len: usize, spent: Bytes) -> Io<'_, Bytes> {
        let len = self.control.read_len(len);
        guarded(&self.control, StorageCall::Read, || self.inner.read_reusing(offset, len, spent))
    }

    fn len(&self) -> Io<'_, u64> {
        self.control.tell(StorageCall::Read);
        self.inner.len()
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        guarded(&self.control, StorageCall::Truncate, || self.inner.truncate(len))
    }

    /// Reads are to come through here.
    fn backing(&self) -> Option<&dyn std::any::Any> {
        None
    }
}
