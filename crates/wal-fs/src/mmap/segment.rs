//! One segment in one file, of which the part that is being written is mapped into memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use wal_core::{Io, Result, Segment, WriteMode};

use crate::segment::FileSegment;
use crate::{File, Mapping};

/// An open segment file.
pub(super) struct MmapSegment<H> {
    plain: FileSegment<H>,
    view: Mutex<View>,
}

/// What is mapped.
#[derive(Default)]
struct View {
    window: Option<Window>,
    /// Where windows end: at multiples of this. 0: there are none.
    step: u64,
}

struct Window {
    start: u64,
    end: u64,
    mapping: Box<dyn Mapping>,
}

impl<H: File> MmapSegment<H> {
    /// A segment without a window: one that was opened, to be read or mended.
    pub(super) fn plain(plain: FileSegment<H>) -> Self {
        MmapSegment { plain, view: Mutex::default() }
    }

    /// A new segment, whose first window begins behind its header.
    pub(super) fn mapped(plain: FileSegment<H>, header_len: u64, step: u64) -> Result<Self> {
        let segment = MmapSegment { plain, view: Mutex::new(View { window: None, step }) };
        segment.advance(&mut segment.view(), header_len)?;
        Ok(segment)
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Maps nothing any more. Whoever goes on writing does so by ordinary calls.
    pub(super) fn unmap(&self) {
        *self.view() = View::default();
    }

    /// A write within the window is a copy in memory. One that leaves it is an ordinary write, which
    /// fills the file ahead; then the window moves to what was filled.
    fn write(&self, offset: u64, data: &[u8], mode: WriteMode) -> Result<()> {
        self.plain.check_writable("write")?;
        let mut view = self.view();
        match view.window.as_mut().and_then(|window| window.place(offset, data.len())) {
            Some((mapping, at)) => {
                let copied = mapping.write(data, at);
                copied.map_err(|source| self.plain.error("write", source).offset(offset))?;
            }
            None => {
                self.plain.write(offset, data, WriteMode::Cached)?;
                self.advance(&mut view, offset + data.len() as u64)?;
            }
        }
        drop(view);
        match mode {
            WriteMode::Cached => Ok(()),
            WriteMode::Through => self.make_durable("write through").map_err(|e| e.offset(offset)),
        }
    }

    /// Moves the window behind a write that ended at `end`. Only forward: who writes over earlier
    /// bytes will go on at the end.
    fn advance(&self, view: &mut View, end: u64) -> Result<()> {
        if view.step == 0 || view.window.as_ref().is_some_and(|window| end <= window.end) {
            return Ok(());
        }
        let error = |source| self.plain.error("map", source).offset(end);
        if let Some(window) = view.window.take() {
            window.mapping.flush().map_err(error)?;
        }
        let limit = end.checked_next_multiple_of(view.step).unwrap_or(end);
        let limit = limit.min(self.plain.filled());
        if limit > end {
            let mapping = self.plain.file().map(end, (limit - end) as usize).map_err(error)?;
            view.window = Some(Window { start: end, end: limit, mapping });
        }
        Ok(())
    }

    /// Locks the view during a sync; nothing syncs while it has locked the view.
    fn make_durable(&self, op: &'static str) -> Result<()> {
        self.plain.check_writable(op)?;
        self.plain.syncing(op, |file| {
            if let Some(window) = &self.view().window {
                window.mapping.flush()?;
            }
            file.sync_data()
        })
    }

    fn cut(&self, len: u64) -> Result<()> {
        self.plain.check_writable("truncate")?;
        let mut view = self.view();
        // A mapping must not reach behind the end of its file.
        if let Some(window) = view.window.take_if(|window| window.end > len) {
            let flushed = window.mapping.flush();
            flushed.map_err(|source| self.plain.error("truncate", source))?;
        }
        self.plain.cut(len)
    }
}

impl Window {
    /// The mapping, and the place in it, of a range of the file that lies within.
    fn place(&mut self, offset: u64, len: usize) -> Option<(&mut Box<dyn Mapping>, usize)> {
        let end = offset.checked_add(len as u64)?;
        let within = self.start <= offset && end <= self.end;
        within.then(|| (&mut self.mapping, (offset - self.start) as usize))
    }
}

impl<H: File> Segment for MmapSegment<H> {
    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        Io::ready(self.write(offset, &data, mode))
    }

    fn sync(&self) -> Io<'_, ()> {
        Io::ready(self.make_durable("sync"))
    }

    fn read_at(&self, offset: u64, len: usize) -> Io<'_, Bytes> {
        self.plain.read_at(offset, len)
    }

    fn read_reusing(&self, offset: u64, len: usize, spent: Bytes) -> Io<'_, Bytes> {
        self.plain.read_reusing(offset, len, spent)
    }

    fn len(&self) -> Io<'_, u64> {
        self.plain.len()
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        Io::ready(self.cut(len))
    }
}
