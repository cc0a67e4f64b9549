//! A piece of a file in memory.

use std::io;

use wal_fs::{File, Mapping};

use super::ModelFile;

/// What is copied to it is in the cache of the file. It dies with the process that made it.
pub(super) struct ModelMapping {
    file: ModelFile,
    offset: u64,
    len: usize,
}

impl ModelMapping {
    pub(super) fn new(file: ModelFile, offset: u64, len: usize) -> io::Result<Self> {
        let mapping = ModelMapping { file, offset, len };
        mapping.check()?;
        Ok(mapping)
    }

    /// Every byte must be there: a store behind the end of the file kills the process.
    fn check(&self) -> io::Result<()> {
        let (end, file_len) = (self.offset + self.len as u64, self.file.len()?);
        assert!(end <= file_len, "SIGBUS: mapped up to {end}, and the file has {file_len} bytes");
        Ok(())
    }
}

impl Mapping for ModelMapping {
    /// Copies the second half first: nobody promises an order, and the process may die in between.
    fn write(&mut self, data: &[u8], at: usize) -> io::Result<()> {
        if at.checked_add(data.len()).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.check()?;
        let (first, second) = data.split_at(data.len() / 2);
        let offset = self.offset + at as u64;
        for (piece, offset) in [(second, offset + first.len() as u64), (first, offset)] {
            if !piece.is_empty() {
                self.file.write_at(piece, offset)?;
            }
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
