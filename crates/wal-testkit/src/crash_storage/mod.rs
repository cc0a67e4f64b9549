//! `CrashStorage`: any storage, with a cache above it that a power loss empties.
//!
//! A downstream storage seldom has a model file system below it. So the same model is put *above* it:
//! written bytes wait in a [`ModelFs`](crate::ModelFs), and reach the storage when they are synced, or
//! when a power loss has decided which of them survive.
//!
//! | file | idea |
//! | --- | --- |
//! | `state` | what is cached, what went astray, and when the power goes off |
//! | `staged` | a segment without a name |
//! | `segment` | one segment, as the log sees it |
//! | `survivors` | what a power loss leaves, in place or elsewhere |

mod segment;
mod staged;
mod state;
mod survivors;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use wal_core::format::SEGMENT_HEADER_LEN;
use wal_core::{
    Access, Capabilities, Changes, Copied, Error, ErrorKind, Io, Listing, LogStorage, Lsn, Publish,
    Result, Segment, Staged, StorageLock, copy_in_pieces,
};

use crate::{Atom, CrashPolicy, Fate, Rng, Rot, SyncFault};
use segment::CrashSegment;
use staged::CrashStaged;
use state::{InFlight, State, Stray};

/// What lies behind the header of a new segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reuse {
    /// Whatever the storage below puts there.
    #[default]
    AsBelow,
    /// Nonsense made from this seed, up to the capacity.
    Garbage(u64),
    /// The bytes of the segment that was removed last, at the same offsets: frames of an older
    /// generation, whose checksums are right.
    OldFrames,
}

/// A storage that forgets, when its power is lost, what nobody made durable.
///
/// Clones are handles on the same one. Reads see what was written; the storage below gets it when it
/// is synced. [`crash`](Self::crash) decides for each pending write, in pieces of 512 bytes, whether it
/// is kept, dropped, or something worse, and gives the handle of the next process; those of the one
/// before do nothing any more.
///
/// The storage below is called on the calling thread, one call at a time. To hold or fail single calls,
/// put a [`FaultStorage`](crate::FaultStorage) above.
///
/// ```
/// use wal_core::{Access, LogStorage, Lsn, MemoryStorage, Publish, WriteMode};
/// use wal_testkit::{CrashPolicy, CrashStorage};
///
/// let storage = CrashStorage::new(MemoryStorage::new());
/// let segment = storage.create(Lsn::FIRST, "header ".into(), 4096, Publish::New).wait()?;
/// segment.write_at(7, "synced ".into(), WriteMode::Cached).wait()?;
/// segment.sync().wait()?;
/// segment.write_at(14, "lost".into(), WriteMode::Cached).wait()?;
///
/// let storage = storage.crash(CrashPolicy::DropUnsynced)?;
/// let survivor = storage.open(Lsn::FIRST, Access::Read).wait()?;
/// assert_eq!(survivor.read_at(0, 100).wait()?, "header synced ");
/// assert!(segment.sync().wait().is_err());
/// # Ok::<(), wal_core::Error>(())
/// ```
pub struct CrashStorage<S> {
    shared: Arc<Shared<S>>,
    /// Handles of an earlier process are dead.
    process: u64,
}

struct Shared<S> {
    inner: S,
    state: Mutex<State>,
}

impl<S> Clone for CrashStorage<S> {
    fn clone(&self) -> Self {
        CrashStorage { shared: Arc::clone(&self.shared), process: self.process }
    }
}

impl<S: LogStorage> CrashStorage<S> {
    /// Puts an empty cache above `inner`.
    pub fn new(inner: S) -> Self {
        let state = Mutex::new(State::default());
        CrashStorage { shared: Arc::new(Shared { inner, state }), process: 0 }
    }

    /// The storage below. It holds what is durable.
    pub fn inner(&self) -> &S {
        &self.shared.inner
    }

    /// Loses the power: the fate of what is pending is decided, and carried out in the storage below.
    /// Returns the handle of the next process.
    ///
    /// # Errors
    /// Those of the storage below.
    pub fn crash(&self, policy: CrashPolicy) -> Result<Self> {
        self.crash_with(&mut policy.chooser())
    }

    /// The same, with each fate chosen by the caller. The choices are asked for in a fixed order: by
    /// segment as it was opened, within it by time, within a write by offset, and last about the
    /// creation or the removals that were under way.
    ///
    /// # Errors
    /// Those of the storage below.
    pub fn crash_with(&self, choose: &mut dyn FnMut(&Atom) -> Fate) -> Result<Self> {
        let mut state = self.any_state();
        survivors::carry_out(&self.shared.inner, &mut state, choose)?;
        let process = state.begin_process();
        state.forget_cache();
        Ok(CrashStorage { shared: Arc::clone(&self.shared), process })
    }

    /// What a power loss at this moment would leave, written into `target`, which is empty. This
    /// storage goes on; so many outcomes of one moment can be looked at.
    ///
    /// # Errors
    /// Those of either storage.
    pub fn crash_into(&self, policy: CrashPolicy, target: &dyn LogStorage) -> Result<()> {
        survivors::copy(&self.shared.inner, &self.any_state(), &mut policy.chooser(), target)
    }

    /// Lets the process die: the cache survives, its handles and its lock do not. Returns the handle of
    /// the next one.
    #[must_use]
    pub fn process_crash(&self) -> Self {
        let mut state = self.any_state();
        let process = state.begin_process();
        state.model = state.model.process_crash();
        CrashStorage { shared: Arc::clone(&self.shared), process }
    }

    /// Lets `calls` more changes (create, remove, set aside, write, sync, truncate, and each step of a staged
    /// segment) go through. The next one is under way when the power goes off, so it may or may not have
    /// happened, of many removals each on its own, and every call fails until the [crash](Self::crash).
    pub fn power_off_after(&self, calls: u64) {
        let mut state = self.any_state();
        state.power_off_at = Some(state.changes + calls);
    }

    /// Lets the `nth` sync from now fail (1: the next), with `fault` done to the pending bytes.
    pub fn fail_sync(&self, nth: u64, fault: SyncFault) {
        self.any_state().model.fail_sync(nth, fault);
    }

    /// Lets the segments in the cache hold at most `bytes` together. A write that exceeds it is made in
    /// part, and fails with [`Full`](ErrorKind::Full); so does a creation, which leaves nothing. `None`:
    /// no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        let mut state = self.any_state();
        state.capacity = bytes;
        state.model.set_capacity(bytes);
    }

    /// How many bytes the segments in the cache hold together.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.any_state().model.used_bytes()
    }

    /// Whether anything is left that a power loss could take.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.any_state().model.has_pending()
    }

    /// Lets the device acknowledge the `nth` write from now without making it (a phantom write): reads
    /// and syncs know nothing of it, and after the next crash the old bytes are back.
    ///
    /// # Panics
    /// If `nth` is 0.
    pub fn lose_write(&self, nth: u64) {
        self.stray(nth, None);
    }

    /// Lets the device make the `nth` write from now at offset `to` of its segment instead. As for
    /// [`lose_write`](Self::lose_write), it shows after the next crash.
    ///
    /// # Panics
    /// If `nth` is 0.
    pub fn misdirect_write(&self, nth: u64, to: u64) {
        self.stray(nth, Some(to));
    }

    fn stray(&self, nth: u64, to: Option<u64>) {
        assert!(nth > 0, "writes are counted from 1");
        let mut state = self.any_state();
        let write = state.writes + nth;
        state.strays.push(Stray { write, to });
    }

    /// What lies behind the headers of the segments that are created from now on. With anything but
    /// [`Reuse::AsBelow`] the storage says of itself that it recycles.
    pub fn reuse(&self, reuse: Reuse) {
        self.any_state().reuse = reuse;
    }

    /// Damages a segment at rest: in the storage below, and in the cache if it is there. What is
    /// pending for it is lost.
    ///
    /// # Errors
    /// Those of the storage below.
    pub fn rot(&self, name: Lsn, rot: Rot) -> Result<()> {
        let mut state = self.any_state();
        self.cache(&mut state, name, Access::Write)?;
        state.rot(name, rot)
    }

    /// Reads a segment into the cache, if it is not there.
    fn cache(&self, state: &mut State, name: Lsn, access: Access) -> Result<()> {
        if !state.is_cached(name) {
            let below = self.shared.inner.open(name, access).wait()?;
            let bytes = state::read_whole(&*below)?;
            state.put(name, below, bytes)?;
        }
        Ok(())
    }

    /// The state, for every caller.
    fn any_state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, if this handle's process lives and has power.
    fn state(&self, op: &'static str) -> Result<MutexGuard<'_, State>> {
        let state = self.any_state();
        state.alive(op, self.process)?;
        Ok(state)
    }

    /// Counts a change. If the power goes off right now, the crash decides whether it happened.
    fn change(&self, op: &'static str, what: InFlight) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state(op)?;
        if state.pass() {
            return Ok(state);
        }
        state.in_flight = Some(what);
        Err(state::power_is_off(op))
    }

    /// Gives a whole segment its name, here and below.
    fn publish(
        &self,
        name: Lsn,
        data: Bytes,
        capacity: u64,
        how: Publish,
    ) -> Result<CrashSegment<S>> {
        const OP: &str = "create segment";
        {
            // What is refused never is under way.
            let mut state = self.state(OP)?;
            let present = self.present(&mut state, name)?;
            how.check(name, present.as_deref())?;
        }
        let under_way = InFlight::Create { name, data: data.clone(), how };
        let mut state = self.change(OP, under_way)?;
        state.check_room(name, data.len() as u64)?;
        let whole = self.with_old_bytes(&state, data, capacity);
        let below = self.shared.inner.create(name, whole, capacity, how).wait()?;
        let bytes = state::read_whole(&*below)?;
        let (file, incarnation) = state.put(name, below, bytes)?;
        Ok(CrashSegment::new(self.clone(), name, file, incarnation, Access::Write))
    }

    /// The first bytes of the segment of that name, if there is one.
    fn present(&self, state: &mut State, name: Lsn) -> Result<Option<Vec<u8>>> {
        match self.cache(state, name, Access::Write) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            cached => cached?,
        }
        let mut bytes = state.contents("create segment", name)?;
        bytes.truncate(SEGMENT_HEADER_LEN);
        Ok(Some(bytes))
    }

    /// The segment, with what is behind it in space that was used before.
    fn with_old_bytes(&self, state: &State, data: Bytes, capacity: u64) -> Bytes {
        let room = (capacity as usize).saturating_sub(data.len());
        let old = match state.reuse {
            Reuse::AsBelow => return data,
            Reuse::Garbage(seed) => {
                let mut rng = Rng::new(seed);
                (0..room).map(|_| rng.next() as u8).collect()
            }
            Reuse::OldFrames => {
                let old = state.removed.get(data.len()..).unwrap_or_default();
                old[..old.len().min(room)].to_vec()
            }
        };
        let mut whole = BytesMut::from(data);
        whole.extend_from_slice(&old);
        whole.freeze()
    }

    fn open_segment(&self, name: Lsn, access: Access) -> Result<CrashSegment<S>> {
        let mut state = self.state("open segment")?;
        // A reader gets by with less, but the cache has one handle for all.
        self.cache(&mut state, name, Access::Write)?;
        let (file, incarnation) = state.open(name, access)?;
        Ok(CrashSegment::new(self.clone(), name, file, incarnation, access))
    }

    fn remove_segments(&self, names: &[Lsn]) -> Result<()> {
        let under_way = InFlight::Remove { names: names.to_vec() };
        let mut state = self.change("remove segment", under_way)?;
        let mut present = Vec::new();
        for &name in names {
            match self.cache(&mut state, name, Access::Read) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                cached => cached.map(|()| present.push(name))?,
            }
        }
        self.shared.inner.remove(names).wait()?;
        present.into_iter().try_for_each(|name| state.remove(name))
    }

    fn take_lock(&self) -> Result<StorageLock> {
        let mut state = self.state("lock")?;
        if state.lock.is_some() {
            return Err(Error::new(ErrorKind::Locked, "lock").with_detail(self.describe()));
        }
        state.lock = Some(self.shared.inner.lock().wait()?);
        Ok(StorageLock::new(Unlock { storage: self.clone() }))
    }
}

/// Gives the lock back, unless its process died and lost it before.
struct Unlock<S: LogStorage> {
    storage: CrashStorage<S>,
}

impl<S: LogStorage> Drop for Unlock<S> {
    fn drop(&mut self) {
        let mut state = self.storage.any_state();
        if state.process == self.storage.process {
            state.lock = None;
        }
    }
}

impl<S: LogStorage> fmt::Debug for CrashStorage<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("CrashStorage");
        f.field("inner", &self.shared.inner.describe()).field("process", &self.process);
        f.finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: LogStorage> LogStorage for CrashStorage<S> {
    /// Those of the storage below, and durable: what this one claims is what its crashes keep.
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.shared.inner.capabilities();
        capabilities.survives_power_loss = true;
        capabilities.survives_process_crash = true;
        capabilities.recycles |= self.any_state().reuse != Reuse::AsBelow;
        capabilities
    }

    fn describe(&self) -> String {
        self.shared.inner.describe()
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        Io::ready(self.take_lock())
    }

    fn list(&self) -> Io<'_, Listing> {
        match self.state("list") {
            Ok(_) => self.shared.inner.list(),
            Err(error) => Io::ready(Err(error)),
        }
    }

    fn stage(&self, name: Lsn, capacity: u64) -> Io<'_, Staged> {
        let staged = CrashStaged::new(self.clone(), name, capacity);
        Io::ready(self.state("stage segment").map(|_| Staged::new(staged)))
    }

    /// One change, whatever the storage below makes of it.
    fn create(
        &self,
        name: Lsn,
        data: Bytes,
        capacity: u64,
        publish: Publish,
    ) -> Io<'_, Arc<dyn Segment>> {
        let created = self.publish(name, data, capacity, publish);
        Io::ready(created.map(|segment| Arc::new(segment) as Arc<dyn Segment>))
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let opened = self.open_segment(name, access);
        Io::ready(opened.map(|segment| Arc::new(segment) as Arc<dyn Segment>))
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        Io::ready(self.remove_segments(names))
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        Io::ready(match self.change("set aside", InFlight::Nothing) {
            Ok(_state) => self.shared.inner.set_aside(label, data).wait(),
            Err(error) => Err(error),
        })
    }

    fn open_reserve(&self, open: bool) {
        self.shared.inner.open_reserve(open);
    }

    fn fill_reserve(&self, segment_size: u64) -> Io<'_, ()> {
        match self.state("keep a reserve") {
            Ok(_) => self.shared.inner.fill_reserve(segment_size),
            Err(error) => Io::ready(Err(error)),
        }
    }

    fn reserve(&self) -> Io<'_, u64> {
        self.shared.inner.reserve()
    }

    /// What is not on the medium below yet is told of by nobody.
    fn changes(&self) -> Option<Box<dyn Changes>> {
        None
    }

    /// In pieces, each of which comes through here.
    fn copy_segment(&self, name: Lsn, source: Arc<dyn Segment>, len: u64) -> Io<'_, Copied> {
        copy_in_pieces(self, name, source, len)
    }
}
