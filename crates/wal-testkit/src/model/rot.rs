//! Damage at rest: what time, firmware and misdirected writes do to bytes that were durable.

use std::fmt;
use std::io;
use std::path::Path;

use super::{ModelFs, inode};

/// One piece of damage to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rot {
    /// One bit of the byte at this offset is the other way round.
    Flip {
        /// The byte.
        offset: u64,
        /// The bit, 0 to 7.
        bit: u8,
    },
    /// A range reads as zeros: a sector was lost.
    Zeroed {
        /// Its start.
        offset: u64,
        /// Its length.
        len: u64,
    },
    /// A range holds what another one of the file holds as well.
    Copied {
        /// The start of the original.
        from: u64,
        /// The start of the range.
        to: u64,
        /// Their length.
        len: u64,
    },
    /// A range holds nonsense: somebody else's write went astray.
    Misdirected {
        /// Its start.
        offset: u64,
        /// Its length.
        len: u64,
        /// The seed of the nonsense.
        seed: u64,
    },
    /// The file ends early.
    Cut {
        /// Its length now.
        len: u64,
    },
}

impl ModelFs {
    /// Damages a file's durable bytes, whatever is pending for it. Ranges end at the file's end.
    ///
    /// A *phantom write*, one that the device acknowledged and never made, is a change that was
    /// [dropped](super::Fate::Dropped) although it was synced: put back older bytes with
    /// [`put_back`](Self::put_back).
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn rot(&self, path: &Path, rot: Rot) -> io::Result<()> {
        self.rewrite(path, |bytes| rot.apply(bytes))
    }

    /// Puts older bytes back over a file's durable ones, from `offset` on.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn put_back(&self, path: &Path, offset: u64, old: &[u8]) -> io::Result<()> {
        self.rewrite(path, |bytes| {
            let start = (offset as usize).min(bytes.len());
            let n = old.len().min(bytes.len() - start);
            bytes[start..start + n].copy_from_slice(&old[..n]);
        })
    }

    fn rewrite(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.state()?;
        let id = state.disk.find(path)?;
        state.disk.inode_mut(id)?.rot(change);
        Ok(())
    }
}

impl Rot {
    fn apply(self, bytes: &mut Vec<u8>) {
        let range = |offset: u64, len: u64| {
            let start = (offset as usize).min(bytes.len());
            start..(offset.saturating_add(len) as usize).clamp(start, bytes.len())
        };
        match self {
            Rot::Flip { offset, bit } => {
                if let Some(byte) = bytes.get_mut(offset as usize) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Rot::Zeroed { offset, len } => {
                let range = range(offset, len);
                bytes[range].fill(0);
            }
            Rot::Copied { from, to, len } => {
                let (from, to) = (range(from, len), range(to, len));
                let n = from.len().min(to.len());
                bytes.copy_within(from.start..from.start + n, to.start);
            }
            Rot::Misdirected { offset, len, seed } => {
                let range = range(offset, len);
                let noise = inode::noise(seed, range.len());
                bytes[range].copy_from_slice(&noise);
            }
            Rot::Cut { len } => bytes.truncate(len as usize),
        }
    }
}

/// `flip 100.3`, `zero 512+512`, `copy 0->512+512`, `noise 512+512`, `cut 700`.
impl fmt::Display for Rot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rot::Flip { offset, bit } => write!(f, "flip {offset}.{bit}"),
            Rot::Zeroed { offset, len } => write!(f, "zero {offset}+{len}"),
            Rot::Copied { from, to, len } => write!(f, "copy {from}->{to}+{len}"),
            Rot::Misdirected { offset, len, .. } => write!(f, "noise {offset}+{len}"),
            Rot::Cut { len } => write!(f, "cut {len}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotten(rot: Rot) -> Vec<u8> {
        let mut bytes = b"abcdefgh".to_vec();
        rot.apply(&mut bytes);
        bytes
    }

    #[test]
    fn every_kind_does_what_it_says_and_stays_in_the_file() {
        assert_eq!(rotten(Rot::Flip { offset: 1, bit: 0 }), b"accdefgh");
        assert_eq!(rotten(Rot::Zeroed { offset: 6, len: 9 }), b"abcdef\0\0");
        assert_eq!(rotten(Rot::Copied { from: 0, to: 5, len: 4 }), b"abcdeabc");
        assert_eq!(rotten(Rot::Cut { len: 3 }), b"abc");
        let noise = rotten(Rot::Misdirected { offset: 4, len: 100, seed: 1 });
        assert_eq!((noise.len(), &noise[..4]), (8, &b"abcd"[..]));
        assert_ne!(&noise[4..], b"efgh");
        assert_eq!(rotten(Rot::Flip { offset: 99, bit: 0 }), b"abcdefgh");
    }
}
