//! What Linux has beyond plain files: write-through, one `pwritev2` with `RWF_DSYNC` in place of a write
//! and a sync; writes past the cache, `O_DIRECT`; write-back that nobody waits for.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Advice, AtFlags, OFlags, StatxFlags, fadvise, statx};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};

/// Remembers, for one file, whether its file system knows the flag.
#[derive(Debug, Default)]
pub(crate) struct Through {
    unknown: AtomicBool,
}

impl Through {
    /// Writes and makes durable; `None` if this file system or kernel cannot, and nothing happened.
    ///
    /// `EINVAL` is taken for "cannot" as well, as some file systems answer so; if there is something
    /// else wrong with the arguments, the plain write that follows will say it.
    pub(crate) fn write(&self, file: &File, buf: &[u8], at: u64) -> Option<io::Result<usize>> {
        if self.unknown.load(Ordering::Relaxed) {
            return None;
        }
        match pwritev2(file, &[IoSlice::new(buf)], at, ReadWriteFlags::DSYNC) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                self.unknown.store(true, Ordering::Relaxed);
                None
            }
            outcome => Some(outcome.map_err(io::Error::from)),
        }
    }
}

/// Begins to write a part of the file to the device, and does not wait for the device to do so.
///
/// The advice that the bytes are not needed in the cache has the kernel write those that are dirty, and take
/// note of no error. It then drops what is clean by then: of bytes that were just written that is little, but
/// it is all of those that were synced.
pub(crate) fn begin_write_back(file: &File, at: u64, len: u64) {
    if let Some(len) = NonZeroU64::new(len) {
        // Advice that is not taken costs nothing but time.
        let _ = fadvise(file, at, Some(len), Advice::DontNeed);
    }
}

/// Opens a file for writing past the cache, and says in which blocks, if the kernel tells (it does
/// since Linux 6.1).
pub(crate) fn open_direct(path: &Path) -> io::Result<(File, Option<u32>)> {
    let flags = OFlags::DIRECT.bits().cast_signed();
    let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::INVAL) => io::Error::new(io::ErrorKind::Unsupported, error),
        _ => error,
    })?;
    let told = statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok();
    let told = told.filter(|s| s.stx_mask & StatxFlags::DIOALIGN.bits() != 0);
    match told.map(|stat| stat.stx_dio_offset_align) {
        // The flag was taken, and is of no use with this file.
        Some(0) => Err(io::ErrorKind::Unsupported.into()),
        block => Ok((file, block)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn writes_or_says_that_it_cannot() {
        let file = tempfile::tempfile().unwrap();
        let through = Through::default();
        match through.write(&file, b"bytes", 3) {
            Some(written) => {
                assert_eq!(written.unwrap(), 5);
                let mut bytes = [0; 8];
                file.read_exact_at(&mut bytes, 0).unwrap();
                assert_eq!(&bytes, b"\0\0\0bytes");
            }
            None => assert!(through.write(&file, b"bytes", 3).is_none()),
        }
        through.unknown.store(true, Ordering::Relaxed);
        assert!(through.write(&file, b"bytes", 3).is_none());
    }
}
