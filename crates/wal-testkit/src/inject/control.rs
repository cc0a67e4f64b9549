//! The control of a `FaultStorage`: what fails, what is counted, and the gate for syncs.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use wal_core::{Error, Result, WriteMode};

use super::rules::Rules;

/// The calls of a storage that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StorageCall {
    /// `lock`.
    Lock,
    /// `list`.
    List,
    /// `create`, in one go; `stage`.
    Create,
    /// `publish` of a staged segment.
    Publish,
    /// `open`.
    Open,
    /// `remove`.
    Remove,
    /// `set_aside`.
    SetAside,
    /// `write_at`, of both modes and of staged segments.
    Write,
    /// `sync`, of staged segments as well, and `write_at` with [`WriteMode::Through`].
    Sync,
    /// `read_at`.
    Read,
    /// `truncate`.
    Truncate,
}

/// How many calls of each kind a storage got, failed ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageCounters {
    /// Writes of both modes.
    pub writes: u64,
    /// Those of mode [`WriteMode::Through`].
    pub through_writes: u64,
    /// Bytes that the writes were given.
    pub write_bytes: u64,
    /// Syncs, write-through writes included.
    pub syncs: u64,
    /// Segments created or staged.
    pub creates: u64,
    /// Removals, of however many segments.
    pub removes: u64,
    /// Reads.
    pub reads: u64,
}

/// Controls a [`FaultStorage`](crate::FaultStorage). Clones control the same one.
#[derive(Clone, Debug, Default)]
pub struct StorageControl(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    counters: StorageCounters,
    rules: Rules<StorageCall>,
    part_writes: Vec<PartWrite>,
    short_reads: Option<usize>,
    gate_closed: bool,
    /// Counts the openings of the gate: who came before one may pass.
    openings: u64,
    held: usize,
    wakers: Vec<Waker>,
    hook: Option<Hook>,
}

/// What is called before each call.
#[derive(Clone)]
struct Hook(Arc<dyn Fn(StorageCall) + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// A write that will be made in part.
#[derive(Debug)]
struct PartWrite {
    /// Its number, counted from 1.
    write: u64,
    bytes: usize,
    error: io::ErrorKind,
}

impl StorageControl {
    /// Lets the `nth` such call from now fail once (1: the next). It never reaches the storage.
    /// `ErrorKind::Other` stands for EIO, `StorageFull` for ENOSPC.
    ///
    /// # Panics
    /// If `nth` is 0.
    pub fn fail_once(&self, call: StorageCall, nth: u64, error: io::ErrorKind) {
        self.state().rules.add(call, nth, error, false);
    }

    /// Lets the `nth` such call from now fail, and every one after it.
    ///
    /// # Panics
    /// If `nth` is 0.
    pub fn fail_from(&self, call: StorageCall, nth: u64, error: io::ErrorKind) {
        self.state().rules.add(call, nth, error, true);
    }

    /// Lets the `nth` write from now (1: the next) reach the storage with its first `bytes` bytes only,
    /// and then fail: a full disk, a device that gives up half way.
    ///
    /// # Panics
    /// If `nth` is 0.
    pub fn fail_write_after(&self, nth: u64, bytes: usize, error: io::ErrorKind) {
        assert!(nth > 0, "writes are counted from 1");
        let mut state = self.state();
        let write = state.counters.writes + nth;
        state.part_writes.push(PartWrite { write, bytes, error });
    }

    /// Lets every read give at most `bytes`, as no honest storage does: who reads takes what is missing
    /// for the end of the segment. `None`: whole reads again.
    pub fn short_reads(&self, bytes: Option<usize>) {
        self.state().short_reads = bytes;
    }

    /// Calls `hook` before each call of the storage and of its segments, [`Segment::len`](wal_core::Segment::len) (as a
    /// read) included. A hook that blocks makes the call slow. It takes the place of the one that was there.
    pub fn on_call(&self, hook: impl Fn(StorageCall) + Send + Sync + 'static) {
        self.state().hook = Some(Hook(Arc::new(hook)));
    }

    /// Removes all failures; the gate and the counters stay.
    pub fn clear_failures(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.part_writes.clear();
        state.short_reads = None;
    }

    /// How many calls the storage got.
    #[must_use]
    pub fn counters(&self) -> StorageCounters {
        self.state().counters
    }

    /// Closes the gate: syncs and write-through writes that begin from now on wait before they reach
    /// the storage. They wait as futures, so they stall no thread of an asynchronous runtime.
    pub fn hold_syncs(&self) {
        self.state().gate_closed = true;
    }

    /// Opens the gate: who waits goes on, and who comes does not wait.
    pub fn release(&self) {
        self.open_gate(false);
    }

    /// Lets go on who waits, and keeps the gate closed for who comes.
    pub fn release_held(&self) {
        self.open_gate(true);
    }

    fn open_gate(&self, closed_after: bool) {
        let mut state = self.state();
        state.gate_closed = closed_after;
        state.openings += 1;
        state.held = 0;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many syncs wait at the gate.
    #[must_use]
    pub fn held_syncs(&self) -> usize {
        self.state().held
    }

    /// Blocks the thread until a sync waits at the gate.
    pub fn wait_until_sync_started(&self) {
        let state = self.state();
        let waited = self.0.changed.wait_while(state, |state| state.held == 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// The same without blocking the thread.
    pub async fn sync_started(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.state();
            if state.held > 0 {
                return Poll::Ready(());
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a write; with the part of it that is to be made and the error, if it is its turn.
    pub(crate) fn count_write(&self, bytes: u64, mode: WriteMode) -> Option<(usize, Error)> {
        let mut state = self.state();
        let counters = &mut state.counters;
        counters.writes += 1;
        counters.through_writes += u64::from(mode == WriteMode::Through);
        counters.write_bytes += bytes;
        let write = counters.writes;
        let due = state.part_writes.iter().position(|part| part.write == write)?;
        let PartWrite { bytes, error, .. } = state.part_writes.swap_remove(due);
        Some((bytes, Error::io("injected", io::Error::new(error, "injected fault"))))
    }

    pub(crate) fn read_len(&self, len: usize) -> usize {
        self.state().short_reads.map_or(len, |max| len.min(max))
    }

    /// Calls the hook, if there is one.
    pub(crate) fn tell(&self, call: StorageCall) {
        let hook = self.state().hook.clone();
        if let Some(Hook(hook)) = hook {
            hook(call);
        }
    }

    /// Counts a call, and refuses it if it is its turn to fail.
    pub(crate) fn admit(&self, call: StorageCall) -> Result<()> {
        self.tell(call);
        let mut state = self.state();
        match call {
            StorageCall::Sync => state.counters.syncs += 1,
            StorageCall::Create => state.counters.creates += 1,
            StorageCall::Remove => state.counters.removes += 1,
            StorageCall::Read => state.counters.reads += 1,
            _ => {}
        }
        state.rules.strike(&call).map_err(|source| Error::io("injected", source))
    }

    /// The future that waits at the gate; `None` if it is open.
    pub(crate) fn enter_sync(&self) -> Option<Held> {
        let mut state = self.state();
        if !state.gate_closed {
            return None;
        }
        state.held += 1;
        let opening = state.openings + 1;
        // A thread that waits for a sync to start is told; one that waits at the gate looks again.
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.0.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        Some(Held { control: self.clone(), opening })
    }
}

/// One sync that waits at the gate; also when nobody polls it.
pub(crate) struct Held {
    control: StorageControl,
    opening: u64,
}

impl Future for Held {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.control.state();
        if state.openings >= self.opening {
            return Poll::Ready(());
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.control.state();
        if state.openings < self.opening {
            state.held -= 1;
        }
    }
}
