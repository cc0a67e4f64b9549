//! `Bench`: where one check of a storage runs.

use std::cell::{Cell, RefCell};
use std::fmt;

use bytes::Bytes;
use wal_core::{LogStorage, Publish, Result, StorageLock};

use super::checked::{Breach, Checked, Stop, ensure};
use super::medium::{Medium, Need};
use super::storage::Check;
use super::witness::{Calls, Witness};
use crate::CrashPolicy;

/// What a check works with: fresh media, and the record of what it did.
pub struct Bench<'a, P: Medium> {
    fresh: &'a dyn Fn() -> P,
    promise: Cell<&'static str>,
    calls: Calls,
    /// What the medium did in the run that was looked at last.
    below: RefCell<Vec<String>>,
    /// Only the needs are asked for.
    dry: bool,
}

/// Runs one check of a storage; `fresh` makes an empty medium each time it is called.
///
/// ```
/// use wal_core::MemoryStorage;
/// use wal_testkit::conformance::{Checked, Medium, examine, storage};
/// # struct Memory(MemoryStorage);
/// # impl Medium for Memory {
/// #     type Storage = MemoryStorage;
/// #     fn open(&self) -> MemoryStorage { self.0.clone() }
/// # }
/// let outcome = examine(&|| Memory(MemoryStorage::new()), storage::a_second_lock_is_refused);
/// assert_eq!(outcome, Ok(Checked::Passed));
/// ```
///
/// # Errors
/// The promise that was broken.
pub fn examine<P: Medium>(fresh: &dyn Fn() -> P, check: Check<P>) -> Result<Checked, Breach> {
    let bench = Bench::new(fresh, false);
    match check(&bench) {
        Ok(()) => Ok(Checked::Passed),
        Err(Stop::Skip(why)) => Ok(Checked::Skipped(why)),
        Err(Stop::Broken(seen)) => Err(bench.breach(seen)),
        Err(Stop::Dry) => unreachable!("only a dry run ends so"),
    }
}

/// Why a check would be skipped, without running it; `None` if it would run.
pub fn need_of<P: Medium>(fresh: &dyn Fn() -> P, check: Check<P>) -> Option<String> {
    match check(&Bench::new(fresh, true)) {
        Err(Stop::Skip(why)) => Some(why),
        _ => None,
    }
}

impl<'a, P: Medium> Bench<'a, P> {
    fn new(fresh: &'a dyn Fn() -> P, dry: bool) -> Self {
        let (promise, below) = (Cell::new(""), RefCell::default());
        Bench { fresh, promise, calls: Calls::default(), below, dry }
    }

    /// How every check begins: with the sentence it is about, and what it needs.
    pub(super) fn promise(&self, promise: &'static str, needs: &[Need]) -> Result<(), Stop> {
        self.promise.set(promise);
        if let Some(why) = (self.fresh)().unavailable() {
            return Err(Stop::Skip(why));
        }
        if let Some(why) = needs.iter().find_map(|need| need.unmet(self.fresh)) {
            return Err(Stop::Skip(why));
        }
        if self.dry { Err(Stop::Dry) } else { Ok(()) }
    }

    /// A fresh medium, and the storage opened on it. What was done before is forgotten.
    pub(super) fn start(&self) -> (P, Witness<P::Storage>) {
        self.calls.clear();
        self.below.borrow_mut().clear();
        let medium = (self.fresh)();
        let storage = self.watch(medium.open());
        (medium, storage)
    }

    pub(super) fn watch(&self, storage: P::Storage) -> Witness<P::Storage> {
        Witness::new(storage, self.calls.clone())
    }

    pub(super) fn note(&self, line: impl Into<String>) {
        self.calls.note(line);
    }

    /// The storage after the processes of a medium were killed.
    pub(super) fn after_kill(&self, medium: &P) -> Result<Witness<P::Storage>, Stop> {
        self.keep_below(medium);
        self.note("-- every process that uses the medium is killed --");
        let storage = medium.open_after_kill();
        storage.map(|s| self.watch(s)).ok_or_else(|| changed_its_mind("open_after_kill"))
    }

    /// The storage after a power loss.
    pub(super) fn after_power_loss(
        &self,
        medium: &P,
        policy: CrashPolicy,
    ) -> Result<Witness<P::Storage>, Stop> {
        self.keep_below(medium);
        self.note(match policy {
            CrashPolicy::DropUnsynced => "-- power loss: whatever was not synced is lost --".into(),
            CrashPolicy::KeepAll => "-- power loss: everything had just reached the disk --".into(),
            CrashPolicy::Seeded(seed) => format!(
                "-- power loss: of what was not synced, some is lost (CrashPolicy::Seeded({seed})) --"
            ),
            other => format!("-- power loss: {other:?} --"),
        });
        let storage = medium.open_after_power_loss(policy);
        storage.map(|s| self.watch(s)).ok_or_else(|| changed_its_mind("open_after_power_loss"))
    }

    fn keep_below(&self, medium: &P) {
        *self.below.borrow_mut() = medium.calls_below();
    }

    fn breach(&self, seen: String) -> Breach {
        let mut calls = self.calls.take();
        let below = self.below.take();
        if !below.is_empty() {
            calls.push("below the storage, up to the crash:".into());
            calls.extend(below.into_iter().map(|line| format!("  {line}")));
        }
        let who = (self.fresh)().open().describe();
        Breach { who: format!("the storage \"{who}\""), promise: self.promise.get(), seen, calls }
    }

    /// The outcomes of a power loss that are looked at.
    pub(super) fn policies(&self, medium: &P) -> impl Iterator<Item = CrashPolicy> + use<P> {
        let seeds = (0..medium.power_losses()).map(CrashPolicy::Seeded);
        [CrashPolicy::DropUnsynced, CrashPolicy::KeepAll].into_iter().chain(seeds)
    }

    /// Lets `prepare` and `operation` run, cuts the power after each call of `operation` in turn and
    /// once more after its last, and shows `check` what each outcome of the power loss left, and
    /// whether `operation` had returned `Ok`. Where processes can be killed, that as well.
    ///
    /// Each outcome starts from a fresh medium: a power loss may be final for it.
    pub(super) fn crash_everywhere(
        &self,
        prepare: impl Fn(&Witness<P::Storage>) -> Result<()>,
        operation: impl Fn(&Witness<P::Storage>) -> Result<()>,
        check: impl Fn(&Witness<P::Storage>, bool) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let crash_at = |calls: u64, policy: Option<CrashPolicy>| -> Result<bool, Stop> {
            let (medium, storage) = self.start();
            let lock = storage.lock().wait()?;
            prepare(&storage)?;
            self.note(format!(
                "-- the power will go off after {calls} more calls to the medium --"
            ));
            medium.cut_power_after(calls);
            let done = operation(&storage).is_ok();
            let after = match policy {
                Some(policy) => self.after_power_loss(&medium, policy)?,
                None => self.after_kill(&medium)?,
            };
            check(&after, done)?;
            goes_on(&after)?;
            drop((lock, storage));
            Ok(done)
        };
        // First with power all the time: what fails then would fail for ever.
        let (medium, storage) = self.start();
        let lock = storage.lock().wait()?;
        prepare(&storage)?;
        operation(&storage)?;
        drop((lock, storage, medium));
        let can_kill = Need::Kill.unmet(self.fresh).is_none();
        for calls in 0.. {
            let mut done = false;
            for policy in self.policies(&(self.fresh)()) {
                done = crash_at(calls, Some(policy))?;
            }
            if can_kill {
                crash_at(calls, None)?;
            }
            if done {
                return ensure(calls > 0, || {
                    "with the power cut before the first call the operation returned Ok: either it \
                     does nothing, or the medium's `cut_power_after` cuts nothing"
                        .into()
                });
            }
        }
        Ok(())
    }
}

impl<P: Medium> fmt::Debug for Bench<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("promise", &self.promise.get()).finish_non_exhaustive()
    }
}

fn changed_its_mind(method: &str) -> Stop {
    Stop::broken(format!("the medium's `{method}` returned None, which it did not before"))
}

/// Whatever a crash left, the log can be locked, listed and continued.
fn goes_on<S: LogStorage>(storage: &Witness<S>) -> Result<(), Stop> {
    let lock: StorageLock = storage.lock().wait()?;
    let listing = storage.list().wait()?;
    ensure(listing.foreign.is_empty(), || {
        format!("the crash left {:?}, which the storage lists as foreign", listing.foreign)
    })?;
    storage
        .create(wal_core::Lsn::new(1_000_000), Bytes::from_static(b"header"), 4096, Publish::New)
        .wait()?;
    drop(lock);
    Ok(())
}
