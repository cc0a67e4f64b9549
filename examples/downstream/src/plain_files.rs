//! A storage of one's own, from the ground up: each segment is a plain file.
//!
//! What makes it right is in three places.
//! - A segment is written and synced under another name. It gets its own name by one step that replaces nothing
//!   ([`Publish::New`]) or what was named ([`Publish::Replace`]), and then the *directory* is synced.
//! - The lock dies with its holder, also by `kill -9`: it belongs to the open file.
//! - A failed sync is never tried again: the operating system may have marked the pages clean.
//!
//! `tests/plain_files.rs` holds it against the contract. What takes a power loss is not among it: the files of the
//! machine cannot lose theirs. For that a storage has to make its calls through a seam, as `wal_fs::FileStorage` makes
//! them through `wal_fs::FileSystem`, which the kit's model implements.
//!
//! It is slower than `FileStorage`, which writes zeros ahead and recycles files, and it knows no platform's
//! pitfalls.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use wal_core::format::SEGMENT_HEADER_LEN;
use wal_core::{
    Access, Capabilities, Error, ErrorKind, Io, Listing, LogStorage, Lsn, Publish, Result, Segment,
    Staged, StagedSegment, StorageLock, WriteMode,
};

/// Segments as files `N.segment` in a directory.
#[derive(Debug)]
pub struct PlainFiles {
    dir: Arc<PathBuf>,
    staged: AtomicU64,
}

impl PlainFiles {
    /// # Errors
    /// `Denied`, `Full`, `Io`.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref().to_owned();
        // The names of the directories must be durable, too: of each one that is made here.
        let is_new = |level: &&Path| !level.as_os_str().is_empty() && !level.exists();
        let new: Vec<_> = dir.ancestors().take_while(is_new).map(Path::to_owned).collect();
        fs::create_dir_all(&dir).map_err(|e| Error::io("create directory", e))?;
        for level in new.iter().rev().chain([&dir]) {
            let above = level.parent().filter(|above| !above.as_os_str().is_empty());
            sync_dir(above.unwrap_or(Path::new("."))).map_err(|e| Error::io("sync directory", e))?;
        }
        Ok(PlainFiles { dir: Arc::new(dir), staged: AtomicU64::new(0) })
    }
}

const STAGED: &str = ".staged";

fn path(dir: &Path, name: Lsn) -> PathBuf {
    dir.join(format!("{name:020}.segment"))
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The first bytes of a segment, or `None` if there is no such file.
fn header(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(SEGMENT_HEADER_LEN as u64).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

impl LogStorage for PlainFiles {
    fn capabilities(&self) -> Capabilities {
        Capabilities::durable()
    }

    fn describe(&self) -> String {
        self.dir.display().to_string()
    }

    fn lock(&self) -> Io<'_, StorageLock> {
        Io::ready((|| {
            let os = |e| Error::io("lock", e);
            let path = self.dir.join("LOCK");
            let file = File::options().create(true).append(true).open(&path).map_err(os)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let error = Error::new(ErrorKind::Locked, "lock");
                    return Err(error.with_detail(format!("{} is locked", path.display())));
                }
                Err(TryLockError::Error(e)) => return Err(os(e)),
            }
            // What a dead writer left: staged segments that nobody will publish.
            for entry in fs::read_dir(&*self.dir).map_err(os)? {
                let entry = entry.map_err(os)?;
                if entry.file_name().to_string_lossy().ends_with(STAGED) {
                    fs::remove_file(entry.path()).map_err(os)?;
                }
            }
            // And names that it had given, but not yet made durable.
            sync_dir(&self.dir).map_err(os)?;
            Ok(StorageLock::new(file))
        })())
    }

    fn list(&self) -> Io<'_, Listing> {
        Io::ready((|| {
            let os = |e| Error::io("list", e);
            let mut listing = Listing::default();
            for entry in fs::read_dir(&*self.dir).map_err(os)? {
                let name = entry.map_err(os)?.file_name().to_string_lossy().into_owned();
                let number = name.strip_suffix(".segment").filter(|number| number.len() == 20);
                match number.and_then(|number| number.parse().ok()) {
                    Some(lsn) => listing.segments.push(Lsn::new(lsn)),
                    None if name == "LOCK" || name.ends_with(STAGED) || name.ends_with(".cut") => {}
                    None => listing.foreign.push(name),
                }
            }
            listing.segments.sort_unstable();
            Ok(listing)
        })())
    }

    fn stage(&self, name: Lsn, _capacity: u64) -> Io<'_, Staged> {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let at = self.dir.join(format!("{number}{STAGED}"));
        let created = File::options().create_new(true).read(true).write(true).open(&at);
        Io::ready(created.map_err(|e| Error::io("stage segment", e)).map(|file| {
            let segment = Arc::new(PlainSegment::new(file, Access::Write));
            Staged::new(StagedFile {
                dir: self.dir.clone(),
                at,
                name,
                segment,
                is_published: false,
            })
        }))
    }

    fn open(&self, name: Lsn, access: Access) -> Io<'_, Arc<dyn Segment>> {
        let path = path(&self.dir, name);
        let file = OpenOptions::new().read(true).write(access == Access::Write).open(path);
        let file = file.map_err(|e| Error::io("open segment", e).with_segment(name));
        Io::ready(file.map(|file| Arc::new(PlainSegment::new(file, access)) as _))
    }

    fn remove(&self, names: &[Lsn]) -> Io<'_, ()> {
        let remove = || -> io::Result<()> {
            for name in names {
                match fs::remove_file(path(&self.dir, *name)) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
            // Once for all of them.
            sync_dir(&self.dir)
        };
        Io::ready(remove().map_err(|e| Error::io("remove segments", e)))
    }

    fn set_aside(&self, label: &str, data: Bytes) -> Io<'_, String> {
        let set_aside = || -> io::Result<String> {
            for number in 0_u64.. {
                let name = format!("{label}-{number}.cut");
                match File::options().create_new(true).write(true).open(self.dir.join(&name)) {
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                    file => {
                        let mut file = file?;
                        file.write_all(&data)?;
                        file.sync_all()?;
                        sync_dir(&self.dir)?;
                        return Ok(name);
                    }
                }
            }
            unreachable!("there are numbers enough")
        };
        Io::ready(set_aside().map_err(|e| Error::io("set aside", e)))
    }
}

/// A segment under a name that no listing shows.
struct StagedFile {
    dir: Arc<PathBuf>,
    at: PathBuf,
    name: Lsn,
    segment: Arc<PlainSegment>,
    is_published: bool,
}

impl StagedFile {
    fn publish(&mut self, how: Publish) -> Result<Arc<dyn Segment>> {
        let os = |e| Error::io("publish segment", e);
        // First the bytes, then the name, then the directory.
        self.segment.sync_now()?;
        let path = path(&self.dir, self.name);
        if how == Publish::New {
            // A link fails if the name is taken, in one step. A rename would replace.
            match fs::hard_link(&self.at, &path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    how.check(self.name, header(&path).map_err(os)?.as_deref())?;
                    return Err(os(e));
                }
                linked => linked.map_err(os)?,
            }
            fs::remove_file(&self.at).map_err(os)?;
        } else {
            // Between these two lines a writer without the lock could change what is there.
            how.check(self.name, header(&path).map_err(os)?.as_deref())?;
            fs::rename(&self.at, &path).map_err(os)?;
        }
        self.is_published = true;
        sync_dir(&self.dir).map_err(os)?;
        Ok(self.segment.clone())
    }
}

impl StagedSegment for StagedFile {
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

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.is_published {
            // If this fails, taking the lock the next time removes it.
            let _ = fs::remove_file(&self.at);
        }
    }
}

/// An open file. Positions are shared, so one call at a time uses it.
struct PlainSegment {
    file: Mutex<File>,
    access: Access,
    has_failed: AtomicBool,
}

impl PlainSegment {
    fn new(file: File, access: Access) -> Self {
        PlainSegment { file: Mutex::new(file), access, has_failed: AtomicBool::new(false) }
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
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
        let file = self.file().try_clone().map_err(|e| Error::io("sync", e))?;
        file.sync_data().map_err(|e| {
            self.has_failed.store(true, Ordering::Release);
            Error::io("sync", e)
        })
    }
}

impl Segment for PlainSegment {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        let write = || {
            self.writable("write")?;
            let mut file = self.file();
            let written = file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(&data));
            drop(file);
            written.map_err(|e| Error::io("write", e).with_offset(offset))?;
            if mode == WriteMode::Through { self.sync_now() } else { Ok(()) }
        };
        Io::ready(write())
    }

    fn sync(&self) -> Io<'_, ()> {
        Io::ready(self.sync_now())
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        let read = || -> io::Result<Bytes> {
            let mut file = self.file();
            // Behind the end there is nothing, also where the system can seek no further.
            if offset >= file.metadata()?.len() {
                return Ok(Bytes::new());
            }
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            Read::by_ref(&mut *file).take(len as u64).read_to_end(&mut bytes)?;
            Ok(bytes.into())
        };
        Io::ready(read().map_err(|e| Error::io("read", e).with_offset(offset)))
    }

    fn len(&self) -> Io<'_, u64> {
        let len = self.file().metadata().map(|metadata| metadata.len());
        Io::ready(len.map_err(|e| Error::io("length", e)))
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        let truncate = || {
            self.writable("truncate")?;
            let file = self.file();
            let present = file.metadata().map(|metadata| metadata.len());
            let cut = present.and_then(|present| file.set_len(len.min(present)));
            cut.map_err(|e| Error::io("truncate", e))
        };
        Io::ready(truncate())
    }
}
