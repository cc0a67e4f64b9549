//! `Witness`: a storage that writes down every call, so that a breach can be retold.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use wal_core::{
    Access, Capabilities, Changes, Copied, Io, Listing, LogStorage, Lsn, Publish, Segment, Staged,
    StagedSegment, StorageLock, WriteMode, copy_in_pieces,
};

/// The calls of one run, one a line.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, line: impl Into<String>) {
        self.lines().push(line.into());
    }

    pub(super) fn clear(&self) {
        self.lines().clear();
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines())
    }

    /// Writes down a call once its outcome is known.
    fn watch<'a, T: Send + 'a>(
        &self,
        call: String,
        io: Io<'a, T>,
        show: impl FnOnce(&T) -> String + Send + 'a,
    ) -> Io<'a, T> {
        let calls = self.clone();
        Io::future(async move {
            let outcome = io.await;
            let told =
                outcome.as_ref().map_or_else(|error| format!("Err: {}", error.chain()), show);
            calls.note(format!("{call} -> {told}"));
            outcome
        })
    }
}

/// The storage under test, with every call written down.
pub struct Witness<S> {
    inner: S,
    calls: Calls,
}

impl<S: LogStorage> Witness<S> {
    pub(super) fn new(inner: S, calls: Calls) -> Self {
        Witness { inner, calls }
    }

    pub(super) fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: LogStorage> fmt::Debug for Witness<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("inner", &self.inner.describe()).finish_non_exhaustive()
    }
}

fn ok<T>(_: &T) -> String {
    "Ok".into()
}

/// How a segment is published, in few words.
fn shown(publish: Publish) -> String {
    match publish {
        Publish::New => "new".into(),
        Publish::Replace { generation: Some(generation) } => {
            format!("replacing generation {generation}")
        }
        Publish::Replace { generation: None } => "replacing an unreadable one".into(),
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: LogStorage> LogStorage for Witness<S> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        self.calls.watch("lock()".into(), self.inner.lock(), ok)
    }

    fn list(&self) -> Io<'_, Listing> {
        self.calls.watch("list()".into(), self.inner.list(), |listing| {
            let names: Vec<u64> = listing.segments.iter().map(|name| name.get()).collect();
            format!("segments {names:?}, foreign {:?}", listing.foreign)
        })
    }

    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        let call = format!("stage({name}, {capacity})");
        let calls = self.calls.clone();
        let io = self.calls.watch(call, self.inner.stage(name, capacity), ok);
        io.map(move |inner| Staged::new(WitnessStaged { inner, name, calls }))
    }

    fn create(
        &self,
        name: Lsn,
        data: Bytes,
        capacity: u64,
        publish: Publish,
    ) -> Io<'_, Arc<dyn Segment>> {
        let len = data.len();
        let call = format!("create({name}, {len} bytes, {capacity}, {})", shown(publish));
        let io = self.calls.watch(call, self.inner.create(name, data, capacity, publish), ok);
        self.wrap(name, io)
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let call = format!("open({name}, {access:?})");
        let io = self.calls.watch(call, self.inner.open(name, access), ok);
        self.wrap(name, io)
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        let numbers: Vec<u64> = names.iter().map(|name| name.get()).collect();
        self.calls.watch(format!("remove({numbers:?})"), self.inner.remove(names), ok)
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        let call = format!("set_aside({label:?}, {} bytes)", data.len());
        self.calls.watch(call, self.inner.set_aside(label, data), |name| format!("{name:?}"))
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

impl<S: LogStorage> Witness<S> {
    fn wrap<'a>(&self, name: Lsn, io: Io<'a, Arc<dyn Segment>>) -> Io<'a, Arc<dyn Segment>> {
        let calls = self.calls.clone();
        Io::future(async move {
            let inner = io.await?;
            Ok(Arc::new(WitnessSegment { inner, name, calls }) as Arc<dyn Segment>)
        })
    }
}

struct WitnessStaged {
    inner: Staged,
    name: Lsn,
    calls: Calls,
}

impl StagedSegment for WitnessStaged {
    fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()> {
        let call = format!("staged {}: write_at({offset}, {} bytes)", self.name, data.len());
        self.calls.watch(call, self.inner.write_at(offset, data), ok)
    }

    fn sync(&mut self) -> Io<'_, ()> {
        self.calls.watch(format!("staged {}: sync()", self.name), self.inner.sync(), ok)
    }

    fn publish(self: Box<Self>, how: Publish) -> Io<'static, Arc<dyn Segment>> {
        let WitnessStaged { inner, name, calls } = *self;
        let call = format!("staged {name}: publish({})", shown(how));
        let io = calls.watch(call, inner.publish(how), ok);
        io.map(move |inner| Arc::new(WitnessSegment { inner, name, calls }) as Arc<dyn Segment>)
    }
}

struct WitnessSegment {
    inner: Arc<dyn Segment>,
    name: Lsn,
    calls: Calls,
}

impl WitnessSegment {
    fn watch<'a, T: Send + 'a>(
        &self,
        call: String,
        io: Io<'a, T>,
        show: impl FnOnce(&T) -> String + Send + 'a,
    ) -> Io<'a, T> {
        self.calls.watch(format!("segment {}: {call}", self.name), io, show)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Segment for WitnessSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        let call = format!("write_at({offset}, {} bytes, {mode:?})", data.len());
        self.watch(call, self.inner.write_at(offset, data, mode), ok)
    }

    fn sync(&self) -> Io<'_, ()> {
        self.watch("sync()".into(), self.inner.sync(), ok)
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        let call = format!("read_at({offset}, {len})");
        self.watch(call, self.inner.read_at(offset, len), |b| format!("{} bytes", b.len()))
    }

    fn read_reusing(&self, offset: u64, len: usize, spent: Bytes) -> Io<'_, Bytes> {
        let call = format!("read_reusing({offset}, {len}, {} bytes)", spent.len());
        let read = self.inner.read_reusing(offset, len, spent);
        self.watch(call, read, |b| format!("{} bytes", b.len()))
    }

    fn len(&self) -> Io<'_, u64> {
        self.watch("len()".into(), self.inner.len(), u64::to_string)
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.watch(format!("truncate({len})"), self.inner.truncate(len), ok)
    }

    /// Reads are to come through here.
    fn backing(&self) -> Option<&dyn std::any::Any> {
        None
    }
}
