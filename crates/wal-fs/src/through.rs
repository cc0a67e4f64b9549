//! Write-through on Linux: one `pwritev2` with `RWF_DSYNC` in place of a write and a sync.

use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};

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
