//! Past the page cache, and through the device's own cache, in one call.

#[cfg(target_os = "linux")]
pub(super) use linux::create;

/// Why there is none here.
#[cfg(not(target_os = "linux"))]
pub(super) fn create(
    _: &std::path::Path,
    _: usize,
) -> anyhow::Result<Result<super::file::Written, String>> {
    Ok(Err("O_DIRECT is of Linux".into()))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    use std::path::Path;

    use rustix::fs::OFlags;

    use super::super::file::fill;
    use super::super::{Disk, ROUND};

    /// Memory for direct I/O begins at a multiple of this.
    const ALIGN: usize = 4096;

    /// Keeps the last block while it is not full, and writes it again with what follows.
    pub(in super::super) struct Direct {
        file: File,
        block: usize,
        memory: Vec<u8>,
        /// Where the block begins in the file that the next append begins in.
        at: u64,
        /// Bytes of it that are records already.
        tail: usize,
    }

    /// A file for direct writes, or why the file system has none.
    pub(in super::super) fn create(
        dir: &Path,
        block: usize,
    ) -> anyhow::Result<Result<Direct, String>> {
        let path = dir.join("direct");
        fill(&mut File::create_new(&path)?)?;
        let flags = (OFlags::DIRECT | OFlags::DSYNC).bits().cast_signed();
        let opened = OpenOptions::new().write(true).custom_flags(flags).open(path);
        let mut disk = match opened {
            Ok(file) => Direct { file, block, memory: Vec::new(), at: 0, tail: 0 },
            Err(error) => return Ok(Err(format!("no O_DIRECT here: {error}"))),
        };
        let probed = disk.append(&[0]);
        Ok(probed.map(|()| disk).map_err(|e| format!("no direct writes of {block} bytes: {e}")))
    }

    impl Disk for Direct {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            let end = self.tail + bytes.len();
            let padded = end.next_multiple_of(self.block);
            if self.at + padded as u64 > ROUND {
                self.at = 0;
            }
            if self.memory.len() < padded + ALIGN {
                let mut larger = vec![0; padded + ALIGN];
                if self.tail > 0 {
                    let kept = aligned(&mut self.memory, self.tail);
                    aligned(&mut larger, kept.len()).copy_from_slice(kept);
                }
                self.memory = larger;
            }
            let memory = aligned(&mut self.memory, padded);
            memory[self.tail..end].copy_from_slice(bytes);
            memory[end..].fill(0);
            self.file.write_all_at(memory, self.at)?;
            let whole = end / self.block * self.block;
            memory.copy_within(whole..end, 0);
            self.at += whole as u64;
            self.tail = end - whole;
            Ok(())
        }
    }

    /// The first bytes of the memory that begin where direct I/O needs it.
    fn aligned(memory: &mut [u8], len: usize) -> &mut [u8] {
        let address = memory.as_ptr().addr();
        let start = address.next_multiple_of(ALIGN) - address;
        &mut memory[start..start + len]
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_is_appended_stands_in_the_file_without_a_gap() {
            let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
            let mut disk = match create(dir.path(), 4096).unwrap() {
                Ok(disk) => disk,
                Err(why) => return println!("skipped: {why}"),
            };
            let mut expected = vec![0];
            for (n, len) in [100, 4096, 3000, 20_000, 1].into_iter().enumerate() {
                let bytes = vec![n as u8 + 1; len];
                disk.append(&bytes).unwrap();
                expected.extend(bytes);
            }
            let found = std::fs::read(dir.path().join("direct")).unwrap();
            assert!(found.starts_with(&expected));
            assert!(found[expected.len()..].iter().all(|&byte| byte == 0));
        }
    }
}
