//! A file that is to become a segment: written and synced under a spare's name, and only then given its own.
//!
//! So no power loss can leave a name that stands for a file without its header.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use wal_core::format::SEGMENT_HEADER_LEN;
use wal_core::{
    Access, Error, ErrorKind, Io, Lsn, Publish, Result, Segment, StagedSegment, WriteMode,
};

use super::directory::Directory;
use super::fence::told;
use super::reserve::is_full;
use super::segment::{FileSegment, Growth};
use crate::os::dir::{failed, not_synced};
use crate::os::{File, FileSystem, whole};

const OP: &str = "create segment";

/// A segment without a name, in a file.
pub(crate) struct StagedFile<F: FileSystem, P> {
    spare: Spare<F>,
    file: F::File,
    name: Lsn,
    growth: Growth,
    /// Where the last byte ends that was written.
    end: u64,
    state: State,
    /// Makes a segment of the file.
    prepare: P,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unsynced,
    Synced,
    /// A write or a sync failed: the file can only be dropped.
    Failed,
}

/// A file that is complete and durable, and is about to get its name.
pub(crate) struct Nameless<'a, F: FileSystem> {
    pub(crate) segment: FileSegment<F::File>,
    pub(crate) fs: &'a F,
    /// Where the file is now.
    pub(crate) path: &'a Path,
    /// Where the last byte ends that was written.
    pub(crate) end: u64,
}

/// A file under a spare's name. It goes when it is dropped: frames of a segment that never was must not come up in
/// a later one, whose generation may be the same.
struct Spare<F: FileSystem> {
    directory: Arc<Directory<F>>,
    /// `None` if it is no longer ours to remove.
    path: Option<PathBuf>,
}

impl<F: FileSystem> Spare<F> {
    fn path(&self) -> &Path {
        self.path.as_deref().expect("it has one until it is published")
    }
}

impl<F: FileSystem> Drop for Spare<F> {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What is left behind goes when the lock is taken next.
            let _ = self.directory.file_system().remove_file(path);
        }
    }
}

impl<F: FileSystem, P> StagedFile<F, P> {
    pub(super) fn new(
        directory: &Arc<Directory<F>>,
        name: Lsn,
        capacity: u64,
        prepare: P,
    ) -> Result<Self> {
        let (path, file) = directory.take_spare().map_err(|e| e.with_segment(name))?;
        let spare = Spare { directory: directory.clone(), path: Some(path) };
        let chunk = directory.fill_bytes();
        let cut = file.len().and_then(|len| {
            if len > capacity {
                file.set_len(capacity)?;
            }
            Ok(len.min(capacity))
        });
        let len = cut.map_err(|source| {
            failed(OP, &directory.segment_path(name), source).with_segment(name)
        })?;
        let growth = Growth { len, chunk, limit: capacity };
        Ok(StagedFile { spare, file, name, growth, end: 0, state: State::Unsynced, prepare })
    }

    /// Makes the file one with the first `len` bytes of another, by sharing its blocks. `false` if that cannot be: then
    /// it can only be dropped.
    pub(super) fn share_blocks_of(&mut self, source: &dyn std::any::Any, len: u64) -> bool {
        let shared = self.step(State::Unsynced, |this| {
            this.file.share_blocks_of(source)?;
            // A writer may have lengthened the source.
            if this.file.len()? != len {
                this.file.set_len(len)?;
            }
            (this.end, this.growth.len) = (len, len);
            Ok(())
        });
        shared.is_ok()
    }

    fn directory(&self) -> &Directory<F> {
        &self.spare.directory
    }

    fn error(&self, source: io::Error) -> Error {
        failed(OP, &self.directory().segment_path(self.name), source).with_segment(self.name)
    }

    /// Runs a step after which, if it fails, there is none.
    fn step(
        &mut self,
        reached: State,
        run: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> Result<()> {
        if self.state == State::Failed {
            return Err(self.error(io::Error::other("an earlier write or sync of it failed")));
        }
        self.state = State::Failed;
        run(self).map_err(|source| self.error(source))?;
        self.state = reached;
        Ok(())
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        self.step(State::Unsynced, |this| {
            let end = offset.checked_add(data.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
            this.with_reserve(end, |file| whole::write(file, data, offset, WriteMode::Cached))?;
            this.end = this.end.max(end);
            this.growth.len = this.growth.len.max(end);
            this.growth.limit = this.growth.limit.max(end);
            Ok(())
        })
    }

    /// Fills the file ahead of its data, and makes all of it durable.
    fn make_durable(&mut self) -> Result<()> {
        if self.state == State::Synced {
            return Ok(());
        }
        self.step(State::Synced, |this| {
            let (file, growth) = (&this.file, &mut this.growth);
            let target = growth.chunk.min(growth.limit);
            if growth.len < target {
                match whole::write_zeros(file, growth.len, target) {
                    Ok(()) => growth.len = target,
                    Err(error) if whole::is_no_space(&error) => {
                        growth.chunk = 0;
                        growth.len = file.len()?;
                    }
                    Err(error) => return Err(error),
                }
            }
            // Not once more in a file of the reserve: what a failed sync leaves in the cache is not to be believed.
            this.file.sync_all()
        })
    }

    /// Runs a step on the file. Where there is no space for it, runs it again on a file of the reserve.
    fn with_reserve(
        &mut self,
        need: u64,
        run: impl Fn(&F::File) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            match run(&self.file) {
                Err(error) if is_full(&error) => {
                    if !self.move_to_reserve(need)? {
                        return Err(error);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Goes on in a file of the reserve, with what was written so far. `false` if there is none that has room.
    fn move_to_reserve(&mut self, need: u64) -> io::Result<bool> {
        let directory = self.spare.directory.clone();
        while let Some((path, file)) = directory.take_reserve(need)? {
            let spare = Spare { directory: directory.clone(), path: Some(path) };
            match whole::copy(&self.file, &file, self.end) {
                Err(error) if is_full(&error) => continue,
                copied => copied?,
            }
            let mut len = file.len()?;
            if len > self.growth.limit.max(need) {
                len = self.growth.limit.max(need);
                file.set_len(len)?;
            }
            self.growth.len = len;
            // The present file goes, and its space is free.
            (self.file, self.spare) = (file, spare);
            return Ok(true);
        }
        Ok(false)
    }
}

impl<F, P> StagedFile<F, P>
where
    F: FileSystem,
    P: FnOnce(Nameless<'_, F>) -> Result<Arc<dyn Segment>> + Send + 'static,
{
    /// Writes the whole segment and publishes it.
    pub(crate) fn create(mut self, data: &[u8], how: Publish) -> Result<Arc<dyn Segment>> {
        self.write(0, data)?;
        self.give_name(how)
    }

    fn give_name(mut self, how: Publish) -> Result<Arc<dyn Segment>> {
        self.make_durable()?;
        let StagedFile { spare, file, name, growth, end, prepare, .. } = self;
        let directory = spare.directory.clone();
        let (fs, path) = (directory.file_system(), directory.segment_path(name));
        let id = told(file.links())
            .map_err(|source| naming_failed(OP, &path, source).with_segment(name))?;
        let place = directory.clone();
        let segment = FileSegment::new(file, name, path.clone(), Access::Write, place, growth);
        // Before the name is there: if this fails, nothing has happened.
        let segment = prepare(Nameless { segment, fs, path: spare.path(), end })
            .map_err(|e| e.with_segment(name))?;
        Naming { directory: &directory, name, path, how }.name(spare)?;
        directory.named(name, id);
        // It has its name: that the directory is gone now does not mean that there was nothing to replace.
        directory.sync_names().map_err(|source| {
            let error = match source.kind() {
                io::ErrorKind::NotFound => {
                    naming_failed("sync directory", directory.path(), source)
                }
                _ => not_synced(directory.path(), source),
            };
            error.with_segment(name)
        })?;
        Ok(segment)
    }
}

impl<F, P> StagedSegment for StagedFile<F, P>
where
    F: FileSystem,
    P: FnOnce(Nameless<'_, F>) -> Result<Arc<dyn Segment>> + Send + 'static,
{
    fn write_at(&mut self, offset: u64, data: Bytes) -> Io<'_, ()> {
        Io::ready(self.write(offset, &data).map_err(|e| e.with_offset(offset)))
    }

    fn sync(&mut self) -> Io<'_, ()> {
        Io::ready(self.make_durable())
    }

    fn publish(self: Box<Self>, how: Publish) -> Io<'static, Arc<dyn Segment>> {
        Io::ready(self.give_name(how))
    }
}

/// `NotFound` says that nothing has happened, as there was no segment to replace: see [`StagedSegment::publish`].
fn naming_failed(op: &'static str, path: &Path, source: io::Error) -> Error {
    if source.kind() != io::ErrorKind::NotFound {
        return failed(op, path, source);
    }
    Error::new(ErrorKind::Io, op).with_source(source).with_detail(path.display().to_string())
}

/// How a file gets the name of a segment. The directory is synced afterwards.
struct Naming<'a, F> {
    directory: &'a Directory<F>,
    name: Lsn,
    path: PathBuf,
    how: Publish,
}

impl<F: FileSystem> Naming<'_, F> {
    fn fail(&self, source: io::Error) -> Error {
        naming_failed(OP, &self.path, source).with_segment(self.name)
    }

    fn name(&self, mut spare: Spare<F>) -> Result<()> {
        match self.how {
            Publish::New => {
                let fs = self.directory.file_system();
                let rename = || fs.rename_new(spare.path(), &self.path);
                let renamed = self.directory.with_room(rename);
                match renamed {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        return self.how.check(self.name, Some(&[]));
                    }
                    renamed => renamed.map_err(|source| self.fail(source))?,
                }
                spare.path = None;
                Ok(())
            }
            Publish::Replace { .. } => self.replace(spare),
        }
    }

    /// Looks at what has the name, exchanges the two files, and looks at what came out: who ignores the lock may
    /// have put something else there in between. Where the system cannot exchange names, that is replaced unseen.
    fn replace(&self, mut spare: Spare<F>) -> Result<()> {
        let fs = self.directory.file_system();
        self.check(&self.path)?;
        match self.directory.with_room(|| fs.exchange(spare.path(), &self.path)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                let rename = || fs.rename(spare.path(), &self.path);
                self.directory.with_room(rename).map_err(|source| self.fail(source))?;
                spare.path = None;
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.how.check(self.name, None);
            }
            Err(source) => return Err(self.fail(source)),
        }
        if let Err(error) = self.check(spare.path()) {
            // It is somebody's segment that has the spare's name now.
            let out = spare.path.take().expect("it has one");
            if let Err(source) = fs.exchange(&out, &self.path) {
                return Err(self.not_put_back(&out, source));
            }
            spare.path = Some(out);
            self.directory.sync().map_err(|e| e.with_segment(self.name))?;
            return Err(error);
        }
        // What was replaced goes with the spare. It is not kept for a later segment: a reader that has it open reads on.
        Ok(())
    }

    /// Somebody's segment cannot get its name again. It is set aside: spares are removed at the next opening.
    fn not_put_back(&self, out: &Path, source: io::Error) -> Error {
        let label = format!("{}-replaced", self.name.get());
        let kept = self.directory.keep(out, &label).unwrap_or_else(|_| out.to_path_buf());
        Error::new(ErrorKind::Io, OP).with_segment(self.name).with_source(source).with_detail(
            format!(
                "{}: somebody put a segment there in the meantime, which is now {}",
                self.path.display(),
                kept.display()
            ),
        )
    }

    /// Whether what is at `path` may be replaced. An error of the device says nothing about the header.
    fn check(&self, path: &Path) -> Result<()> {
        let mut header = [0; SEGMENT_HEADER_LEN];
        let found = self.directory.file_system().open(path, Access::Read);
        let read = match found.and_then(|file| whole::read(&file, &mut header, 0)) {
            Ok(len) => Some(&header[..len]),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(self.fail(source)),
        };
        self.how.check(self.name, read)
    }
}
