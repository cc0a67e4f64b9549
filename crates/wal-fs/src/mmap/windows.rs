//! What is mapped of a file: pieces that follow each other.

use std::io;
use std::ops::Range;

use crate::os::Mapping;

/// A piece of a file in memory.
pub(super) struct Window {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) mapping: Box<dyn Mapping>,
}

/// Each window begins where the one before it ends.
#[derive(Default)]
pub(super) struct Windows {
    mapped: Vec<Window>,
    /// A flush failed, and what it left is unknown: none may follow that says `Ok`.
    failed: bool,
}

impl Windows {
    /// Where the last one ends.
    pub(super) fn end(&self) -> Option<u64> {
        self.mapped.last().map(|window| window.end)
    }

    /// Which part of the file the last one is.
    pub(super) fn last(&self) -> Option<Range<u64>> {
        self.mapped.last().map(|window| window.start..window.end)
    }

    /// Adds one, if it follows the last.
    pub(super) fn push(&mut self, window: Window) {
        if self.end().is_none_or(|end| end == window.start) {
            self.mapped.push(window);
        }
    }

    /// Takes out all but the last one. What is taken out was flushed: nobody else will.
    pub(super) fn leave(&mut self) -> io::Result<Vec<Window>> {
        let last = self.mapped.len().saturating_sub(1);
        self.flush_first(last)?;
        Ok(self.mapped.drain(..last).collect())
    }

    /// Takes out all of them.
    pub(super) fn take(&mut self) -> io::Result<Vec<Window>> {
        self.flush()?;
        Ok(std::mem::take(&mut self.mapped))
    }

    /// Gives to the file what was copied into them.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.flush_first(self.mapped.len())
    }

    fn flush_first(&mut self, count: usize) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier flush of this file failed"));
        }
        let flushed = self.mapped[..count].iter().try_for_each(|window| window.mapping.flush());
        self.failed = flushed.is_err();
        flushed
    }

    /// Copies what is written at `offset`, if all of it lies within; `None` if it does not.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> Option<io::Result<()>> {
        let end = offset.checked_add(data.len() as u64)?;
        if let Some(last) = self.mapped.last_mut()
            && last.start <= offset
            && end <= last.end
        {
            return Some(last.mapping.write(data, (offset - last.start) as usize));
        }
        let within = self.mapped.first()?.start <= offset && end <= self.end()?;
        within.then(|| self.write_across(offset, data))
    }

    /// A write that begins before the last one.
    fn write_across(&mut self, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
        for window in &mut self.mapped {
            if offset >= window.end || data.is_empty() {
                continue;
            }
            let left = usize::try_from(window.end - offset).unwrap_or(usize::MAX);
            let (here, behind) = data.split_at(left.min(data.len()));
            window.mapping.write(here, (offset - window.start) as usize)?;
            (offset, data) = (window.end, behind);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Where it was written to, and what.
    type Log = Arc<Mutex<Vec<(u64, Vec<u8>)>>>;

    struct Memory(u64, Log);

    impl Mapping for Memory {
        fn write(&mut self, data: &[u8], at: usize) -> io::Result<()> {
            self.1.lock().unwrap().push((self.0 + at as u64, data.to_vec()));
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            self.1.lock().unwrap().push((self.0, b"flush".to_vec()));
            if FULL.get() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    thread_local! {
        /// Whether no window can be flushed.
        static FULL: Cell<bool> = const { Cell::new(false) };
    }

    fn windows(bounds: &[(u64, u64)]) -> (Windows, Log) {
        let (mut windows, log) = (Windows::default(), Log::default());
        for &(start, end) in bounds {
            windows.push(Window { start, end, mapping: Box::new(Memory(start, log.clone())) });
        }
        (windows, log)
    }

    #[test]
    fn a_write_goes_where_it_lies_and_across_the_bounds() {
        let (mut windows, log) = windows(&[(10, 14), (14, 16), (16, 30)]);
        windows.write(20, b"ab").unwrap().unwrap();
        windows.write(12, b"cd").unwrap().unwrap();
        windows.write(13, b"efghij").unwrap().unwrap();
        let expected: [(u64, &[u8]); 5] =
            [(20, b"ab"), (12, b"cd"), (13, b"e"), (14, b"fg"), (16, b"hij")];
        assert_eq!(*log.lock().unwrap(), expected.map(|(at, bytes)| (at, bytes.to_vec())));
    }

    #[test]
    fn what_does_not_lie_within_is_not_written_at_all() {
        let (mut some, log) = windows(&[(10, 14), (14, 16)]);
        for (offset, len) in [(9, 2), (15, 2), (16, 1), (0, 1), (u64::MAX, 2)] {
            assert!(some.write(offset, &vec![0; len]).is_none(), "{offset}+{len}");
        }
        assert!(log.lock().unwrap().is_empty());
        assert!(Windows::default().write(0, b"x").is_none());
    }

    #[test]
    fn only_what_follows_is_added() {
        let (some, _) = windows(&[(10, 20), (30, 40), (20, 24)]);
        assert_eq!((some.end(), some.last()), (Some(24), Some(20..24)));
    }

    /// A sync flushes what it finds; what it does not find any more must have been flushed.
    #[test]
    fn what_is_taken_out_was_flushed() {
        let (mut some, log) = windows(&[(10, 20), (20, 24)]);
        let left: Vec<_> = some.leave().unwrap().iter().map(|window| window.start).collect();
        assert_eq!((left, some.end()), (vec![10], Some(24)));
        assert_eq!((some.take().unwrap().len(), some.end()), (1, None));
        assert_eq!(*log.lock().unwrap(), [10, 20].map(|at| (at, b"flush".to_vec())));
    }

    #[test]
    fn a_flush_that_failed_is_not_tried_again() {
        let (mut some, log) = windows(&[(10, 20), (20, 24)]);
        FULL.set(true);
        assert_eq!(some.leave().err().unwrap().kind(), io::ErrorKind::StorageFull);
        FULL.set(false);
        assert!(some.leave().is_err() && some.take().is_err() && some.flush().is_err());
        assert_eq!(*log.lock().unwrap(), [(10, b"flush".to_vec())]);
        assert_eq!(some.end(), Some(24));
    }
}
