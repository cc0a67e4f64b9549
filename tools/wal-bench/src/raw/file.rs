//! A write and a sync.

use std::fs::File;
use std::io;
use std::path::Path;

use super::{Disk, ROUND};

/// Each append extends the file.
pub(super) struct Growing {
    file: File,
    at: u64,
}

/// Each append lies on blocks that were written before.
pub(super) struct Written {
    file: File,
    at: u64,
}

impl Growing {
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        let file = File::create_new(dir.join("growing"))?;
        file.sync_all()?;
        Ok(Growing { file, at: 0 })
    }
}

impl Disk for Growing {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_at(&mut self.file, bytes, self.at)?;
        self.at += bytes.len() as u64;
        self.file.sync_data()
    }
}

impl Written {
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        let mut file = File::create_new(dir.join("written"))?;
        fill(&mut file)?;
        Ok(Written { file, at: 0 })
    }

    /// Writes without a sync.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = bytes.len() as u64;
        if self.at + len > ROUND {
            self.at = 0;
        }
        write_at(&mut self.file, bytes, self.at)?;
        self.at += len;
        Ok(())
    }
}

impl Disk for Written {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes)?;
        self.file.sync_data()
    }
}

/// Writes zeros over a whole round, and makes them durable.
pub(super) fn fill(file: &mut File) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    for at in (0..ROUND).step_by(zeros.len()) {
        write_at(file, &zeros, at)?;
    }
    file.sync_all()
}

#[cfg(unix)]
fn write_at(file: &mut File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(not(unix))]
fn write_at(file: &mut File, bytes: &[u8], at: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_never_grows() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Written::create(dir.path()).unwrap();
        disk.at = ROUND - 150;
        disk.append(&[1; 100]).unwrap();
        disk.append(&[2; 100]).unwrap();
        assert_eq!(disk.at, 100);
        let bytes = std::fs::read(dir.path().join("written")).unwrap();
        assert_eq!(bytes.len() as u64, ROUND);
        assert_eq!((bytes[0], bytes[99], bytes[100]), (2, 2, 0));
        assert_eq!(bytes[ROUND as usize - 51], 1);
    }
}
