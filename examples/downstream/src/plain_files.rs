//! A storage of one's own, from the ground up: each segment is a plain file.
//!
//! What makes it right is in four places.
//! - A segment is written and synced under another name. It gets its own name by one step that replaces nothing
//!   ([`Publish::New`]) or what was named ([`Publish::Replace`]), and then the *directory* is synced.
//! - The lock dies with its holder, also by `kill -9`: it belongs to the open file.
//! - A failed sync is never tried again: the operating system may have marked the pages clean.
//! - Its calls go through a seam, [`FileSystem`]: to the operating system ([`RealFs`]), and in tests to a model that
//!   loses what a power loss may lose.
//!
//! `tests/it/plain_files.rs` holds it against the contract, in both worlds. `tests/it/faults.rs` crashes logs on it.
//!
//! It is slower than `FileStorage`, which writes zeros ahead and recycles files, and it knows no platform's
//! pitfalls.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use wal_core::format::SEGMENT_HEADER_LEN;
use wal_core::{
    Access, Capabilities, Error, ErrorKind, Io, Listing, LogStorage, Lsn, Publish, Result, Segment,
    Staged, StagedSegment, StorageLock, WriteMode,
};
use wal_fs::{File, FileSystem, RealFs};

/// Segments as files `N.segment` in a directory.
#[derive(Debug)]
pub struct PlainFiles<F = RealFs> {
    dir: Arc<Directory<F>>,
    staged: AtomicU64,
}

impl PlainFiles {
    /// On the file system of this machine.
    ///
    /// # Errors
    /// `Denied`, `Full`, `Io`.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::create_with_file_system(RealFs, dir)
    }
}

impl<F: FileSystem> PlainFiles<F> {
    /// On a file system of one's own.
    ///
    /// # Errors
    /// `Denied`, `Full`, `Io`.
    pub fn create_with_file_system(files: F, dir: impl AsRef<Path>) -> Result<Self> {
        let path = dir.as_ref().to_owned();
        let is_new = |level: &&Path| !level.as_os_str().is_empty() && files.kind(level).is_err();
        let mut new: Vec<_> = path.ancestors().take_while(is_new).collect();
        new.reverse();
        for level in &new {
            match files.create_dir(level) {
                // Somebody else was quicker.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                created => created.map_err(|e| Error::io("create directory", e))?,
            }
        }
        // The names of the directories must be durable, too: of each one that was made here.
        for level in new.into_iter().chain([&*path]) {
            let above = level.parent().filter(|above| !above.as_os_str().is_empty());
            let above = above.unwrap_or(Path::new("."));
            files.sync_dir(above).map_err(|e| Error::io("sync directory", e))?;
        }
        Ok(PlainFiles { dir: Arc::new(Directory { files, path }), staged: AtomicU64::new(0) })
    }
}

const STAGED: &str = ".staged";

/// A directory of a file system.
#[derive(Debug)]
struct Directory<F> {
    files: F,
    path: PathBuf,
}

impl<F: FileSystem> Directory<F> {
    fn segment(&self, name: Lsn) -> PathBuf {
        self.path.join(format!("{name:020}.segment"))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = self.files.read_dir(&self.path)?.into_iter();
        Ok(entries.map(|entry| entry.name.to_string_lossy().into_owned()).collect())
    }

    fn sync(&self) -> io::Result<()> {
        self.files.sync_dir(&self.path)
    }

    /// A file with the first of these names that is free.
    fn create(&self, name: impl Fn() -> String) -> io::Result<(String, F::File)> {
        loop {
            let name = name();
            match self.files.create_new(&self.path.join(&name)) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                created => return Ok((name, created?)),
            }
        }
    }

    fn open_lock(&self) -> io::Result<F::File> {
        let path = self.path.join("LOCK");
        match self.files.create_new(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.files.open(&path, Access::Write)
            }
            created => created,
        }
    }

    /// The first bytes of a segment, or `None` if there is no such file.
    fn header(&self, name: Lsn) -> io::Result<Option<Vec<u8>>> {
        match self.files.open(&self.segment(name), Access::Read) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            file => read(&file?, 0, SEGMENT_HEADER_LEN).map(Some),
        }
    }
}

/// Up to `len` bytes; fewer at the end of the file only.
fn read(file: &impl File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let held = usize::try_from(file.len()?.saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len.min(held)];
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// All of it: one call may write less.
fn write(file: &impl File, mut data: &[u8], mut offset: u64) -> io::Result<()> {
    while !data.is_empty() {
        match file.write_at(data, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(done) => (data, offset) = (&data[done..], offset + done as u64),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

impl<F: FileSystem> LogStorage for PlainFiles<F> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::durable()
    }

    fn describe(&self) -> String {
        self.dir.path.display().to_string()
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        Io::ready((|| {
            let os = |e| Error::io("lock", e);
            let file = self.dir.open_lock().map_err(os)?;
            if !file.try_lock().map_err(os)? {
                let detail = format!("{} is locked", self.describe());
                return Err(Error::new(ErrorKind::Locked, "lock").with_detail(detail));
            }
            // What a dead writer left: staged segments that nobody will publish.
            for name in self.dir.names().map_err(os)? {
                if name.ends_with(STAGED) {
                    self.dir.files.remove_file(&self.dir.path.join(name)).map_err(os)?;
                }
            }
            // And names that it had given, but not yet made durable.
            self.dir.sync().map_err(os)?;
            Ok(StorageLock::new(file))
        })())
    }

    fn list(&self) -> Io<'_, Listing> {
        let list = |names: Vec<String>| {
            let mut listing = Listing::default();
            for name in names {
                let number = name.strip_suffix(".segment").filter(|number| number.len() == 20);
                match number.and_then(|number| number.parse().ok()) {
                    Some(lsn) => listing.segments.push(Lsn::new(lsn)),
                    None if name == "LOCK" || name.ends_with(STAGED) || name.ends_with(".cut") => {}
                    None => listing.foreign.push(name),
                }
            }
            listing.segments.sort_unstable();
            listing
        };
        Io::ready(self.dir.names().map(list).map_err(|e| Error::io("list", e)))
    }

    fn stage(&self, name: Lsn, _capacity: u64) -> Io<'_, Staged> {
        let number = || self.staged.fetch_add(1, Ordering::Relaxed);
        let created = self.dir.create(|| format!("{}{STAGED}", number()));
        Io::ready(created.map_err(|e| Error::io("stage segment", e)).map(|(at, file)| {
            Staged::new(StagedFile {
                at: self.dir.path.join(at),
                dir: self.dir.clone(),
                name,
                segment: Arc::new(PlainSegment::new(file, Access::Write)),
                is_published: false,
            })
        }))
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let file = self.dir.files.open(&self.dir.segment(name), access);
        let file = file.map_err(|e| Error::io("open segment", e).with_segment(name));
        Io::ready(file.map(|file| Arc::new(PlainSegment::new(file, access)) as _))
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        let remove = || -> io::Result<()> {
            for name in names {
                match self.dir.files.remove_file(&self.dir.segment(*name)) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
            // Once for all of them.
            self.dir.sync()
        };
        Io::ready(remove().map_err(|e| Error::io("remove segments", e)))
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        let set_aside = || -> io::Result<String> {
            let number = AtomicU64::new(0);
            let name = || format!("{label}-{}.cut", number.fetch_add(1, Ordering::Relaxed));
            let (name, file) = self.dir.create(name)?;
            write(&file, &data, 0)?;
            file.sync_all()?;
            self.dir.sync()?;
            Ok(name)
        };
        Io::ready(set_aside().map_err(|e| Error::io("set aside", e)))
    }
}

/// A segment under a name that no listing shows.
struct StagedFile<F: FileSystem> {
    dir: Arc<Directory<F>>,
    at: PathBuf,
    name: Lsn,
    segment: Arc<PlainSegment<F::File>>,
    is_published: bool,
}

impl<F: FileSystem> StagedFile<F> {
    fn publish(&mut self, how: Publish) -> Result<Arc<dyn Segment>> {
        let os = |e| Error::io("publish segment", e);
        let (dir, path) = (&self.dir, self.dir.segment(self.name));
        let may =
            |how: Publish| how.check(self.name, dir.header(self.name).map_err(os)?.as_deref());
        // First the bytes, then the name, then the directory.
        self.segment.sync_now()?;
        if how == Publish::New {
            // Fails if the name is taken, in one step. A plain rename would replace.
            match dir.files.rename_new(&self.at, &path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    may(how)?;
                    return Err(os(e));
                }
                renamed => renamed.map_err(os)?,
            }
        } else {
            // Between these two lines a writer without the lock could change what is there.
            may(how)?;
            dir.files.rename(&self.at, &path).map_err(os)?;
        }
        self.is_published = true;
        // Not as `NotFound`, even if that is what the system says: it would mean that nothing has happened.
        let unsynced = |e| Error::new(ErrorKind::Io, "publish segment").with_source(e);
        dir.sync().map_err(unsynced)?;
        Ok(self.segment.clone())
    }
}

impl<F: FileSystem> StagedSegment for StagedFile<F> {
    fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()> {
        self.segment.write_at(offset, data, WriteMode::Cached)
    }

    fn sync(&mut self) -> Io<'_, ()> {
        self.segment.sync()
    }

    fn publish(mut self: Box<Self>, how: Publish) -> Io<'static, Arc<dyn Segment>> {
        let name = self.name;
        Io::ready(StagedFile::publish(&mut self, how).map_err(|e| e.with_segment(name)))
    }
}

impl<F: FileSystem> Drop for StagedFile<F> {
    fn drop(&mut self) {
        if !self.is_published {
            // If this fails, taking the lock the next time removes it.
            let _ = self.dir.files.remove_file(&self.at);
        }
    }
}

/// An open file.
struct PlainSegment<T> {
    file: T,
    access: Access,
    has_failed: AtomicBool,
}

impl<T: File> PlainSegment<T> {
    fn new(file: T, access: Access) -> Self {
        PlainSegment { file, access, has_failed: AtomicBool::new(false) }
    }

    fn writable(&self, op: &'static str) -> Result<()> {
        if self.access == Access::Read {
            return Err(Error::new(ErrorKind::Denied, op).with_detail("opened for reading only"));
        }
        if self.has_failed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Io, op).with_detail("an earlier sync failed"));
        }
        Ok(())
    }

    fn sync_now(&self) -> Result<()> {
        self.writable("sync")?;
        self.file.sync_data().map_err(|e| {
            self.has_failed.store(true, Ordering::Release);
            Error::io("sync", e)
        })
    }
}

impl<T: File> Segment for PlainSegment<T> {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        let write = || {
            self.writable("write")?;
            let written = write(&self.file, &data, offset);
            written.map_err(|e| Error::io("write", e).with_offset(offset))?;
            if mode == WriteMode::Through { self.sync_now() } else { Ok(()) }
        };
        Io::ready(write())
    }

    fn sync(&self) -> Io<'_, ()> {
        Io::ready(self.sync_now())
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        let bytes = read(&self.file, offset, len).map(Bytes::from);
        Io::ready(bytes.map_err(|e| Error::io("read", e).with_offset(offset)))
    }

    fn len(&self) -> Io<'_, u64> {
        Io::ready(self.file.len().map_err(|e| Error::io("length", e)))
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        let truncate = || {
            self.writable("truncate")?;
            let present = self.file.len();
            let cut = present.and_then(|present| self.file.set_len(len.min(present)));
            cut.map_err(|e| Error::io("truncate", e))
        };
        Io::ready(truncate())
    }
}
