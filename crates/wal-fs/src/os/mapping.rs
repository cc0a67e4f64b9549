//! A piece of a real file in memory. The `unsafe` code of this crate is here, and in the ring of `UringStorage`.

use std::io;
use std::ptr;

use memmap2::{MmapOptions, MmapRaw};

use super::fs::Mapping;

struct RealMapping(MmapRaw);

/// Maps bytes of a file that were written before.
pub(crate) fn map(file: &std::fs::File, offset: u64, len: usize) -> io::Result<Box<dyn Mapping>> {
    let memory = MmapOptions::new().offset(offset).len(len).map_raw(file)?;
    make_present(&memory)?;
    Ok(Box::new(RealMapping(memory)))
}

/// Makes every page present and writable, so that a copy waits for no page, and a page that cannot be
/// had is an error here instead of a signal there.
#[cfg(target_os = "linux")]
fn make_present(memory: &MmapRaw) -> io::Result<()> {
    match memory.advise(memmap2::Advice::PopulateWrite) {
        // Linux before 5.14. The pages come when they are touched.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        outcome => outcome,
    }
}

#[cfg(not(target_os = "linux"))]
fn make_present(_: &MmapRaw) -> io::Result<()> {
    Ok(())
}

impl Mapping for RealMapping {
    fn write(&mut self, data: &[u8], at: usize) -> io::Result<()> {
        let memory = &self.0;
        if at.checked_add(data.len()).is_none_or(|end| end > memory.len()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: `at + data.len()` is at most the length of the mapping, which is writable and lives as
        // long as `self`. No reference to its memory is ever made, so `data` does not overlap with it
        // and nobody's view of it is changed. `&mut self` keeps other copies out; other processes and
        // the kernel see the bytes through the file only.
        #[expect(unsafe_code, reason = "mapped memory is written through its address")]
        unsafe {
            ptr::copy_nonoverlapping(data.as_ptr(), memory.as_mut_ptr().add(at), data.len());
        }
        Ok(())
    }

    /// Linux has one cache for files and mappings: `fdatasync` finds the pages by itself.
    fn flush(&self) -> io::Result<()> {
        if cfg!(target_os = "linux") {
            return Ok(());
        }
        self.0.flush()
    }
}
