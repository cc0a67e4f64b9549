//! Whole reads and writes out of calls that may be short or interrupted.

use std::io;

use wal_core::WriteMode;

use super::fs::File;

static ZEROS: [u8; 128 << 10] = [0; 128 << 10];

/// Writes all of `data`.
#[inline]
pub(crate) fn write(file: &impl File, data: &[u8], offset: u64, mode: WriteMode) -> io::Result<()> {
    write_all(file, data, offset, mode, |written| written)
}

/// Writes all of `data`, in multiples of `block` bytes.
///
/// A call that stopped within a block is gone on with from the beginning of that block: the same bytes
/// once more.
pub(crate) fn write_blocks(
    file: &impl File,
    data: &[u8],
    offset: u64,
    block: usize,
    mode: WriteMode,
) -> io::Result<()> {
    write_all(file, data, offset, mode, |written| written / block * block)
}

/// Writes until all of `data` is there; of what a call wrote, `counts` says how much need not be written again.
#[inline]
fn write_all(
    file: &impl File,
    mut data: &[u8],
    mut offset: u64,
    mode: WriteMode,
    counts: impl Fn(usize) -> usize,
) -> io::Result<()> {
    while !data.is_empty() {
        let outcome = match mode {
            WriteMode::Cached => file.write_at(data, offset),
            WriteMode::Through => file.write_through_at(data, offset),
        };
        match outcome.map(&counts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                data = &data[n..];
                offset += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes zeros from `from` up to, not including, `to`.
pub(crate) fn write_zeros(file: &impl File, mut from: u64, to: u64) -> io::Result<()> {
    while from < to {
        let n = (to - from).min(ZEROS.len() as u64);
        write(file, &ZEROS[..n as usize], from, WriteMode::Cached)?;
        from += n;
    }
    Ok(())
}

/// Copies the first `len` bytes of a file to another one.
pub(crate) fn copy(from: &impl File, to: &impl File, len: u64) -> io::Result<()> {
    let mut buf = vec![0; len.min(ZEROS.len() as u64) as usize];
    let mut at = 0;
    while at < len {
        let wanted = (len - at).min(buf.len() as u64) as usize;
        let n = read(from, &mut buf[..wanted], at)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write(to, &buf[..n], at, WriteMode::Cached)?;
        at += n as u64;
    }
    Ok(())
}

/// Reads until `buf` is full or the file ends; says how much it read.
pub(crate) fn read(file: &impl File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(&mut buf[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Whether an error says that there is no room, be it the disk's, the quota's or the file's.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
