//! One segment in one file, whose syncs and durable writes are operations of a ring.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use bytes::Bytes;
use wal_core::{Error, Io, Result, Segment, WriteMode};

use super::exclusive::{EarlierFailure, Exclusive, Kind, Permit};
use super::operation::Target;
use super::ring::Ring;
use super::work::Work;
use crate::file::FileSegment;
use crate::layer::forward;
use crate::os::RealFile;

/// An open segment file.
pub(super) struct UringSegment {
    file: Arc<SharedFile>,
    ring: Arc<Ring>,
}

/// What an operation keeps alive until it is over.
pub(super) struct SharedFile {
    plain: FileSegment<RealFile>,
    pub(super) exclusive: Exclusive,
}

impl Target for SharedFile {
    fn file(&self) -> BorrowedFd<'_> {
        self.plain.file().as_fd()
    }

    fn ended(&self, fine: bool) {
        self.exclusive.release(fine);
    }
}

impl UringSegment {
    pub(super) fn new(plain: FileSegment<RealFile>, ring: Arc<Ring>) -> Self {
        UringSegment { file: Arc::new(SharedFile { plain, exclusive: Exclusive::default() }), ring }
    }

    pub(super) fn file(&self) -> &Arc<SharedFile> {
        &self.file
    }

    fn plain(&self) -> &FileSegment<RealFile> {
        &self.file.plain
    }

    async fn acquire(&self, op: &'static str, kind: Kind) -> Result<Permit<'_>> {
        self.file.exclusive.acquire(kind).await.map_err(|EarlierFailure| {
            self.plain().error(op, io::Error::other("an earlier sync of this file failed"))
        })
    }

    /// Hands an operation to the ring. When it ends, the ring gives back the permit.
    async fn run(&self, op: &'static str, permit: Permit<'_>, work: Work) -> Result<()> {
        let outcome = self.ring.run(self.file.clone(), work);
        permit.pass_on();
        outcome.await.map_err(|source| self.plain().error(op, source))
    }

    /// One request where the file was filled before, and where it was not, as in `FileSegment`: data and
    /// zeros through the cache, and a sync for both.
    async fn write_through(&self, offset: u64, data: Bytes) -> Result<()> {
        const OP: &str = "write through";
        let at = |error: Error| error.with_offset(offset);
        let permit = self.acquire(OP, Kind::Write).await.map_err(at)?;
        let work = match offset.checked_add(data.len() as u64) {
            Some(end) if self.plain().is_filled(end) && !data.is_empty() => {
                // Also if the write is given up half-way: what is filled later lies behind it.
                self.plain().grown_to(end);
                match self.plain().trusts_one_call() {
                    true => Work::write_through(data, offset),
                    false => Work::write_and_sync(data, offset),
                }
            }
            _ => match self.plain().write(offset, &data, WriteMode::Cached) {
                Ok(()) => Work::sync(),
                Err(error) => {
                    permit.release();
                    return Err(error);
                }
            },
        };
        self.run(OP, permit, work).await.map_err(at)
    }

    async fn make_durable(&self) -> Result<()> {
        let permit = self.acquire("sync", Kind::Sync).await?;
        self.run("sync", permit, Work::sync()).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl Segment for UringSegment {
    forward!(plain: read_at, read_reusing, len, backing);

    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        if let Err(error) = self.plain().check_writable("write") {
            return Io::ready(Err(error));
        }
        match mode {
            WriteMode::Through => Io::future(self.write_through(offset, data)),
            // A write that somebody gave up would come in between.
            WriteMode::Cached if self.file.exclusive.held_for() == Some(Kind::Write) => {
                Io::future(async move {
                    self.file.exclusive.without_write().await;
                    self.plain().write(offset, &data, mode)
                })
            }
            WriteMode::Cached => Io::ready(self.plain().write(offset, &data, mode)),
        }
    }

    fn sync(&self) -> Io<'_, ()> {
        match self.plain().check_writable("sync") {
            Ok(()) => Io::future(self.make_durable()),
            Err(error) => Io::ready(Err(error)),
        }
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        if self.file.exclusive.held_for().is_none() {
            return Io::ready(self.plain().cut(len));
        }
        Io::future(async move {
            self.file.exclusive.free().await;
            self.plain().cut(len)
        })
    }
}
