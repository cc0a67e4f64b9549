//! `ModelFs`: a file system in memory that knows what a power loss may take.
//!
//! Every file has a durable image and a list of changes since; every directory has durable entries
//! and a list of changes since. A sync of a file makes its changes durable, *never* its name; a sync
//! of the directory makes its names durable, never the bytes. [`ModelFs::crash`] then decides for
//! each of the pending changes, down to 512-byte atoms, whether the power loss took it.
//!
//! | file | idea |
//! | --- | --- |
//! | `disk` | the nodes and the paths that lead to them |
//! | `inode`, `directory` | the two kinds of node, each with its pending changes |
//! | `crash` | what a power loss may do, and the policies that choose |
//! | `moment` | the state at one moment, to be crashed later |
//! | `rot` | damage at rest |
//! | `file` | open files |
//! | `mapping` | pieces of files in memory |
//!
//! No clocks, no threads, no real files: the same calls and the same seed give the same bytes.

mod crash;
mod directory;
mod disk;
mod file;
mod inode;
mod mapping;
mod moment;
mod rot;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wal_core::{Access, Changes};
use wal_fs::{DirEntry, DirectFile, FileSystem, FsProfile, Links, NodeKind};

pub use crash::{Atom, AtomKind, CrashPolicy, Fate};
pub use file::ModelFile;
pub use moment::Moment;
pub use rot::Rot;

use crate::Rng;
use disk::Disk;

/// Direct writes are made of blocks of this many bytes, in memory that is aligned to it.
pub(crate) const DIRECT_BLOCK: usize = 512;

/// The usual size of the pieces in which a power loss keeps or drops a write, in bytes.
pub const ATOM_BYTES: u64 = 512;

/// What the model does to the bytes that a failed sync did not make durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncFault {
    /// Reads still show them, and later syncs say `Ok` without ever writing them (ext4, XFS).
    MarkedClean,
    /// They are as before the sync, and a later one can make them durable.
    StillDirty,
    /// The cache is dropped at once: reads show what the disk holds, some of the bytes and not
    /// others, chosen by the seed (btrfs).
    Reverted(u64),
    /// Reads show them until the file was closed by everybody; then as `Reverted`.
    RevertedWhenEvicted(u64),
    /// As `MarkedClean`, and from then on the file system refuses every change until it is mounted
    /// anew, which a crash does (ext4 with `errors=remount-ro`).
    ReadOnly,
}

/// Which sync of a file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a file has these two calls")]
pub enum SyncKind {
    /// `sync_data`.
    Data,
    /// `sync_all`.
    All,
}

type SyncHook = Box<dyn FnMut(SyncKind) + Send>;
type ChangeHook = Box<dyn FnMut(usize) + Send>;

/// A file system in memory. Clones are handles on the same one.
///
/// ```
/// use std::path::Path;
/// use wal_fs::{File, FileSystem};
/// use wal_testkit::{CrashPolicy, ModelFs};
///
/// let fs = ModelFs::new();
/// let file = fs.create_new(Path::new("/a"))?;
/// file.write_at(b"synced", 0)?;
/// file.sync_data()?;
/// // The bytes are durable, but the name is not.
/// assert!(fs.crash(CrashPolicy::DropUnsynced).read_dir(Path::new("/"))?.is_empty());
/// fs.sync_dir(Path::new("/"))?;
/// assert_eq!(fs.crash(CrashPolicy::DropUnsynced).contents(Path::new("/a"))?, b"synced");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct ModelFs {
    state: Arc<Mutex<State>>,
    /// Handles of another process than the present one are dead.
    process: u64,
    /// What the system calls the process that makes the calls.
    number: Arc<AtomicU64>,
}

pub(crate) struct State {
    disk: Disk,
    process: u64,
    handles: u64,
    sync_faults: Vec<(u64, SyncFault)>,
    failed_syncs: u64,
    sync_hook: Option<SyncHook>,
    change_hook: Option<ChangeHook>,
    /// The state before each change, if they are recorded.
    moments: Option<Vec<Moment>>,
}

impl ModelFs {
    /// An empty file system: a root directory.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Disk::new())
    }

    fn over(disk: Disk) -> Self {
        let state = State {
            disk,
            process: 0,
            handles: 0,
            sync_faults: Vec::new(),
            failed_syncs: 0,
            sync_hook: None,
            change_hook: None,
            moments: None,
        };
        ModelFs { state: Arc::new(Mutex::new(state)), process: 0, number: Arc::default() }
    }

    /// What a power loss at this moment leaves, as a file system of its own. This one goes on.
    ///
    /// In the image everything is durable and nothing is locked.
    #[must_use]
    pub fn crash(&self, policy: CrashPolicy) -> ModelFs {
        self.moment().crash(policy)
    }

    /// The same, with the fate of every pending change chosen by the caller; see
    /// [`Moment::crash_with`].
    #[must_use]
    pub fn crash_with(&self, choose: &mut dyn FnMut(&Atom) -> Fate) -> ModelFs {
        self.moment().crash_with(ATOM_BYTES, choose)
    }

    /// The present state of disk and cache, to be crashed now or later.
    #[must_use]
    pub fn moment(&self) -> Moment {
        // Of a dead process's handle, too: what the disk holds is not the process's business.
        Moment(self.state.lock().unwrap_or_else(PoisonError::into_inner).disk.clone())
    }

    /// Whether a write that the power interrupts leaves bytes alone that it does not change (*powersafe
    /// overwrite*, see ASSUMPTIONS.md); it does unless this says otherwise. If not, all that a direct write
    /// touches is at risk, also what it writes again as it is; what a cached one touches is spoiled by
    /// [`Fate::TornSectors`].
    pub fn set_powersafe(&self, powersafe: bool) {
        if let Ok(mut state) = self.state() {
            state.disk.powersafe = powersafe;
        }
    }

    /// Whether a write-through may stay in the cache of the device although it returned: the first one in place after
    /// the file was written and synced, as on f2fs. A sync covers it. Such a file system is not trusted with a
    /// write-through: see [`FsProfile`].
    pub fn set_lazy_write_through(&self, lazy: bool) {
        if let Ok(mut state) = self.state() {
            state.disk.lazy_through = lazy;
        }
    }

    /// Whether every sync of a directory is refused, and none of its names becomes durable by it, as on CIFS.
    pub fn refuse_dir_syncs(&self, refuse: bool) {
        if let Ok(mut state) = self.state() {
            state.disk.refuses_dir_syncs = refuse;
        }
    }

    /// Gives a file a second name, in any directory, as a backup made of links does.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists`, or what else prevents it.
    pub fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?.disk.link(from, to)
    }

    /// Keeps the state before every change from now on, for [`take_moments`](Self::take_moments).
    pub fn record_moments(&self) {
        if let Ok(mut state) = self.state() {
            state.moments.get_or_insert_default();
        }
    }

    /// How many changes were recorded.
    #[must_use]
    pub fn recorded(&self) -> usize {
        // Also for who looks through a dead process's handle: what he saw, he saw.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.moments.as_ref().map_or(0, Vec::len)
    }

    /// Takes the recorded moments: one before each change, in order. Recording ends.
    #[must_use]
    pub fn take_moments(&self) -> Vec<Moment> {
        self.state().ok().and_then(|mut state| state.moments.take()).unwrap_or_default()
    }

    /// Calls `hook` before every recorded change, with the number of changes before it. It must not
    /// use this file system. `None`: no more.
    pub(crate) fn on_change(&self, hook: Option<ChangeHook>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut state.change_hook, hook);
        // What it holds may be a log, which uses this file system when it is dropped.
        drop(state);
        drop(old);
    }

    /// Calls `hook` in every sync of a file after it has begun and before it ends: what it writes is
    /// not covered by that sync. `None`: no more.
    pub fn on_sync(&self, hook: Option<Box<dyn FnMut(SyncKind) + Send>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut state.sync_hook, hook);
        drop(state);
        drop(old);
    }

    /// Lets the process die: its handles and locks are gone, what it wrote is still in the cache.
    ///
    /// Returns the handle of the next process. Every call through an older one fails from now on.
    #[must_use]
    pub fn process_crash(&self) -> ModelFs {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.process += 1;
        let hooks = (state.sync_hook.take(), state.change_hook.take());
        state.disk.close_all();
        let process = state.process;
        // What they hold may be a log, which uses this file system when it is dropped.
        drop(state);
        drop(hooks);
        self.number.fetch_add(1, Ordering::Relaxed);
        ModelFs { state: Arc::clone(&self.state), process, number: Arc::clone(&self.number) }
    }

    /// Says whether calls are made in a child of the process from now on, which has all handles and locks as well, or in
    /// the process itself.
    pub fn set_forked(&self, forked: bool) {
        let child = 1 << 32;
        match forked {
            true => self.number.fetch_or(child, Ordering::Relaxed),
            false => self.number.fetch_and(!child, Ordering::Relaxed),
        };
    }

    /// Lets the disk hold at most `bytes` in all files together; a write that exceeds it is cut
    /// short, the next one fails with "no space". `None`: no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        if let Ok(mut state) = self.state() {
            state.disk.capacity = bytes;
        }
    }

    /// Says whether a new name needs space, as on a full XFS, where a directory may need another block: while no
    /// byte is free, a file gets no name that was not there.
    pub fn let_names_take_room(&self, need: bool) {
        if let Ok(mut state) = self.state() {
            state.disk.names_take_room = need;
        }
    }

    /// A number that is the same if reads see the same, and a power loss that takes everything unsynced leaves the same.
    /// Nodes are told apart by their labels.
    pub(crate) fn fingerprint(&self, label: &dyn Fn(u64) -> u64) -> u64 {
        self.state().map_or(0, |state| state.disk.fingerprint(label))
    }

    /// How many bytes all files hold together.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state().map_or(0, |state| state.disk.used())
    }

    /// Lets the `nth` sync of a file from now fail (1: the next), with `fault` done to the bytes.
    pub fn fail_sync(&self, nth: u64, fault: SyncFault) {
        if let Ok(mut state) = self.state() {
            state.sync_faults.push((nth, fault));
        }
    }

    /// How many syncs have failed because of that.
    #[must_use]
    pub fn failed_syncs(&self) -> u64 {
        self.state().map_or(0, |state| state.failed_syncs)
    }

    /// Ends what was set to go wrong: limits of space, failures of syncs to come, and a refusal of
    /// changes after an error.
    pub fn remount(&self) {
        if let Ok(mut state) = self.state() {
            state.sync_faults.clear();
            (state.disk.capacity, state.disk.read_only) = (None, false);
        }
    }

    /// The whole bytes of a file, as reads see them.
    ///
    /// # Errors
    /// `NotFound`, or what else prevents reading it.
    pub fn contents(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state()?;
        let id = state.disk.find(path)?;
        Ok(state.disk.inode(id)?.cache().to_vec())
    }

    /// Whether anything is left that a power loss could take.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.state().is_ok_and(|state| state.disk.has_pending())
    }

    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.process != self.process {
            return Err(io::Error::other("the process that held this handle has died"));
        }
        Ok(state)
    }

    /// The state, about to be changed.
    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state()?;
        if state.disk.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let State { moments, disk, change_hook, .. } = &mut *state;
        if let Some(moments) = moments {
            if let Some(hook) = change_hook {
                hook(moments.len());
            }
            moments.push(Moment(disk.clone()));
        }
        Ok(state)
    }

    fn open_node(&self, state: &mut State, id: u64, access: Access) -> io::Result<ModelFile> {
        state.disk.inode_mut(id)?.handles += 1;
        state.handles += 1;
        let handle = state.handles;
        Ok(ModelFile { fs: self.clone(), inode: id, handle, access, direct: false })
    }
}

impl State {
    /// Counts a sync down to the faults that wait for it.
    fn next_sync_fault(&mut self) -> Option<SyncFault> {
        for (nth, _) in &mut self.sync_faults {
            *nth = nth.saturating_sub(1);
        }
        let due = self.sync_faults.iter().position(|(nth, _)| *nth == 0)?;
        Some(self.sync_faults.swap_remove(due).1)
    }
}

impl Default for ModelFs {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ModelFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelFs").field("process", &self.process).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
impl FileSystem for ModelFs {
    type File = ModelFile;

    fn create_new(&self, path: &Path) -> io::Result<ModelFile> {
        let mut state = self.change()?;
        let id = state.disk.create_file(path)?;
        self.open_node(&mut state, id, Access::Write)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<ModelFile> {
        let mut state = self.state()?;
        let id = state.disk.find(path)?;
        self.open_node(&mut state, id, access)
    }

    fn open_direct(&self, path: &Path) -> io::Result<DirectFile<ModelFile>> {
        let mut file = self.open(path, Access::Write)?;
        file.direct = true;
        Ok(DirectFile { file, block_bytes: Some(DIRECT_BLOCK as u32) })
    }

    fn kind(&self, path: &Path) -> io::Result<NodeKind> {
        let state = self.state()?;
        state.disk.kind(state.disk.find(path)?)
    }

    fn links(&self, path: &Path) -> io::Result<Links> {
        let state = self.state()?;
        let inode = state.disk.find(path)?;
        Ok(Links { count: state.disk.names_of(inode), inode, device: 0 })
    }

    fn process(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    fn ask_process(&self) -> u64 {
        self.process()
    }

    /// The same everywhere after the same changes, and no two alike on one disk.
    fn random(&self) -> io::Result<[u8; 16]> {
        Ok(Rng::new(self.state()?.disk.next_seq()).token())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.state()?.disk.read_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change()?.disk.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?.disk.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?.disk.rename_new(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.change()?.disk.exchange(one, other)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change()?.disk.remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change()?.disk.sync_dir(path)
    }

    fn profile(&self, _: &Path) -> FsProfile {
        let lazy = self.state().is_ok_and(|state| state.disk.lazy_through);
        FsProfile::UNKNOWN.write_through(!lazy)
    }

    /// Nobody waits in a simulation.
    fn changes(&self, _: &Path) -> Option<Box<dyn Changes>> {
        None
    }
}
