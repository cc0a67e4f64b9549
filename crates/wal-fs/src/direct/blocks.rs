//! The blocks that a write touches, whole, in aligned memory.

use std::io;

/// Memory is aligned to this, whatever the blocks' size: no system asks for more than a page.
const PAGE: usize = 4096;

/// As much memory is taken at least: most commits are smaller, and need no more.
const ROOM: usize = 64 << 10;

/// A piece of a file, from the beginning of a block on.
///
/// Of what was written last it keeps the end, so that a log, which writes behind what it wrote, has
/// the beginning of the block that it goes on in, and need not read it. Two blocks are kept: a log
/// also steps back a little, over the blank header that it wrote behind its last frame.
///
/// Between calls, `known` ends with the data, or at the end of a block.
pub(super) struct Blocks {
    memory: Vec<u8>,
    /// Where in `memory` the aligned part begins.
    skip: usize,
    block: usize,
    /// The place of the aligned part in the file.
    start: u64,
    /// So many bytes of it are what the file holds.
    known: usize,
    /// Where the data ends. Behind it there is nothing to keep: zeros, or what a recycled file held.
    data_end: u64,
}

impl Blocks {
    /// For a file with `data_end` bytes of data, of which nothing is known.
    pub(super) const fn new(block: usize, data_end: u64) -> Self {
        Blocks { memory: Vec::new(), skip: 0, block, start: u64::MAX, known: 0, data_end }
    }

    /// Lays `data` down at `offset`, with what the file holds before it and behind it in the same
    /// blocks, and zeros behind the data's end. `read` reads the file, and is called only if this is
    /// no append.
    ///
    /// Returns the blocks to be written, and their place.
    pub(super) fn lay(
        &mut self,
        offset: u64,
        data: &[u8],
        read: impl FnOnce(&mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<(u64, &[u8])> {
        let end = offset + data.len() as u64;
        if !self.goes_on(offset, end) {
            self.load(offset, end, read)?;
        }
        let at = (offset - self.start) as usize;
        let upto = at + data.len();
        self.reserve(upto.max(self.known));
        let bytes = &mut self.memory[self.skip..];
        bytes[at..upto].copy_from_slice(data);
        self.known = self.known.max(upto);
        self.data_end = self.data_end.max(end);
        let padded = self.known.next_multiple_of(self.block);
        bytes[self.known..padded].fill(0);
        let first = at / self.block * self.block;
        let last = upto.next_multiple_of(self.block);
        Ok((self.start + first as u64, &bytes[first..last]))
    }

    /// Lets go of all but the last two blocks.
    pub(super) fn trim(&mut self) {
        let last = self.known.saturating_sub(1) / self.block * self.block;
        let from = last.saturating_sub(self.block);
        if from > 0 {
            self.memory.copy_within(self.skip + from..self.skip + self.known, self.skip);
            self.start += from as u64;
            self.known -= from;
        }
    }

    /// The file was cut to `len` bytes.
    pub(super) fn cut(&mut self, len: u64) {
        self.data_end = self.data_end.min(len);
        (self.start, self.known) = (u64::MAX, 0);
    }

    /// Whether a write begins in what is known, or right behind it, and ends where what follows is
    /// known.
    fn goes_on(&self, offset: u64, end: u64) -> bool {
        if offset < self.start {
            return false;
        }
        let known_end = self.start.saturating_add(self.known as u64);
        offset <= known_end && (end <= known_end || known_end == self.data_end)
    }

    /// Reads the blocks that a write touches, as far as there is data.
    fn load(
        &mut self,
        offset: u64,
        end: u64,
        read: impl FnOnce(&mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<()> {
        let block = self.block as u64;
        let start = offset / block * block;
        let wanted = end.next_multiple_of(block).min(self.data_end).saturating_sub(start) as usize;
        // Behind the data's end a write may leave a gap: zeros.
        let known = wanted.max((offset - start) as usize);
        (self.start, self.known) = (u64::MAX, 0);
        self.reserve(known);
        let bytes = &mut self.memory[self.skip..][..known];
        let found = if wanted == 0 { 0 } else { read(&mut bytes[..wanted], start)? };
        bytes[found..].fill(0);
        (self.start, self.known) = (start, known);
        Ok(())
    }

    /// Makes room for so many bytes, and for the rest of the last block.
    fn reserve(&mut self, len: usize) {
        let needed = len.next_multiple_of(self.block);
        if self.memory.len() - self.skip >= needed {
            return;
        }
        let align = self.block.max(PAGE);
        let room = needed.next_power_of_two().max(ROOM.max(align));
        let mut memory = vec![0; room + align];
        let skip = memory.as_ptr().align_offset(align);
        memory[skip..][..self.known].copy_from_slice(&self.memory[self.skip..][..self.known]);
        (self.memory, self.skip) = (memory, skip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 512;

    fn never(_: &mut [u8], at: u64) -> io::Result<usize> {
        panic!("read at {at}")
    }

    /// A file in memory, written through `Blocks`.
    struct Mirror {
        file: Vec<u8>,
        model: Vec<u8>,
        blocks: Blocks,
        reads: usize,
    }

    impl Mirror {
        fn new(file: Vec<u8>, data_end: usize) -> Self {
            let blocks = Blocks::new(BLOCK, data_end as u64);
            Mirror { model: file[..data_end].to_vec(), file, blocks, reads: 0 }
        }

        fn write(&mut self, offset: usize, data: &[u8]) {
            let Mirror { file, reads, .. } = self;
            let read = |buf: &mut [u8], at: u64| {
                *reads += 1;
                buf.copy_from_slice(&file[at as usize..][..buf.len()]);
                Ok(buf.len())
            };
            let (at, bytes) = self.blocks.lay(offset as u64, data, read).unwrap();
            let misfit = bytes.as_ptr().align_offset(BLOCK);
            assert_eq!((at % 512, bytes.len() % BLOCK, misfit), (0, 0, 0));
            let (at, bytes) = (at as usize, bytes.to_vec());
            self.file.resize(self.file.len().max(at + bytes.len()), 0);
            self.file[at..at + bytes.len()].copy_from_slice(&bytes);
            self.blocks.trim();
            self.model.resize(self.model.len().max(offset + data.len()), 0);
            self.model[offset..offset + data.len()].copy_from_slice(data);
            assert_eq!(self.file[..self.model.len()], self.model);
        }
    }

    #[test]
    fn an_append_reads_nothing_wherever_it_ends() {
        let mut mirror = Mirror::new(Vec::new(), 0);
        for len in [1, 511, 1, 510, 1, 512, 1024, 3000, 100, 7] {
            mirror.write(mirror.model.len(), &vec![len as u8 | 1; len]);
        }
        assert_eq!(mirror.reads, 0);
    }

    #[test]
    fn stepping_back_over_a_blank_header_reads_nothing() {
        let mut mirror = Mirror::new(vec![0xee; 1 << 16], 0);
        let mut end = 0;
        for n in 0..400 {
            mirror.write(end, &[vec![n as u8; 100].as_slice(), &[0; 24]].concat());
            end += 100;
        }
        assert_eq!(mirror.reads, 0);
    }

    #[test]
    fn what_follows_an_overwrite_in_its_block_is_kept() {
        let mut mirror = Mirror::new((0..5000).map(|i| i as u8).collect(), 5000);
        mirror.write(700, &[1; 10]);
        mirror.write(705, &[2; 10]);
        mirror.write(4990, &[3; 20]);
        assert_eq!(mirror.reads, 2);
        mirror.write(5010, &[4; 2000]);
        mirror.write(0, &[5; 6000]);
        mirror.write(7000, &[6; 100]);
        assert!(mirror.reads <= 4, "{}", mirror.reads);
    }

    #[test]
    fn old_bytes_behind_the_data_become_zeros_up_to_the_end_of_the_block() {
        let mut mirror = Mirror::new(vec![0xee; 2048], 100);
        mirror.write(100, b"x");
        assert_eq!(mirror.file[101..512], [0; 411]);
        assert_eq!(mirror.file[512..], [0xee; 1536]);
    }

    #[test]
    fn a_gap_within_a_block_is_zeros() {
        let mut blocks = Blocks::new(BLOCK, 10);
        let (at, bytes) = blocks.lay(1030, b"x", never).unwrap();
        assert_eq!((at, bytes.len()), (1024, 512));
        assert_eq!(bytes[..7], [0, 0, 0, 0, 0, 0, b'x']);
    }

    #[test]
    fn nothing_is_known_after_a_cut_or_a_failed_read() {
        let mut blocks = Blocks::new(BLOCK, 0);
        blocks.lay(0, &[7; 600], never).unwrap();
        blocks.cut(100);
        assert!(blocks.lay(100, b"x", |_, _| Err(io::ErrorKind::Other.into())).is_err());
        let read = |buf: &mut [u8], at: u64| {
            assert_eq!((buf.len(), at), (100, 0));
            buf.fill(9);
            Ok(100)
        };
        let (_, bytes) = blocks.lay(100, b"x", read).unwrap();
        assert_eq!((bytes[99], bytes[100], bytes[101]), (9, b'x', 0));
    }

    #[test]
    fn memory_is_allocated_once() {
        let mut blocks = Blocks::new(4096, 0);
        blocks.lay(0, &[1; 100], never).unwrap();
        let memory = blocks.memory.as_ptr();
        for n in 1..1000 {
            blocks.lay(n * 100, &[2; 124], never).unwrap();
            blocks.trim();
        }
        assert_eq!(blocks.memory.as_ptr(), memory);
    }
}
