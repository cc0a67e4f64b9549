//! Logs to recover, and ways to damage them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use wal_core::*;
use wal_recovery::{Mode, Recovery, Report, Verify};
use wal_testkit::{CrashPolicy, ModelFs};

/// A strategy that is one closure.
pub(crate) struct Rule<F>(pub F);

impl<F: Fn(&TailView) -> Decision + Send + Sync + 'static> SyncStrategy for Rule<F> {
    fn name(&self) -> String {
        "rule".into()
    }
    fn claim(&self) -> Claim {
        Claim::written(Loss::UNBOUNDED)
    }
    fn decide(&self, tail: &TailView) -> Decision {
        (self.0)(tail)
    }
}

pub(crate) fn always() -> impl SyncStrategy {
    Rule(|_: &TailView| Decision::durable(SyncWhen::Now))
}

/// Syncs only when asked to.
pub(crate) fn lazy() -> impl SyncStrategy {
    Rule(|_: &TailView| Decision::written(SyncWhen::OnRequest))
}

pub(crate) fn settings() -> Settings {
    Settings::default().segment_size(4096).buffer_bytes(4096)
}

pub(crate) fn open_with(storage: impl LogStorage, strategy: impl SyncStrategy) -> Wal {
    let (recovered, _) = Recovery::new(storage).threads(1).run().unwrap();
    Wal::builder(strategy).settings(settings()).manual_driver().open(recovered).unwrap()
}

pub(crate) fn open(storage: impl LogStorage) -> Wal {
    open_with(storage, always())
}

/// LSN and bytes of each record.
pub(crate) type Content = Vec<(u64, Vec<u8>)>;

/// What can be read of an open log.
pub(crate) fn try_content(log: &Wal) -> Result<Content> {
    log.iter(Lsn::ZERO)?.map(|entry| entry.map(|e| (e.lsn.get(), e.record.to_vec()))).collect()
}

pub(crate) fn content(recovered: Recovered) -> Content {
    let log = Wal::builder(always()).manual_driver().open(recovered).unwrap();
    try_content(&log).unwrap()
}

pub(crate) fn recover(storage: impl LogStorage, mode: Mode) -> Result<(Recovered, Report)> {
    Recovery::new(storage).mode(mode).verify(Verify::All).threads(1).run()
}

/// A clock that is set by hand. It begins at some noon.
#[derive(Clone)]
pub(crate) struct Hands {
    wall: Arc<AtomicU64>,
    monotonic: Arc<AtomicU64>,
}

impl Hands {
    pub(crate) fn new() -> Self {
        let wall = Arc::new(AtomicU64::new(1_700_000_000_000_000));
        Hands { wall, monotonic: Arc::default() }
    }
    pub(crate) fn pass(&self, micros: u64) {
        self.wall.fetch_add(micros, Ordering::SeqCst);
        self.monotonic.fetch_add(micros, Ordering::SeqCst);
    }
    pub(crate) fn set_back(&self, micros: u64) {
        self.wall.fetch_sub(micros, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.monotonic.load(Ordering::SeqCst))
    }
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.wall.load(Ordering::SeqCst))
    }
}

/// The bytes of all segments.
pub(crate) type Image = BTreeMap<u64, Vec<u8>>;

pub(crate) fn image_of(storage: &dyn LogStorage) -> Image {
    let names = storage.list().wait().unwrap().segments;
    let read = |name: Lsn| {
        let segment = storage.open(name, Access::Read).wait().unwrap();
        let len = segment.len().wait().unwrap() as usize;
        segment.read_at(0, len).wait().unwrap().to_vec()
    };
    names.into_iter().map(|name| (name.get(), read(name))).collect()
}

pub(crate) fn memory_of(image: &Image) -> MemoryStorage {
    let storage = MemoryStorage::new();
    for (&name, bytes) in image {
        let len = bytes.len() as u64;
        storage
            .create(Lsn::new(name), Bytes::copy_from_slice(bytes), len, Publish::New)
            .wait()
            .unwrap();
    }
    storage
}

/// A log of three small segments, one per session, with single records and batches. The last one was
/// not closed.
pub(crate) fn three_sessions() -> Image {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    log.append(b"one").unwrap();
    log.append_batch(&[&b"two"[..], b"", b"four"]).unwrap();
    log.append(b"five").unwrap();
    log.close().unwrap();
    let log = open(storage.clone());
    log.append_batch(&[&b"six"[..], b"seven"]).unwrap();
    log.append(b"eight").unwrap();
    log.close().unwrap();
    let log = open(storage.clone());
    log.append(b"nine").unwrap();
    log.append_batch(&[&b"ten"[..], b"eleven", b"twelve"]).unwrap();
    log.append(b"thirteen").unwrap();
    log.append(b"fourteen").unwrap();
    drop(log);
    image_of(&storage)
}

/// Records of these sizes, acknowledged as durable one by one; then the power fails.
pub(crate) fn acknowledged<S: LogStorage>(
    lens: &[usize],
    storage: impl Fn(&ModelFs) -> S,
) -> (ModelFs, Content) {
    let fs = ModelFs::new();
    let log = open(storage(&fs));
    for (i, &len) in lens.iter().enumerate() {
        log.append(&vec![b'a' + i as u8; len]).unwrap();
    }
    let whole = try_content(&log).unwrap();
    drop(log);
    (fs.crash(CrashPolicy::KeepAll), whole)
}

/// What an undamaged image holds.
pub(crate) fn content_of(image: &Image) -> Content {
    content(recover(memory_of(image), Mode::Strict).unwrap().0)
}

/// Every look at it takes a second.
#[derive(Clone, Default)]
pub(crate) struct Ticking(Arc<AtomicU64>);

impl Clock for Ticking {
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1, Ordering::Relaxed) * 1_000_000)
    }
}

/// A storage that fails after some changes, like one whose power goes out.
#[derive(Clone)]
pub(crate) struct Fading {
    inner: Arc<dyn LogStorage>,
    left: Arc<AtomicU64>,
    /// Whether the first change that fails takes place all the same.
    effective: bool,
}

impl Fading {
    pub(crate) fn new(inner: impl LogStorage, changes: u64, effective: bool) -> Self {
        Fading { inner: Arc::new(inner), left: Arc::new(AtomicU64::new(changes)), effective }
    }

    /// Runs a change, or says that it failed.
    fn change<T>(&self, run: impl FnOnce() -> Result<T>) -> Io<'static, T> {
        let dead = || Err(Error::new(ErrorKind::Io, "change").with_detail("the power is off"));
        Io::ready(match self.left.load(Ordering::Relaxed) {
            u64::MAX => dead(),
            0 => {
                self.left.store(u64::MAX, Ordering::Relaxed);
                if self.effective {
                    let _ = run();
                }
                dead()
            }
            left => {
                self.left.store(left - 1, Ordering::Relaxed);
                run()
            }
        })
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.left.load(Ordering::Relaxed) == u64::MAX
    }
}

struct FadingSegment(Arc<dyn Segment>, Fading);

impl Segment for FadingSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        self.1.change(|| self.0.write_at(offset, data, mode).wait())
    }
    fn sync(&self) -> Io<'_, ()> {
        self.1.change(|| self.0.sync().wait())
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.0.read_at(offset, len)
    }
    fn len(&self) -> Io<'_, u64> {
        self.0.len()
    }
    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.1.change(|| self.0.truncate(len).wait())
    }
}

struct FadingStaged(Staged, Fading);

impl StagedSegment for FadingStaged {
    fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()> {
        self.1.change(|| self.0.write_at(offset, data).wait())
    }
    fn sync(&mut self) -> Io<'_, ()> {
        self.1.change(|| self.0.sync().wait())
    }
    fn publish(self: Box<Self>, how: Publish) -> Io<'static, Arc<dyn Segment>> {
        let FadingStaged(inner, fading) = *self;
        fading.change(|| {
            let segment = inner.publish(how).wait()?;
            Ok(Arc::new(FadingSegment(segment, fading.clone())) as Arc<dyn Segment>)
        })
    }
}

impl LogStorage for Fading {
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
        self.inner.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        let staged = self.inner.stage(name, capacity).wait();
        Io::ready(staged.map(|staged| Staged::new(FadingStaged(staged, self.clone()))))
    }
    /// One change, whatever it is made of.
    fn create(
        &self,
        name: Lsn,
        data: Bytes,
        capacity: u64,
        publish: Publish,
    ) -> Io<'_, Arc<dyn Segment>> {
        self.change(|| {
            let segment = self.inner.create(name, data, capacity, publish).wait()?;
            Ok(Arc::new(FadingSegment(segment, self.clone())) as Arc<dyn Segment>)
        })
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        Io::ready(
            self.inner
                .open(name, access)
                .wait()
                .map(|segment| Arc::new(FadingSegment(segment, self.clone())) as Arc<dyn Segment>),
        )
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.change(|| self.inner.remove(names).wait())
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.change(|| self.inner.set_aside(label, data).wait())
    }
}

/// The header of a segment.
pub(crate) fn header_of(bytes: &[u8], name: u64) -> format::SegmentHeader {
    format::SegmentHeader::decode(bytes, Lsn::new(name)).unwrap()
}

/// Offsets of all frames of a segment, the footer included, and of their end.
pub(crate) fn offsets_of(bytes: &[u8], name: u64) -> Vec<usize> {
    let mut offsets = vec![header_of(bytes, name).data_offset as usize];
    loop {
        let at = *offsets.last().unwrap();
        match bytes.get(at..at + format::FRAME_HEADER_LEN) {
            Some(head) if head.iter().any(|&byte| byte != 0) => {
                offsets.push(at + format::FrameHeader::decode(head).frame_len() as usize);
            }
            _ => return offsets,
        }
    }
}

/// Gives the frame at `at` the checksum that it should have after `change`.
pub(crate) fn forge(bytes: &mut [u8], name: u64, at: usize, change: impl FnOnce(&mut [u8])) {
    let header = header_of(bytes, name);
    let salt = header.salt();
    let len = format::FrameHeader::decode(&bytes[at..]).frame_len() as usize;
    let frame = &mut bytes[at..at + len];
    change(frame);
    let (head, body) = frame.split_at_mut(format::FRAME_HEADER_LEN);
    let sealed = format::FrameHeader::decode(head).seal(crc32c::crc32c(body), salt);
    head.copy_from_slice(&sealed);
}

/// Gives a header the checksum that it should have after `change`.
pub(crate) fn forge_header(bytes: &mut [u8], change: impl FnOnce(&mut [u8])) {
    change(&mut bytes[..512]);
    let crc = crc32c::crc32c(&bytes[..508]);
    bytes[508..512].copy_from_slice(&crc.to_le_bytes());
}

/// Memory that says something else of itself than it would.
#[derive(Clone)]
pub(crate) struct Pretending {
    memory: MemoryStorage,
    pretend: fn(&mut Capabilities),
}

/// Memory that recycles, as it says: a blank follows every write.
pub(crate) fn recycling(memory: MemoryStorage) -> Pretending {
    Pretending { memory, pretend: |capabilities| capabilities.recycles = true }
}

/// Memory that asks for padding up to multiples of 512.
pub(crate) fn padding(memory: MemoryStorage) -> Pretending {
    Pretending { memory, pretend: |c| (c.alignment, c.pad_to) = (512, 512) }
}

/// Memory that asks for frames to begin at multiples of 1024.
pub(crate) fn aligned(memory: MemoryStorage) -> Pretending {
    Pretending { memory, pretend: |capabilities| capabilities.alignment = 1024 }
}

impl LogStorage for Pretending {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.memory.capabilities();
        (self.pretend)(&mut capabilities);
        capabilities
    }
    fn describe(&self) -> String {
        self.memory.describe()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        self.memory.lock()
    }
    fn list(&self) -> Io<'_, Listing> {
        self.memory.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        self.memory.stage(name, capacity)
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.memory.open(name, access)
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.memory.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.memory.set_aside(label, data)
    }
}

/// Ten records in one segment; `change` is done before the log is left as it is.
pub(crate) fn ten(change: impl FnOnce(&Wal)) -> MemoryStorage {
    let storage = MemoryStorage::new();
    let log = open(storage.clone());
    for _ in 0..10 {
        log.append(b"old").unwrap();
    }
    change(&log);
    storage
}

/// `sessions` sessions of `records` records each, every record at another time. The last one was not
/// closed.
pub(crate) fn by_time(sessions: u64, records: u64) -> MemoryStorage {
    let storage = MemoryStorage::new();
    let clock = Ticking::default();
    for session in 1..=sessions {
        let (recovered, _) = Recovery::new(storage.clone()).run().unwrap();
        let builder = Wal::builder(always()).settings(settings()).clock(clock.clone());
        let log = builder.manual_driver().open(recovered).unwrap();
        for i in 0..records {
            log.append(format!("record {i}").as_bytes()).unwrap();
        }
        if session < sessions {
            log.close().unwrap();
        }
    }
    storage
}
