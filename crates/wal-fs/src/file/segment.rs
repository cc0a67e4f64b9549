//! One segment in one file.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use wal_core::{Access, Error, ErrorKind, Io, Lsn, Result, Segment, WriteMode};

use super::reserve;
use crate::os::{File, whole};

/// More than is read at once of whatever can be read in pieces, in bytes.
const LARGE: usize = 1 << 20;

/// What a segment knows of its directory.
pub(super) trait Place: Send + Sync + 'static {
    /// Whether one call is believed to make a write durable.
    fn trusts_one_call(&self) -> bool;

    /// Gives space of an open reserve back to the file system, if possible so many bytes. Whether there was any.
    fn make_space(&self, need: u64) -> bool;
}

/// An open segment file.
pub(crate) struct FileSegment<H> {
    file: H,
    name: Lsn,
    path: PathBuf,
    access: Access,
    place: Arc<dyn Place>,
    growth: Mutex<Growth>,
    sync: Mutex<SyncState>,
}

/// How far the file reaches, and how far it is to be filled ahead of the data.
///
/// Only the writer uses it: a file opened for reading may be growing under another handle.
pub(super) struct Growth {
    /// The file's length: everything below was written once.
    pub(super) len: u64,
    /// Fill up to multiples of this; 0: not at all.
    pub(super) chunk: u64,
    /// Never fill beyond this.
    pub(super) limit: u64,
}

impl Growth {
    /// Where to fill up to, if a write that ends at `end` leaves the filled part.
    fn target(&self, end: u64) -> Option<u64> {
        if end <= self.len || self.chunk == 0 {
            return None;
        }
        let target = end.checked_next_multiple_of(self.chunk)?.min(self.limit);
        (target > end).then_some(target)
    }
}

/// Whether a sync of this handle failed.
///
/// The kernel reports a failed write-back once per handle, to whichever call comes first. A sync
/// that runs beside a write-through write could so be told `Ok` because the other call was told
/// of the error, although it was *this* one's bytes that were lost. Hence one at a time, and none
/// after a failure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SyncState {
    Fine,
    Failed,
}

impl<H: File> FileSegment<H> {
    pub(super) fn new(
        file: H,
        name: Lsn,
        path: PathBuf,
        access: Access,
        place: Arc<dyn Place>,
        growth: Growth,
    ) -> Self {
        let (growth, sync) = (Mutex::new(growth), Mutex::new(SyncState::Fine));
        FileSegment { file, name, path, access, place, growth, sync }
    }

    pub(crate) fn file(&self) -> &H {
        &self.file
    }

    pub(crate) fn error(&self, op: &'static str, source: io::Error) -> Error {
        Error::io(op, source).with_segment(self.name).with_detail(self.path.display().to_string())
    }

    fn refuse(&self, op: &'static str, why: impl Display) -> Error {
        let detail = format!("{}: {why}", self.path.display());
        Error::new(ErrorKind::Denied, op).with_segment(self.name).with_detail(detail)
    }

    pub(crate) fn check_writable(&self, op: &'static str) -> Result<()> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => Err(self.refuse(op, "opened for reading only")),
        }
    }

    /// Whether one call is believed to make a write durable. If not, a sync has to follow.
    pub(crate) fn trusts_one_call(&self) -> bool {
        self.place.trusts_one_call()
    }

    /// Runs a write of `len` bytes. Where there is no space for it, runs it again when the reserve has given up
    /// some.
    pub(crate) fn with_reserve(
        &self,
        len: u64,
        mut write: impl FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            match write() {
                Err(error) if reserve::is_full(&error) && self.place.make_space(len) => {}
                outcome => return outcome,
            }
        }
    }

    fn growth(&self) -> MutexGuard<'_, Growth> {
        self.growth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs something that makes bytes durable: alone, and never after a failure.
    pub(crate) fn syncing(
        &self,
        op: &'static str,
        run: impl FnOnce(&H) -> io::Result<()>,
    ) -> Result<()> {
        let state = self.sync.lock();
        // A panic in a sync says as little about the bytes as an error does.
        let mut state = state.map_err(|_| self.error(op, io::Error::other("a sync panicked")))?;
        if *state == SyncState::Failed {
            return Err(self.error(op, io::Error::other("an earlier sync of this file failed")));
        }
        run(&self.file).map_err(|source| {
            *state = SyncState::Failed;
            self.error(op, source)
        })
    }

    pub(crate) fn write(&self, offset: u64, data: &[u8], mode: WriteMode) -> Result<()> {
        self.check_writable("write")?;
        let at = |error: Error| error.with_offset(offset);
        let Some(end) = offset.checked_add(data.len() as u64) else {
            return Err(at(self.error("write", io::ErrorKind::FileTooLarge.into())));
        };
        let mut growth = self.growth();
        let target = growth.target(end);
        let len = data.len() as u64;
        let write =
            |file: &H, mode| self.with_reserve(len, || whole::write(file, data, offset, mode));
        if mode == WriteMode::Through && target.is_none() && self.trusts_one_call() {
            self.syncing("write through", |file| write(file, mode)).map_err(at)?;
            growth.len = growth.len.max(end);
            return Ok(());
        }
        write(&self.file, WriteMode::Cached).map_err(|source| at(self.error("write", source)))?;
        growth.len = growth.len.max(end);
        if let Some(target) = target {
            self.fill(&mut growth, target)?;
        }
        if mode == WriteMode::Through {
            // The zeros are made durable with the data: only then are the writes that follow
            // free of new blocks and lengths, which is what filling ahead is for.
            self.syncing("write through", File::sync_data).map_err(at)?;
        }
        Ok(())
    }

    /// Makes room for a write that ends at `end`: if it leaves the filled part, what follows is
    /// filled first, and the zeros made durable.
    pub(crate) fn make_room(&self, end: u64) -> Result<()> {
        let mut growth = self.growth();
        let Some(target) = growth.target(end) else { return Ok(()) };
        self.fill(&mut growth, target)?;
        self.syncing("fill", File::sync_data)
    }

    /// The same before a write that is still to come: nobody waits for the zeros to be durable.
    pub(crate) fn fill_ahead(&self, end: u64) -> Result<()> {
        let mut growth = self.growth();
        let Some(target) = growth.target(end) else { return Ok(()) };
        self.fill(&mut growth, target)
    }

    /// Whether a write that ends at `end` has nothing filled ahead of it first.
    #[cfg(all(target_os = "linux", feature = "uring"))]
    pub(crate) fn is_filled(&self, end: u64) -> bool {
        self.growth().target(end).is_none()
    }

    /// The file was written up to `end` through another handle.
    pub(crate) fn grown_to(&self, end: u64) {
        let mut growth = self.growth();
        growth.len = growth.len.max(end);
    }

    /// How far the file was written, zeros included.
    pub(crate) fn filled(&self) -> u64 {
        self.growth().len
    }

    /// Writes zeros behind the data. Where there is no room for them the log goes on without.
    fn fill(&self, growth: &mut Growth, target: u64) -> Result<()> {
        match whole::write_zeros(&self.file, growth.len, target) {
            Ok(()) => growth.len = target,
            Err(error) if whole::is_no_space(&error) => {
                growth.chunk = 0;
                // Some of the zeros may have found room.
                growth.len = self.file.len().map_err(|source| self.error("fill", source))?;
            }
            Err(source) => return Err(self.error("fill", source).with_offset(growth.len)),
        }
        Ok(())
    }

    /// Reads into `spent` if nobody else holds it and it is large enough.
    pub(crate) fn read(&self, offset: u64, len: usize, spent: Bytes) -> Result<Bytes> {
        let error = |source| self.error("read", source).with_offset(offset);
        let left = self.file.len().map_err(error)?.saturating_sub(offset);
        let len = left.min(len as u64) as usize;
        let spent = spent.try_into_mut().ok().filter(|spent| spent.capacity() >= len);
        if spent.is_none() && len > LARGE {
            return self.read_large(offset, len).map_err(error);
        }
        let mut buf = spent.unwrap_or_else(|| BytesMut::zeroed(len));
        buf.resize(len, 0);
        let n = whole::read(&self.file, &mut buf, offset).map_err(error)?;
        buf.truncate(n);
        Ok(buf.freeze())
    }

    /// Reads so much at once that there may be no memory for it: then it is an error, and not the end of the process.
    fn read_large(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut buf = Vec::new();
        buf.try_reserve_exact(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        buf.resize(len, 0);
        let n = whole::read(&self.file, &mut buf, offset)?;
        buf.truncate(n);
        Ok(buf.into())
    }

    pub(crate) fn cut(&self, len: u64) -> Result<()> {
        self.check_writable("truncate")?;
        let mut growth = self.growth();
        let error = |source| self.error("truncate", source).with_offset(len);
        let present = self.file.len().map_err(error)?;
        if len < present {
            self.file.set_len(len).map_err(error)?;
        }
        growth.len = present.min(len);
        Ok(())
    }
}

impl<H: File> Segment for FileSegment<H> {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        Io::ready(self.write(offset, &data, mode))
    }

    fn sync(&self) -> Io<'_, ()> {
        let checked = self.check_writable("sync");
        Io::ready(checked.and_then(|()| self.syncing("sync", File::sync_data)))
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.read_reusing(offset, len, Bytes::new())
    }

    fn read_reusing(&self, offset: u64, len: usize, spent: Bytes) -> Io<'_, Bytes> {
        Io::ready(self.read(offset, len, spent))
    }

    fn len(&self) -> Io<'_, u64> {
        Io::ready(self.file.len().map_err(|source| self.error("read length", source)))
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        Io::ready(self.cut(len))
    }

    fn backing(&self) -> Option<&dyn std::any::Any> {
        self.file.backing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl Place for Nowhere {
        fn trusts_one_call(&self) -> bool {
            true
        }

        fn make_space(&self, _: u64) -> bool {
            false
        }
    }

    #[test]
    fn memory_is_read_into_again_unless_somebody_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bytes");
        let file = crate::os::FileSystem::create_new(&crate::os::RealFs, &path).unwrap();
        let growth = Growth { len: 0, chunk: 0, limit: 0 };
        let segment =
            FileSegment::new(file, Lsn::FIRST, path, Access::Write, Arc::new(Nowhere), growth);
        segment.write(0, b"first second", WriteMode::Cached).unwrap();
        let first = segment.read(0, 5, Bytes::new()).unwrap();
        let held = first.clone();
        let second = segment.read(6, 6, first).unwrap();
        assert_eq!((&held[..], &second[..]), (&b"first"[..], &b"second"[..]));
        let place = second.as_ptr();
        let again = segment.read(1, 4, second).unwrap();
        assert_eq!((&again[..], again.as_ptr()), (&b"irst"[..], place));
        assert_eq!(segment.read(3, 90, again).unwrap(), "st second");
    }

    #[test]
    fn fills_up_to_the_next_multiple_within_the_limit() {
        let growth = Growth { len: 100, chunk: 1000, limit: 2500 };
        assert_eq!(growth.target(100), None);
        assert_eq!(growth.target(101), Some(1000));
        assert_eq!(growth.target(1000), None);
        assert_eq!(growth.target(1001), Some(2000));
        assert_eq!(growth.target(2001), Some(2500));
        assert_eq!(growth.target(2500), None);
        assert_eq!(growth.target(3000), None);
        assert_eq!(growth.target(u64::MAX), None);
        assert_eq!(Growth { chunk: 0, ..growth }.target(101), None);
    }
}
