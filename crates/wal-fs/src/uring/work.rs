//! What one operation asks of the kernel, request by request.
//!
//! Plain arithmetic on results: no ring is needed to test it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use bytes::Bytes;
use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::{Fd, FsyncFlags};
use rustix::io::{Errno, ReadWriteFlags};

/// The longest single request, as the kernel takes no 2 GiB at once.
const REQUEST_BYTES: usize = 1 << 30;

/// A write that is to be durable, or a sync, and how far it has come.
pub(super) struct Work {
    /// What is left to be written.
    data: Bytes,
    offset: u64,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Written and durable in one request.
    Through,
    /// Written; a sync follows. For file systems that know no write-through, or are not trusted with it.
    Write,
    Sync,
}

impl Work {
    /// Writes all of `data`, which is not empty, and makes it durable.
    pub(super) fn write_through(data: Bytes, offset: u64) -> Self {
        debug_assert!(!data.is_empty());
        Work { data, offset, step: Step::Through }
    }

    /// The same in two requests, for file systems on which one is not believed.
    pub(super) fn write_and_sync(data: Bytes, offset: u64) -> Self {
        Work { step: Step::Write, ..Work::write_through(data, offset) }
    }

    /// Makes durable what was written to the file before.
    pub(super) fn sync() -> Self {
        Work { data: Bytes::new(), offset: 0, step: Step::Sync }
    }

    /// The next request. It refers to the memory of the data, which is the caller's to keep.
    pub(super) fn request(&self, file: BorrowedFd<'_>) -> Entry {
        let fd = Fd(file.as_raw_fd());
        if self.step == Step::Sync {
            return opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build();
        }
        let len = self.data.len().min(REQUEST_BYTES) as u32;
        opcode::Write::new(fd, self.data.as_ptr(), len)
            .offset(self.offset)
            .rw_flags(self.write_flags().bits().cast_signed())
            .build()
    }

    fn write_flags(&self) -> ReadWriteFlags {
        match self.step {
            Step::Through => ReadWriteFlags::DSYNC,
            Step::Write | Step::Sync => ReadWriteFlags::empty(),
        }
    }

    /// Takes account of a request's result. `None`: there is another one to make.
    ///
    /// An interrupted request is repeated, as the standard library repeats an interrupted call: it says
    /// that the wait was cut short, and not that a write failed. Nothing else is. In particular not what
    /// the kernel "may" be asked again (`EAGAIN`): it may be how a failed write-back is told, once.
    pub(super) fn completed(&mut self, result: i32) -> Option<io::Result<()>> {
        let written = usize::try_from(result).map_err(|_| {
            let error = io::Error::from_raw_os_error(result.saturating_neg());
            (Errno::from_io_error(&error), error)
        });
        match (self.step, written) {
            (_, Err((Some(Errno::INTR), _))) => None,
            // "Not supported", as file systems without write-through say it. Nothing was written.
            (Step::Through, Err((Some(Errno::OPNOTSUPP | Errno::INVAL), _))) => {
                self.step = Step::Write;
                None
            }
            (_, Err((_, error))) => Some(Err(error)),
            (Step::Sync, Ok(_)) => Some(Ok(())),
            (_, Ok(0)) => Some(Err(io::ErrorKind::WriteZero.into())),
            (step, Ok(written)) => {
                self.offset += written as u64;
                self.data = self.data.split_off(written.min(self.data.len()));
                match step {
                    _ if !self.data.is_empty() => None,
                    Step::Through => Some(Ok(())),
                    Step::Write | Step::Sync => {
                        self.step = Step::Sync;
                        None
                    }
                }
            }
        }
    }

    /// Gives the memory of the data away for good: nobody knows whether the kernel still reads it.
    pub(super) fn leak(&self) {
        std::mem::forget(self.data.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EIO: i32 = -5;
    const EINTR: i32 = -4;
    const EAGAIN: i32 = -11;
    const EINVAL: i32 = -22;
    const ENOSPC: i32 = -28;
    const EOPNOTSUPP: i32 = -95;

    fn write() -> Work {
        Work::write_through(Bytes::from_static(b"0123456789"), 100)
    }

    fn left(work: &Work) -> (u64, &[u8], Step) {
        (work.offset, &work.data, work.step)
    }

    #[test]
    fn a_short_write_goes_on_behind_what_was_written() {
        let mut work = write();
        assert!(work.completed(3).is_none());
        assert_eq!(left(&work), (103, &b"3456789"[..], Step::Through));
        assert!(work.completed(EINTR).is_none());
        assert!(work.completed(6).is_none());
        assert_eq!(left(&work), (109, &b"9"[..], Step::Through));
        work.completed(1).unwrap().unwrap();
    }

    /// No power can be cut under a ring: nothing but this shows that a durable write is one.
    #[test]
    fn what_is_to_be_durable_is_asked_for_as_such() {
        let mut work = write();
        assert_eq!(work.write_flags(), ReadWriteFlags::DSYNC);
        assert!(work.completed(3).is_none());
        assert_eq!(work.write_flags(), ReadWriteFlags::DSYNC);
        assert!(work.completed(EOPNOTSUPP).is_none());
        assert_eq!(work.write_flags(), ReadWriteFlags::empty());
        assert!(work.completed(7).is_none(), "no sync follows");
        let file = tempfile::tempfile().unwrap();
        let opcode = |work: &Work| work.request(std::os::fd::AsFd::as_fd(&file)).get_opcode();
        assert_eq!(opcode(&work), u32::from(opcode::Fsync::CODE));
        assert_eq!(opcode(&Work::sync()), u32::from(opcode::Fsync::CODE));
        assert_eq!(opcode(&write()), u32::from(opcode::Write::CODE));
    }

    #[test]
    fn a_write_that_makes_no_progress_is_an_error() {
        let error = write().completed(0).unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }

    #[test]
    fn without_write_through_a_sync_follows_the_write() {
        for unknown in [EINVAL, EOPNOTSUPP] {
            let mut work = write();
            assert!(work.completed(unknown).is_none());
            assert_eq!(left(&work), (100, &b"0123456789"[..], Step::Write));
            assert!(work.completed(4).is_none());
            assert!(work.completed(6).is_none());
            assert_eq!(left(&work).2, Step::Sync);
            assert!(work.completed(EINTR).is_none());
            work.completed(0).unwrap().unwrap();
        }
    }

    #[test]
    fn where_one_request_is_not_believed_a_sync_follows_at_once() {
        let mut work = Work::write_and_sync(Bytes::from_static(b"0123456789"), 100);
        assert_eq!(work.write_flags(), ReadWriteFlags::empty());
        assert!(work.completed(4).is_none());
        assert_eq!(left(&work), (104, &b"456789"[..], Step::Write));
        assert!(work.completed(6).is_none(), "no sync follows");
        assert_eq!(left(&work).2, Step::Sync);
        work.completed(0).unwrap().unwrap();
    }

    #[test]
    fn the_arguments_of_a_plain_write_are_not_doubted_twice() {
        let mut work = write();
        assert!(work.completed(EINVAL).is_none());
        let error = work.completed(EINVAL).unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn nothing_but_an_interruption_is_asked_again() {
        for error in [EIO, EAGAIN, ENOSPC, i32::MIN] {
            write().completed(error).unwrap().unwrap_err();
            Work::sync().completed(error).unwrap().unwrap_err();
        }
        for unknown in [EINVAL, EOPNOTSUPP] {
            Work::sync().completed(unknown).unwrap().unwrap_err();
        }
        let mut sync = Work::sync();
        assert!(sync.completed(EINTR).is_none());
        sync.completed(0).unwrap().unwrap();
    }
}
