//! One segment in one file, of which the part that is being written is mapped into memory.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use wal_core::{Clock, Error, Io, Recent, Result, Segment, SystemClock, WriteMode};

use super::helper::Helper;
use super::windows::{Window, Windows};
use crate::file::FileSegment;
use crate::layer::forward;
use crate::os::File;

/// No event tells of a copy into mapped memory. So the file is touched, for readers that wait: no sooner than after so
/// long. Such a reader looks again after as long by itself.
const TOUCH_AFTER: Duration = Duration::from_millis(20);

/// An open segment file.
pub(super) struct MmapSegment<H> {
    plain: FileSegment<H>,
    clock: SystemClock,
    view: Mutex<View>,
    /// The next window is no longer being prepared.
    prepared: Condvar,
    helper: Arc<Helper>,
    own: Weak<Self>,
}

/// What is mapped.
#[derive(Default)]
struct View {
    windows: Windows,
    next: Next,
    /// Windows end at multiples of this. 0: there are none.
    step: u64,
    /// Where the last write ended.
    end: u64,
    /// Up to here a sync has covered everything, or the system was asked to write it to the device.
    begun: u64,
    /// When the file was touched last.
    touched: Option<Duration>,
    recent: Recent,
}

/// The window behind the last one.
#[derive(Default)]
enum Next {
    #[default]
    None,
    Asked,
    Ready(Window),
    /// There is none: the segment is full, or the disk.
    Missing,
    Failed(Error),
}

impl<H: File> MmapSegment<H> {
    /// A segment without a window: one that was opened, to be read or mended.
    pub(super) fn unmapped(plain: FileSegment<H>, helper: Arc<Helper>) -> Arc<Self> {
        Self::new(plain, helper, 0)
    }

    /// A new segment, whose first window begins behind its header.
    pub(super) fn mapped(
        plain: FileSegment<H>,
        helper: Arc<Helper>,
        header_len: u64,
        step: u64,
    ) -> Result<Arc<Self>> {
        let segment = Self::new(plain, helper, step);
        let mut view = segment.view();
        view.begun = header_len;
        segment.map_anew(&mut view, header_len)?;
        drop(view);
        Ok(segment)
    }

    fn new(plain: FileSegment<H>, helper: Arc<Helper>, step: u64) -> Arc<Self> {
        Arc::new_cyclic(|own| MmapSegment {
            plain,
            clock: SystemClock::new(),
            view: Mutex::new(View { step, ..View::default() }),
            prepared: Condvar::new(),
            helper,
            own: own.clone(),
        })
    }

    fn plain(&self) -> &FileSegment<H> {
        &self.plain
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The view while nobody prepares a window: nothing but its holder touches the file's length.
    fn settled<'a>(&'a self, mut view: MutexGuard<'a, View>) -> MutexGuard<'a, View> {
        while matches!(view.next, Next::Asked) {
            view = self.prepared.wait(view).unwrap_or_else(PoisonError::into_inner);
        }
        view
    }

    /// Maps nothing any more. Later writes are ordinary calls.
    pub(super) fn unmap(&self) -> Result<()> {
        let mut view = self.settled(self.view());
        // If that fails, the windows stay as they are, and no sync says `Ok` any more.
        drop(view.windows.take().map_err(|source| self.plain.error("unmap", source))?);
        *view = View::default();
        Ok(())
    }

    /// A write within the windows is a copy in memory. One that leaves them is an ordinary write, which
    /// fills the file ahead; then the file is mapped anew from its end on.
    fn write(&self, offset: u64, data: &[u8], mode: WriteMode) -> Result<()> {
        self.plain.check_writable("write")?;
        let end = offset.saturating_add(data.len() as u64);
        let mut view = self.view();
        if view.windows.end().is_some_and(|mapped| mapped < end) {
            view = self.take_next(view)?;
        }
        let mut untold = false;
        match view.windows.write(offset, data) {
            Some(copied) => {
                copied.map_err(|source| self.plain.error("write", source).with_offset(offset))?;
                untold = view.is_to_be_told(&self.clock);
            }
            None => {
                self.plain.write(offset, data, WriteMode::Cached)?;
                if view.windows.end().is_none_or(|mapped| mapped < end) {
                    self.map_anew(&mut view, end)?;
                }
            }
        }
        view.end = end;
        let moving = view.moves_on().map_err(|source| self.plain.error("write", source))?;
        drop(view);
        if untold {
            self.plain.file().touch();
        }
        if let Some(moving) = moving {
            self.move_on(moving);
        }
        match mode {
            WriteMode::Cached => Ok(()),
            WriteMode::Through => {
                self.make_durable("write through").map_err(|e| e.with_offset(offset))
            }
        }
    }

    /// Adds the next window, if one was asked for.
    fn take_next<'a>(&'a self, view: MutexGuard<'a, View>) -> Result<MutexGuard<'a, View>> {
        let mut view = self.settled(view);
        match std::mem::take(&mut view.next) {
            Next::Ready(window) => view.windows.push(window),
            Next::Failed(error) => return Err(error),
            Next::None | Next::Asked | Next::Missing => {}
        }
        Ok(view)
    }

    /// Has the next window prepared, and those that were left unmapped and written back.
    fn move_on(&self, Moving { left, unsynced, next }: Moving) {
        let segment = self.own.upgrade().expect("the caller has it");
        self.helper.hand(move || {
            segment.prepare(next, left);
            // Not sooner: of a page that is mapped, every processor would be told that it is written.
            if !unsynced.is_empty() {
                let bytes = unsynced.end - unsynced.start;
                segment.plain.file().begin_write_back(unsynced.start, bytes);
            }
        });
    }

    /// Maps what follows `start`, beside writes before it, and unmaps what was left.
    fn prepare(&self, start: u64, left: Vec<Window>) {
        /// Tells the thread that waits, also after a panic.
        struct Prepared<'a, H: File>(&'a MmapSegment<H>, Next);
        impl<H: File> Drop for Prepared<'_, H> {
            fn drop(&mut self) {
                self.0.view().next = std::mem::take(&mut self.1);
                self.0.prepared.notify_all();
            }
        }
        let panicked = self.plain.error("map", io::Error::other("the helper panicked"));
        let mut prepared = Prepared(self, Next::Failed(panicked));
        let step = self.view().step;
        let filled = self.plain.fill_ahead(start + 1);
        prepared.1 = match filled.and_then(|()| self.map(start, step)) {
            Ok(window) => window.map_or(Next::Missing, Next::Ready),
            Err(error) => Next::Failed(error),
        };
        // Some systems cut no file of which anything is mapped, and who cuts waits for `prepared` alone.
        drop(left);
    }

    /// Maps the rest of the file's filled part that lies before the next multiple of `step`.
    fn map(&self, start: u64, step: u64) -> Result<Option<Window>> {
        let end = (start + 1).checked_next_multiple_of(step).unwrap_or(start);
        let end = end.min(self.plain.filled());
        if end <= start {
            return Ok(None);
        }
        let mapping = self.plain.file().map(start, (end - start) as usize);
        let mapping =
            mapping.map_err(|source| self.plain.error("map", source).with_offset(start))?;
        Ok(Some(Window { start, end, mapping }))
    }

    /// Begins with new windows behind a write that ended at `end`. Only forward: who writes over earlier
    /// bytes will go on at the end.
    fn map_anew(&self, view: &mut View, end: u64) -> Result<()> {
        if view.step == 0 {
            return Ok(());
        }
        view.windows.take().map_err(|source| self.plain.error("map", source).with_offset(end))?;
        if let Some(window) = self.map(end, view.step)? {
            view.windows.push(window);
        }
        Ok(())
    }

    /// First the lock of syncs, then that of the view; nobody takes them the other way round.
    fn make_durable(&self, op: &'static str) -> Result<()> {
        self.plain.check_writable(op)?;
        self.plain.syncing(op, |file| {
            let end = {
                let mut view = self.view();
                view.windows.flush()?;
                view.end
            };
            file.sync_data()?;
            let mut view = self.view();
            view.begun = view.begun.max(end);
            Ok(())
        })
    }

    fn cut(&self, len: u64) -> Result<()> {
        self.plain.check_writable("truncate")?;
        let mut view = self.settled(self.view());
        view.next = Next::None;
        // A mapping must not reach behind the end of its file.
        if view.windows.end().is_some_and(|end| end > len) {
            view.windows.take().map_err(|source| self.plain.error("truncate", source))?;
        }
        (view.end, view.begun) = (view.end.min(len), view.begun.min(len));
        self.plain.cut(len)
    }
}

/// What the helper is to do.
struct Moving {
    /// Windows that nobody writes to any more.
    left: Vec<Window>,
    /// What lies in them and was not synced.
    unsynced: Range<u64>,
    /// Where the next window begins.
    next: u64,
}

impl View {
    /// Whether the file is to be touched after a copy; notes that it is.
    fn is_to_be_told(&mut self, clock: &SystemClock) -> bool {
        let now = clock.monotonic_since(&mut self.recent);
        let is_due = self.touched.is_none_or(|touched| now.saturating_sub(touched) >= TOUCH_AFTER);
        if is_due {
            self.touched = Some(now);
        }
        is_due
    }

    /// Whether it is time for the next window, as the last write ended in the second half of the last one.
    fn moves_on(&mut self) -> io::Result<Option<Moving>> {
        let Some(last) = self.windows.last() else { return Ok(None) };
        if self.end < last.start.midpoint(last.end) || !matches!(self.next, Next::None) {
            return Ok(None);
        }
        let left = self.windows.leave()?;
        self.next = Next::Asked;
        let unsynced = self.begun..last.start;
        self.begun = self.begun.max(last.start);
        Ok(Some(Moving { left, unsynced, next: last.end }))
    }
}

#[deny(clippy::missing_trait_methods)]
impl<H: File> Segment for MmapSegment<H> {
    forward!(plain: read_at, read_reusing, len, backing);

    fn write_at(&self, offset: u64, data: Bytes, mode: WriteMode) -> Io<'_, ()> {
        Io::ready(self.write(offset, &data, mode))
    }

    fn sync(&self) -> Io<'_, ()> {
        Io::ready(self.make_durable("sync"))
    }

    fn truncate(&self, len: u64) -> Io<'_, ()> {
        Io::ready(self.cut(len))
    }
}
