//! Strategies and a storage for the tests of the engine.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use wal_core::*;

/// A strategy that is one closure.
pub struct Rule<F>(pub F);

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

pub fn always() -> impl SyncStrategy {
    Rule(|_: &TailView| Decision::durable(SyncWhen::Now))
}

pub fn os() -> impl SyncStrategy {
    Rule(|_: &TailView| Decision::written(SyncWhen::OnRequest))
}

pub fn memory_log(strategy: impl SyncStrategy) -> Wal {
    Wal::builder(strategy).open(MemoryStorage::new().into_empty_log().unwrap()).unwrap()
}

/// A memory storage that counts, fails and stalls on demand, and remembers what was synced.
#[derive(Clone, Default)]
pub struct Probe {
    pub memory: MemoryStorage,
    pub control: Arc<Control>,
    pub write_through: bool,
    /// Writes are to end at multiples of this; anywhere if it is 0.
    pub pad_to: u32,
}

#[derive(Default)]
pub struct Control {
    pub writes: AtomicU64,
    /// How many of the writes went through.
    pub throughs: AtomicU64,
    pub syncs: AtomicU64,
    /// Fail the write / the sync with this number, counted from 1.
    pub fail_write: AtomicU64,
    pub fail_sync: AtomicU64,
    pub panic_in_sync: AtomicBool,
    hold: Gate,
    /// Writes stall while it is shut.
    pub writing: Gate,
    /// Removals stall while it is shut, before anything is removed.
    pub removing: Gate,
    /// Removals fail from now on.
    pub fail_remove: AtomicBool,
    /// What was removed, call by call.
    pub removed: Mutex<Vec<Vec<u64>>>,
    /// Whether the log has let go of the storage.
    pub released: AtomicBool,
}

/// Tells when the log lets go of the storage.
struct Releases(Arc<Control>, #[allow(dead_code, reason = "held")] StorageLock);

impl Drop for Releases {
    fn drop(&mut self) {
        self.0.released.store(true, Ordering::SeqCst);
    }
}

/// What stalls while it is shut.
#[derive(Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    shut: bool,
    stalled: u64,
    /// So many may pass although it is shut.
    let_pass: u64,
}

impl Gate {
    pub fn shut(&self) {
        self.state.lock().unwrap().shut = true;
    }
    pub fn open(&self) {
        let mut state = self.state.lock().unwrap();
        (state.shut, state.let_pass) = (false, 0);
        self.changed.notify_all();
    }
    /// Lets one pass, and keeps it shut.
    pub fn let_one_pass(&self) {
        self.state.lock().unwrap().let_pass += 1;
        self.changed.notify_all();
    }
    pub fn wait_for_stalled(&self) {
        let mut state = self.state.lock().unwrap();
        while state.stalled == 0 {
            state = self.changed.wait(state).unwrap();
        }
    }
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.stalled += 1;
        self.changed.notify_all();
        while state.shut {
            if let Some(left) = state.let_pass.checked_sub(1) {
                state.let_pass = left;
                break;
            }
            state = self.changed.wait(state).unwrap();
        }
        state.stalled -= 1;
    }
}

impl Control {
    /// Syncs stall from now on.
    pub fn hold_syncs(&self) {
        self.hold.shut();
    }
    pub fn release_syncs(&self) {
        self.hold.open();
    }
    /// Waits until a sync stalls.
    pub fn wait_for_stalled_sync(&self) {
        self.hold.wait_for_stalled();
    }
}

impl Probe {
    /// An empty log whose storage this is.
    pub fn recovered(&self) -> Recovered {
        empty_log(self.clone())
    }
    pub fn open(&self, strategy: impl SyncStrategy, settings: Settings) -> Wal {
        Wal::builder(strategy).settings(settings).open(self.recovered()).unwrap()
    }
    /// A log without a driver thread, so that nothing happens unless a test asks for it.
    pub fn open_still(&self, strategy: impl SyncStrategy, settings: Settings) -> Wal {
        let builder = Wal::builder(strategy).settings(settings).manual_driver();
        builder.open(self.recovered()).unwrap()
    }
    /// Closes the log while a write stalls, and lets the write go on.
    pub fn close_beside_a_stalled_write(&self, log: &Wal) {
        let closing = log.clone();
        let closing = thread::spawn(move || closing.close());
        // Until it waits for the write, and others sleep: there is nothing to be seen of that.
        thread::sleep(Duration::from_millis(20));
        self.control.writing.open();
        closing.join().unwrap().unwrap();
    }
    pub fn writes(&self) -> u64 {
        self.control.writes.load(Ordering::SeqCst)
    }
    pub fn syncs(&self) -> u64 {
        self.control.syncs.load(Ordering::SeqCst)
    }
}

struct ProbeSegment {
    inner: Arc<dyn Segment>,
    control: Arc<Control>,
}

impl LogStorage for Probe {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.memory.capabilities();
        capabilities.write_through = self.write_through;
        if self.pad_to > 0 {
            capabilities = capabilities.alignment(self.pad_to).pad_to(self.pad_to);
        }
        capabilities
    }
    fn describe(&self) -> String {
        "probe".into()
    }
    fn lock(&self) -> Io<'_, StorageLock> {
        let control = self.control.clone();
        let lock = self.memory.lock().wait();
        Io::ready(lock.map(|lock| {
            control.released.store(false, Ordering::SeqCst);
            StorageLock::new(Releases(control, lock))
        }))
    }
    fn list(&self) -> Io<'_, Listing> {
        self.memory.list()
    }
    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        let (staged, control) = (self.memory.stage(name, capacity), self.control.clone());
        staged
            .map(move |staged| staged.wrap(move |inner| Arc::new(ProbeSegment { inner, control })))
    }
    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        self.memory.open(name, access)
    }
    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        self.control.removing.pass();
        assert!(!self.control.released.load(Ordering::SeqCst), "it is somebody else's now");
        if self.control.fail_remove.load(Ordering::SeqCst) {
            return Io::ready(Err(Error::new(ErrorKind::Io, "remove").with_detail("injected")));
        }
        let numbers = names.iter().map(|name| name.get()).collect();
        self.control.removed.lock().unwrap().push(numbers);
        self.memory.remove(names)
    }
    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        self.memory.set_aside(label, data)
    }
}

impl Segment for ProbeSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        let n = self.control.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if mode == WriteMode::Through {
            self.control.throughs.fetch_add(1, Ordering::SeqCst);
        }
        self.control.writing.pass();
        if n == self.control.fail_write.load(Ordering::SeqCst) {
            return Io::ready(Err(Error::io("write", std::io::ErrorKind::StorageFull.into())));
        }
        self.inner.write_at(offset, data, mode)
    }
    fn sync(&self) -> Io<'_, ()> {
        let n = self.control.syncs.fetch_add(1, Ordering::SeqCst) + 1;
        self.control.hold.pass();
        assert!(!self.control.panic_in_sync.load(Ordering::SeqCst), "the storage panics");
        if n == self.control.fail_sync.load(Ordering::SeqCst) {
            return Io::ready(Err(Error::new(ErrorKind::Io, "sync").with_detail("injected")));
        }
        self.inner.sync()
    }
    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.inner.read_at(offset, len)
    }
    fn len(&self) -> Io<'_, u64> {
        self.inner.len()
    }
    fn truncate(&self, len: u64) -> Io<'_, ()> {
        self.inner.truncate(len)
    }
}

/// A log that holds nothing yet, on an empty storage.
pub fn empty_log(storage: impl LogStorage) -> Recovered {
    let lock = storage.lock().wait().unwrap();
    Recovered::empty(Arc::new(storage), lock, format::LogId::random().unwrap()).unwrap()
}

/// An append on a thread of its own.
pub type Appending = JoinHandle<Result<Lsn>>;

pub fn append_beside(log: &Wal, record: &'static [u8], durability: Durability) -> Appending {
    let log = log.clone();
    thread::spawn(move || log.append_with(record, durability))
}

/// Waits until `condition` holds; fails loudly if it does not come true.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    eventually_within(10_000, what, condition);
}

/// The same, within so many milliseconds.
pub fn eventually_within(millis: u32, what: &str, condition: impl Fn() -> bool) {
    for _ in 0..millis {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("never happened: {what}");
}

pub fn records(log: &Wal) -> Vec<(u64, String)> {
    log.iter(Lsn::ZERO)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.lsn.get(), String::from_utf8(entry.record.to_vec()).unwrap())
        })
        .collect()
}

/// Runs a future on this thread; fails loudly if it takes more than a minute.
pub fn within_a_minute<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(60), future).await };
    runtime.block_on(limited).expect("it took more than a minute")
}
