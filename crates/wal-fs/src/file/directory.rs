//! The files of one log: locked, listed, opened, removed, set aside.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use wal_core::{Access, Error, ErrorKind, Listing, Lsn, Result, StorageLock, WriteMode};

use super::fence::FileFence;
use super::lock::{self, LockGuard};
use super::names::{self, Name};
use super::reserve::{self, Reserve};
use super::segment::{FileSegment, Growth, Place};
use super::settings::FileSettings;
use super::spares::Spares;
use crate::os::dir::{self, failed, not_synced};
use crate::os::{File, FileSystem, FsProfile, Links, whole};

/// Whether nobody else has a name for the file. Where the system does not tell, it is believed.
pub(super) fn is_ours_alone(file: &impl File) -> bool {
    match file.links() {
        Ok(links) => links.count == 1,
        Err(error) => error.kind() == io::ErrorKind::Unsupported,
    }
}

/// One directory, shared by a storage and the segments that it has staged.
#[derive(Debug)]
pub(crate) struct Directory<F> {
    fs: F,
    path: PathBuf,
    settings: FileSettings,
    spares: Spares,
    reserve: Reserve,
    /// Files are filled ahead to multiples of this many bytes; 0: not at all.
    fill_bytes: u64,
    /// Whether one call is believed to make a write durable here.
    one_call: bool,
    /// Whether a name is durable once the directory was synced. If not, that was allowed.
    durable_names: bool,
    /// The file that got the name of a segment last.
    newest: Mutex<Option<(Lsn, Option<Links>)>>,
    /// The segments that this process has named since it took the lock. Only these are recycled: an owner from before that
    /// has lost the log may still write to an older one.
    named: Mutex<BTreeSet<Lsn>>,
}

/// Holds the lock. With it go the files that were kept for later segments: no other process may use them.
struct Held<F: FileSystem> {
    directory: Arc<Directory<F>>,
    /// Who took it. A child that was forked has a copy of this value, and no right to the files.
    process: u64,
    /// Dropped after them, as the next holder removes what it finds.
    _lock: LockGuard<F>,
}

impl<F: FileSystem> Drop for Held<F> {
    fn drop(&mut self) {
        if self.process == self.directory.fs.ask_process() {
            self.directory.spares.give_back(&self.directory.fs);
        }
    }
}

impl<F: FileSystem> Directory<F> {
    pub(super) fn new(fs: F, path: PathBuf, settings: FileSettings) -> Self {
        let FsProfile { write_through: trusted, in_place } = fs.profile(&path);
        let one_call = settings.trust_write_through.unwrap_or(trusted);
        // Where each write gets a new place, zeros gain nothing, and are written for nothing.
        let fill_bytes = if in_place { settings.preallocate_bytes } else { 0 };
        let refused = || {
            let synced = fs.sync_dir(&path);
            synced.is_err_and(|error| error.kind() == io::ErrorKind::Unsupported)
        };
        let durable_names = !(settings.allow_unsynced_names && refused());
        Directory {
            fs,
            path,
            settings,
            spares: Spares::default(),
            reserve: Reserve::default(),
            fill_bytes,
            one_call,
            durable_names,
            newest: Mutex::default(),
            named: Mutex::default(),
        }
    }

    /// Fills files ahead also where that gains nothing: for who can write only to bytes that are there.
    pub(super) fn always_fill(&mut self) {
        self.fill_bytes = self.settings.preallocate_bytes;
    }

    /// Files are filled ahead to multiples of this many bytes; 0: not at all.
    pub(super) fn fill_bytes(&self) -> u64 {
        self.fill_bytes
    }

    /// Whether one call is believed to make a write durable here.
    pub(crate) fn trusts_one_call(&self) -> bool {
        self.one_call
    }

    /// Whether a name is durable once the directory was synced.
    pub(super) fn has_durable_names(&self) -> bool {
        self.durable_names
    }

    /// How many removed segments may be kept. None where a power loss may bring one back under its old name: the file
    /// must not hold another segment then.
    pub(super) fn max_spares(&self) -> usize {
        if self.durable_names { self.settings.max_spares } else { 0 }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn settings(&self) -> &FileSettings {
        &self.settings
    }

    pub(crate) fn file_system(&self) -> &F {
        &self.fs
    }

    pub(crate) fn segment_path(&self, name: Lsn) -> PathBuf {
        self.path.join(names::segment(name))
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.path.join(names::LOCK)
    }

    /// Makes the names durable; `Ok` without that where it was found at the beginning that the system cannot, and
    /// that was allowed. A refusal that comes later is an error: the claim was another one.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        dir::sync(&self.fs, &self.path, !self.durable_names)
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.sync_names().map_err(|source| not_synced(&self.path, source))
    }

    /// Notes that a file got the name of a segment.
    pub(super) fn named(&self, name: Lsn, file: Option<Links>) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some((name, file));
        self.named.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// Which file got this name, if it was the last one to get a name.
    pub(super) fn file_named(&self, name: Lsn) -> Option<Links> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.filter(|(newest, _)| *newest == name)?.1
    }

    pub(super) fn take_lock(self: &Arc<Self>) -> Result<StorageLock> {
        let lock = lock::acquire(self)?;
        self.named.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // Before anything is taken away from an earlier owner, who has to be able to see that.
        let (owner, fence) = FileFence::take(self, &lock)?;
        self.spares.begin(owner.epoch);
        self.spares
            .clear(&self.fs, &self.path)
            .map_err(|(path, source)| failed("remove spare", &path, source))?;
        self.reserve
            .find(&self.fs, &self.path)
            .map_err(|source| failed("look for the reserve", &self.path, source))?;
        // An earlier process may have died between a rename and the sync of the directory. What is read
        // from now on is believed, so its names must not be lost in a power loss.
        self.sync()?;
        let process = self.fs.ask_process();
        let held = Held { directory: self.clone(), process, _lock: lock };
        Ok(StorageLock::new(held).fenced(owner, fence))
    }

    pub(super) fn listing(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        let entries = self.fs.read_dir(&self.path);
        for entry in entries.map_err(|source| failed("list", &self.path, source))? {
            let name = entry.name.to_string_lossy();
            match Name::parse(&name) {
                Name::Segment(lsn) if !entry.is_dir => listing.segments.push(lsn),
                Name::Spare | Name::Owner(_) | Name::Reserve | Name::Other => {}
                Name::Segment(_) | Name::Foreign => listing.foreign.push(name.into_owned()),
            }
        }
        listing.segments.sort_unstable();
        listing.foreign.sort_unstable();
        Ok(listing)
    }

    /// How many bytes the reserve holds, whoever has the lock.
    pub(super) fn reserve(&self) -> Result<u64> {
        let files = reserve::lengths(&self.fs, &self.path);
        let files = files.map_err(|source| failed("look at the reserve", &self.path, source))?;
        Ok(files.iter().sum())
    }

    /// Says whether the reserve may be used from now on.
    pub(super) fn open_reserve(&self, open: bool) {
        self.reserve.set_open(open);
    }

    /// Makes the reserve as large as segments of this size need it.
    pub(super) fn fill_reserve(&self, segment_size: u64) -> Result<()> {
        let bytes = self.settings.reserve_bytes;
        let whole = self
            .reserve
            .fill(&self.fs, &self.path, segment_size, bytes)
            .map_err(|(path, source)| failed("keep a reserve", &path, source))?;
        if whole {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Full, "keep a reserve").with_detail(format!(
            "{}: {} bytes are to be kept free for truncation and recovery",
            self.path.display(),
            reserve::sizes(segment_size, bytes).iter().sum::<u64>()
        )))
    }

    /// A file of an open reserve, under a spare's name. It is the caller's.
    pub(super) fn take_reserve(&self, need: u64) -> io::Result<Option<(PathBuf, F::File)>> {
        let path = self.spares.next_path(&self.path);
        let file = self.reserve.take(&self.fs, &self.path, need, &path)?;
        Ok(file.map(|file| (path, file)))
    }

    /// Gives a file a name, with the space for it from an open reserve if need be.
    pub(super) fn with_room<T>(&self, name: impl Fn() -> io::Result<T>) -> io::Result<T> {
        self.reserve.with_room(&self.fs, &self.path, name)
    }

    /// The same for the names of the lock and of the owner: who opens a log has not looked for the reserve yet.
    pub(super) fn with_room_to_own<T>(&self, name: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match name() {
            Err(error) if reserve::is_full(&error) => {
                self.reserve.find(&self.fs, &self.path)?;
                let open = self.reserve.is_open();
                self.reserve.set_open(true);
                let named = self.with_room(name);
                self.reserve.set_open(open);
                named
            }
            named => named,
        }
    }

    /// A file under a spare's name, with old bytes in it or empty. It is the caller's.
    pub(super) fn take_spare(&self) -> Result<(PathBuf, F::File)> {
        while let Some(path) = self.spares.take() {
            match self.fs.open(&path, Access::Write) {
                Ok(file) if is_ours_alone(&file) => return Ok((path, file)),
                // Somebody made another name for it in the meantime.
                Ok(_) => self
                    .fs
                    .remove_file(&path)
                    .map_err(|source| failed("remove spare", &path, source))?,
                // Somebody tidied up the directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed("open spare", &path, source)),
            }
        }
        match self.spares.create(&self.fs, &self.path) {
            Ok(created) => Ok(created),
            Err((path, source)) => {
                let fail = |source| failed("create file", &path, source);
                let taken = match reserve::is_full(&source) {
                    true => self.take_reserve(0).map_err(fail)?,
                    false => None,
                };
                taken.ok_or_else(|| fail(source))
            }
        }
    }

    pub(super) fn open_segment(
        self: &Arc<Self>,
        name: Lsn,
        access: Access,
    ) -> Result<FileSegment<F::File>> {
        let path = self.segment_path(name);
        let fail = |source| failed("open segment", &path, source).with_segment(name);
        let file = self.fs.open(&path, access).map_err(fail)?;
        // Nothing is appended to a segment that is there already: at most it gets a footer.
        let growth = Growth { len: file.len().map_err(fail)?, chunk: 0, limit: 0 };
        Ok(FileSegment::new(file, name, path, access, self.clone(), growth))
    }

    /// Whether the segment at `path` may become another one. Not if its file has a second name, as in a backup made of
    /// links: what is written to it would be written there, too.
    fn may_be_recycled(&self, path: &Path) -> bool {
        self.fs.open(path, Access::Read).is_ok_and(|file| is_ours_alone(&file))
    }

    /// Takes the names away, all of them, and then makes that durable, once for all.
    pub(super) fn remove_segments(&self, names: &[Lsn]) -> Result<()> {
        let Some(&first) = names.first() else { return Ok(()) };
        let mut spares = Vec::new();
        for &name in names {
            let path = self.segment_path(name);
            // Not on a full disk, where space is what the removal is for.
            let wanted =
                !self.reserve.is_open() && self.spares.count() + spares.len() < self.max_spares();
            let is_ours = self.named.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            let removed = if wanted && is_ours && self.may_be_recycled(&path) {
                let spare = self.spares.next_path(&self.path);
                self.fs.rename(&path, &spare).map(|()| spares.push(spare))
            } else {
                self.fs.remove_file(&path)
            };
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed
                    .map_err(|source| failed("remove segment", &path, source).with_segment(name))?,
            }
        }
        self.sync().map_err(|e| e.with_segment(first))?;
        // Not sooner: a file that a crash may bring back under its old name must not become another segment.
        spares.into_iter().for_each(|spare| self.spares.put(spare));
        Ok(())
    }

    /// Gives a file of the directory the name of one that was set aside.
    pub(super) fn keep(&self, path: &Path, label: &str) -> io::Result<PathBuf> {
        let rename = |kept: &Path| self.with_room(|| self.fs.rename_new(path, kept));
        let (kept, renamed) = self.under_free_name(label, rename);
        renamed?;
        self.sync_names()?;
        Ok(self.path.join(kept))
    }

    /// Makes a file with the first name for bytes set aside that is free. Returns its name, and what came of it.
    fn under_free_name<T>(
        &self,
        label: &str,
        make: impl Fn(&Path) -> io::Result<T>,
    ) -> (String, io::Result<T>) {
        let mut n = 1;
        loop {
            let name = names::set_aside(label, n);
            match make(&self.path.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n += 1,
                made => return (name, made),
            }
        }
    }

    pub(super) fn put_aside(&self, label: &str, data: &[u8]) -> Result<String> {
        if !names::is_label(label) {
            return Err(Error::new(ErrorKind::Invalid, "set bytes aside").with_detail(format!(
                "label {label:?}: 1 to 128 letters, digits, '.', '_' and '-', not '.' first"
            )));
        }
        let (name, file) = self.under_free_name(label, |path| self.fs.create_new(path));
        let path = self.path.join(&name);
        let fail = |source| failed("set bytes aside", &path, source);
        let written = file.and_then(|file| {
            let written = whole::write(&file, data, 0, WriteMode::Cached);
            written.and_then(|()| file.sync_all()).inspect_err(|_| {
                let _ = self.fs.remove_file(&path);
            })
        });
        match written {
            Err(error) if reserve::is_full(&error) => {
                let kept = self.put_aside_in_reserve(label, data).map_err(fail)?;
                kept.ok_or_else(|| fail(error))
            }
            written => {
                written.map_err(fail)?;
                self.sync()?;
                Ok(name)
            }
        }
    }

    /// The same where there is no space; `None` if there is no reserve either.
    fn put_aside_in_reserve(&self, label: &str, data: &[u8]) -> io::Result<Option<String>> {
        while let Some((spare, file)) = self.take_reserve(data.len() as u64)? {
            let written = reserve::write_whole(&file, data).and_then(|()| file.sync_all());
            match written.and_then(|()| self.keep(&spare, label)) {
                Ok(kept) => {
                    return Ok(kept.file_name().map(|name| name.to_string_lossy().into_owned()));
                }
                Err(error) => {
                    let _ = self.fs.remove_file(&spare);
                    if !reserve::is_full(&error) {
                        return Err(error);
                    }
                }
            }
        }
        Ok(None)
    }
}

impl<F: FileSystem> Place for Directory<F> {
    fn trusts_one_call(&self) -> bool {
        self.one_call
    }

    fn make_space(&self, need: u64) -> bool {
        self.reserve.give_up(&self.fs, &self.path, need)
    }
}
