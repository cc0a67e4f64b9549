//! Faults that strike while the log runs, and the record of what ran.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::rules::Rules;
use super::trace::{Call, Counters, Op};

type Hook = Arc<dyn Fn(Option<&Op>) + Send + Sync>;

/// The controls of a [`FaultFs`](crate::FaultFs). Clones control the same one.
///
/// A call that is made to fail here never reaches the file system below. So a sync failed here
/// leaves the bytes dirty; what a device does that fails a sync for real is
/// [`ModelFs::fail_sync`](crate::ModelFs::fail_sync).
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    counters: Counters,
    trace: Vec<Op>,
    /// The trace is not wanted, and the names in it need not be kept.
    silent: bool,
    changes: u64,
    power_off_at: Option<u64>,
    rules: Rules<Call>,
    short_writes: Option<usize>,
    short_reads: Option<usize>,
    interrupt_every: Option<u64>,
    interruptible: u64,
    hooks: Vec<(Call, Hook)>,
    names: Vec<Weak<Mutex<PathBuf>>>,
}

/// The present path of an open file, which follows renames.
pub(crate) type NameCell = Arc<Mutex<PathBuf>>;

impl Faults {
    /// Lets the `nth` such call from now fail once (1: the next). `ErrorKind::Other` stands for EIO,
    /// `StorageFull` for ENOSPC.
    ///
    /// # Panics
    /// If `nth` is 0.
    pub fn fail_once(&self, call: Call, nth: u64, error: io::ErrorKind) {
        self.state().rules.add(call, nth, error, false);
    }

    /// Lets the `nth` such call from now fail, and every one after it.
    ///
    /// # Panics
    /// If `nth` is 0.
    pub fn fail_from(&self, call: Call, nth: u64, error: io::ErrorKind) {
        self.state().rules.add(call, nth, error, true);
    }

    /// Lets every write transfer at most `bytes`; `None`: whole ones again.
    pub fn short_writes(&self, bytes: Option<usize>) {
        self.state().short_writes = bytes;
    }

    /// Lets every read transfer at most `bytes`; `None`: whole ones again.
    pub fn short_reads(&self, bytes: Option<usize>) {
        self.state().short_reads = bytes;
    }

    /// Lets every `n`th read or write be interrupted before it did anything; `None`: none.
    pub fn interrupt_every(&self, n: Option<u64>) {
        self.state().interrupt_every = n;
    }

    /// Calls `hook` in every sync of a file or directory, before it reaches the disk. A hook that
    /// blocks makes the sync slow.
    pub fn on_sync(&self, hook: impl Fn(&Op) + Send + Sync + 'static) {
        let hook: Hook = Arc::new(move |op| op.into_iter().for_each(&hook));
        self.hook(Call::Sync, hook.clone());
        self.hook(Call::SyncDir, hook);
    }

    /// Calls `hook` in every call of this kind, before it reaches the disk. It takes the place of the one
    /// that was there.
    pub fn on_call(&self, call: Call, hook: impl Fn() + Send + Sync + 'static) {
        self.hook(call, Arc::new(move |_| hook()));
    }

    fn hook(&self, call: Call, hook: Hook) {
        let mut state = self.state();
        state.hooks.retain(|(of, _)| *of != call);
        state.hooks.push((call, hook));
    }

    /// Lets `n` more changing calls go through. Then the power is off: every call fails, and nothing
    /// reaches the file system below, so that it can be crashed in exactly this state.
    pub fn power_off_after(&self, n: u64) {
        let mut state = self.state();
        state.power_off_at = Some(state.changes + n);
    }

    /// Removes all faults; counters and trace stay.
    pub fn clear(&self) {
        let mut state = self.state();
        let State { counters, changes, silent, .. } = *state;
        let (trace, names) = (std::mem::take(&mut state.trace), std::mem::take(&mut state.names));
        *state = State { counters, changes, silent, trace, names, ..State::default() };
    }

    /// How many calls of each kind were made.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state().counters
    }

    /// How many changing calls were let through; the crash points are 0 up to this.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Every changing call since the last [`clear_trace`](Self::clear_trace), in order.
    #[must_use]
    pub fn trace(&self) -> Vec<Op> {
        self.state().trace.clone()
    }

    /// The same as text, one call a line.
    #[must_use]
    pub fn trace_lines(&self) -> Vec<String> {
        self.state().trace.iter().map(Op::to_string).collect()
    }

    /// Whether calls are recorded, which costs time and memory; they are unless this says otherwise.
    pub fn keep_trace(&self, keep: bool) {
        self.state().silent = !keep;
    }

    /// Forgets the calls made so far.
    pub fn clear_trace(&self) {
        self.state().trace.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a changing call: counts it, lets a fault strike or the call through, and records it.
    pub(crate) fn change<T>(
        &self,
        mut op: Op,
        run: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let (fault, hook) = {
            let mut state = self.state();
            state.counters.count(&op);
            let fault = state.strike(op.call()).and_then(|()| state.pass_change());
            (fault, state.hook(op.call()))
        };
        if let Some(hook) = hook {
            hook(Some(&op));
        }
        let outcome = fault.and_then(|()| run());
        op.error = outcome.as_ref().err().map(io::Error::kind);
        let mut state = self.state();
        if !state.silent {
            state.trace.push(op);
        }
        drop(state);
        outcome
    }

    /// Lets a fault strike a call that changes nothing, or lets it through.
    pub(crate) fn look(&self, call: Call) -> io::Result<()> {
        let mut state = self.state();
        match call {
            Call::Open => state.counters.opens += 1,
            Call::Read => state.counters.reads += 1,
            _ => {}
        }
        let fault = state.strike(call).and_then(|()| state.power());
        let hook = state.hook(call);
        drop(state);
        if let Some(hook) = hook {
            hook(None);
        }
        fault
    }

    pub(crate) fn count_write_back(&self, bytes: u64) {
        self.state().counters.write_back_bytes += bytes;
    }

    /// Fails if the power is off.
    pub(crate) fn power(&self) -> io::Result<()> {
        self.state().power()
    }

    pub(crate) fn write_len(&self, len: usize) -> usize {
        self.state().short_writes.map_or(len, |max| len.min(max))
    }

    pub(crate) fn read_len(&self, len: usize) -> usize {
        self.state().short_reads.map_or(len, |max| len.min(max))
    }

    /// A name for an open file that follows renames.
    pub(crate) fn name(&self, path: &Path) -> NameCell {
        let cell = NameCell::new(Mutex::new(path.to_path_buf()));
        let mut state = self.state();
        state.names.retain(|name| name.strong_count() > 0);
        state.names.push(Arc::downgrade(&cell));
        cell
    }

    pub(crate) fn exchanged(&self, one: &Path, other: &Path) {
        let cells = self.state().names.clone();
        for cell in cells.iter().filter_map(Weak::upgrade) {
            let mut name = cell.lock().unwrap_or_else(PoisonError::into_inner);
            if *name == one {
                *name = other.to_path_buf();
            } else if *name == other {
                *name = one.to_path_buf();
            }
        }
    }

    pub(crate) fn renamed(&self, from: &Path, to: &Path) {
        let cells = self.state().names.clone();
        for cell in cells.iter().filter_map(Weak::upgrade) {
            let mut name = cell.lock().unwrap_or_else(PoisonError::into_inner);
            if *name == to {
                name.as_mut_os_string().push(" (replaced)");
            } else if *name == from {
                *name = to.to_path_buf();
            }
        }
    }
}

impl State {
    fn hook(&self, call: Call) -> Option<Hook> {
        self.hooks.iter().find(|(of, _)| *of == call).map(|(_, hook)| hook.clone())
    }

    fn strike(&mut self, call: Call) -> io::Result<()> {
        if matches!(call, Call::Read | Call::Write) {
            self.interruptible += 1;
            if self.interrupt_every.is_some_and(|n| self.interruptible.is_multiple_of(n)) {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        self.rules.strike(&call)
    }

    fn power(&self) -> io::Result<()> {
        match self.power_off_at {
            Some(at) if self.changes >= at => Err(io::Error::other("injected: the power is off")),
            _ => Ok(()),
        }
    }

    fn pass_change(&mut self) -> io::Result<()> {
        self.power()?;
        self.changes += 1;
        Ok(())
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let mut f = f.debug_struct("Faults");
        f.field("counters", &state.counters).field("changes", &state.changes);
        f.finish_non_exhaustive()
    }
}

pub(crate) fn path_of(cell: &NameCell) -> PathBuf {
    cell.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
