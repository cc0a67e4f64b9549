//! One segment in one file, written past the cache.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use wal_core::{Io, Result, Segment, WriteMode};

use super::blocks::Blocks;
use crate::file::FileSegment;
use crate::layer::forward;
use crate::os::{File, whole};

/// The longest single write. It bounds the aligned memory that a segment keeps.
const CALL_BYTES: usize = 4 << 20;

/// An open segment file with two handles: a direct one, and a plain one for everything else.
pub(super) struct DirectSegment<H> {
    plain: FileSegment<H>,
    writing: Mutex<Writing<H>>,
    block: usize,
}

struct Writing<H> {
    /// `None` if the segment was opened for reading.
    file: Option<H>,
    blocks: Blocks,
    /// Something waits for a sync.
    unsynced: bool,
    /// A write failed: what it left is unknown.
    failed: bool,
}

impl<H: File> DirectSegment<H> {
    /// `data_end`: where the data ends. What lies behind need not be kept.
    pub(super) fn new(
        plain: FileSegment<H>,
        file: Option<H>,
        block: u32,
        data_end: u64,
        unsynced: bool,
    ) -> Self {
        let block = block as usize;
        let blocks = Blocks::new(block, data_end);
        let writing = Mutex::new(Writing { file, blocks, unsynced, failed: false });
        DirectSegment { plain, writing, block }
    }

    fn plain(&self) -> &FileSegment<H> {
        &self.plain
    }

    fn writing(&self) -> MutexGuard<'_, Writing<H>> {
        // A panic in a write leaves it marked as failed.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse_after_failure(&self, op: &'static str, writing: &Writing<H>) -> Result<()> {
        if !writing.failed {
            return Ok(());
        }
        Err(self.plain.error(op, io::Error::other("an earlier write to this file failed")))
    }

    fn write(&self, mut offset: u64, data: &[u8], mode: WriteMode) -> Result<()> {
        self.plain.check_writable("write")?;
        let end = offset.checked_add(data.len() as u64);
        if end.and_then(|end| end.checked_next_multiple_of(self.block as u64)).is_none() {
            let error = self.plain.error("write", io::ErrorKind::FileTooLarge.into());
            return Err(error.with_offset(offset));
        }
        let mut writing = self.writing();
        self.refuse_after_failure("write", &writing)?;
        writing.failed = true;
        for piece in data.chunks(CALL_BYTES) {
            self.write_piece(&mut writing, offset, piece, mode)
                .map_err(|e| e.with_offset(offset))?;
            offset += piece.len() as u64;
        }
        writing.failed = false;
        Ok(())
    }

    fn write_piece(
        &self,
        writing: &mut Writing<H>,
        offset: u64,
        data: &[u8],
        mode: WriteMode,
    ) -> Result<()> {
        let Writing { file, blocks, unsynced, .. } = writing;
        let file = file.as_ref().expect("a writable segment has a direct handle");
        let end = offset + data.len() as u64;
        self.plain.make_room(end.next_multiple_of(self.block as u64))?;
        let read = |buf: &mut [u8], at| whole::read(self.plain.file(), buf, at);
        let (at, bytes) =
            blocks.lay(offset, data, read).map_err(|e| self.plain.error("read block", e))?;
        let len = bytes.len() as u64;
        let write = |mode| {
            let write = || whole::write_blocks(file, bytes, at, self.block, mode);
            self.plain.with_reserve(len, write)
        };
        match mode {
            WriteMode::Through if self.plain.trusts_one_call() => {
                self.plain.syncing("write through", |_| write(WriteMode::Through))?;
            }
            WriteMode::Through => self.plain.syncing("write through", |plain| {
                write(WriteMode::Cached)?;
                plain.sync_data()
            })?,
            WriteMode::Cached => {
                write(WriteMode::Cached).map_err(|e| self.plain.error("write", e))?;
            }
        }
        self.plain.grown_to(at + bytes.len() as u64);
        *unsynced |= mode == WriteMode::Cached;
        blocks.trim();
        Ok(())
    }

    fn make_durable(&self) -> Result<()> {
        self.plain.check_writable("sync")?;
        let unsynced = {
            let mut writing = self.writing();
            self.refuse_after_failure("sync", &writing)?;
            std::mem::take(&mut writing.unsynced)
        };
        // Asked for also if there is nothing to do: a sync that failed must not be followed by one
        // that says `Ok`.
        self.plain.syncing("sync", |file| if unsynced { file.sync_data() } else { Ok(()) })
    }

    fn cut(&self, len: u64) -> Result<()> {
        self.plain.check_writable("truncate")?;
        let mut writing = self.writing();
        writing.blocks.cut(len);
        writing.unsynced = true;
        self.plain.cut(len)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<H: File> Segment for DirectSegment<H> {
    forward!(plain: read_at, read_reusing, len, backing);

    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        Io::ready(self.write(offset, &data, mode))
    }

    fn sync(&self) -> Io<'_, ()> {
        Io::ready(self.make_durable())
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        Io::ready(self.cut(len))
    }
}
