//! A file's bytes: what is durable, what reads see, and the changes between.

use std::sync::Arc;

use super::crash::{Atom, AtomKind, Fate};
use super::{ATOM_BYTES, SyncFault};
use crate::rng::Rng;

/// One file.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// Shared with the images of earlier crashes until it changes.
    durable: Arc<Vec<u8>>,
    cache: Arc<Vec<u8>>,
    pending: Vec<Pending>,
    /// The handle that locks the file.
    pub(super) lock: Option<u64>,
    /// How many handles are open.
    pub(super) handles: u64,
}

/// A change since the durable image.
#[derive(Clone, Debug)]
struct Pending {
    seq: u64,
    change: Change,
    standing: Standing,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, data: Arc<[u8]> },
    SetLen(u64),
}

/// Whether a change is on disk for certain.
///
/// A change that is waits in the list nevertheless while an earlier one is not: the order in which
/// the changes apply must stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The next sync makes it durable.
    Dirty,
    /// Durable.
    Synced,
    /// A sync failed on it and the system took it for clean: no later sync writes it.
    Abandoned,
}

impl Inode {
    pub(super) fn cache(&self) -> &[u8] {
        &self.cache
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn write(&mut self, seq: u64, offset: u64, data: &[u8], through: bool) {
        let standing = if through { Standing::Synced } else { Standing::Dirty };
        let change = Change::Write { offset, data: data.into() };
        change.apply(Arc::make_mut(&mut self.cache));
        self.pending.push(Pending { seq, change, standing });
        self.settle();
    }

    pub(super) fn set_len(&mut self, seq: u64, len: u64) {
        let change = Change::SetLen(len);
        change.apply(Arc::make_mut(&mut self.cache));
        self.pending.push(Pending { seq, change, standing: Standing::Dirty });
    }

    pub(super) fn sync(&mut self) {
        self.mark(Standing::Synced);
        self.settle();
    }

    pub(super) fn fail_sync(&mut self, fault: SyncFault) {
        match fault {
            SyncFault::MarkedClean => self.mark(Standing::Abandoned),
            SyncFault::StillDirty => {}
        }
    }

    fn mark(&mut self, standing: Standing) {
        for pending in &mut self.pending {
            if pending.standing == Standing::Dirty {
                pending.standing = standing;
            }
        }
    }

    /// Moves the changes that are certain, and before which nothing is uncertain, into the image.
    fn settle(&mut self) {
        let certain =
            self.pending.iter().take_while(|pending| pending.standing == Standing::Synced).count();
        if certain > 0 {
            let durable = Arc::make_mut(&mut self.durable);
            for pending in self.pending.drain(..certain) {
                pending.change.apply(durable);
            }
        }
    }

    /// The file after a power loss.
    ///
    /// Bytes and length are lost independently: bytes that were kept behind the kept length are
    /// gone, and a kept length without its bytes shows zeros.
    pub(super) fn crash(&self, node: u64, choose: &mut dyn FnMut(&Atom) -> Fate) -> Inode {
        if self.pending.is_empty() {
            return Self::settled(Arc::clone(&self.durable));
        }
        let mut disk = self.durable.to_vec();
        let mut len = disk.len() as u64;
        for Pending { seq, change, standing } in &self.pending {
            let mut fate = |kind| match standing {
                Standing::Synced => Fate::Kept,
                Standing::Dirty | Standing::Abandoned => choose(&Atom { seq: *seq, node, kind }),
            };
            match change {
                Change::Write { offset, data } => {
                    for (at, piece) in atoms(*offset, data) {
                        let kind = AtomKind::Bytes { offset: at, len: piece.len() as u64 };
                        write_atom(&mut disk, at, piece, fate(kind));
                    }
                    let end = offset + data.len() as u64;
                    if end > len && fate(AtomKind::Length { len: end }) == Fate::Kept {
                        len = end;
                    }
                }
                Change::SetLen(new) => {
                    if fate(AtomKind::Length { len: *new }) == Fate::Kept {
                        len = *new;
                        disk.truncate(len as usize);
                    }
                }
            }
        }
        disk.resize(len as usize, 0);
        Self::settled(Arc::new(disk))
    }

    fn settled(durable: Arc<Vec<u8>>) -> Inode {
        Inode { cache: Arc::clone(&durable), durable, ..Inode::default() }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write { offset, data } => put(bytes, *offset, data),
            Change::SetLen(len) => bytes.resize(*len as usize, 0),
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + data.len());
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(data);
}

fn write_atom(disk: &mut Vec<u8>, offset: u64, data: &[u8], fate: Fate) {
    match fate {
        Fate::Kept => put(disk, offset, data),
        Fate::Dropped => {}
        Fate::Zeroed => put(disk, offset, &vec![0; data.len()]),
        Fate::Garbage(seed) => {
            let mut rng = Rng::new(seed);
            let noise: Vec<u8> = data.iter().map(|_| rng.next() as u8).collect();
            put(disk, offset, &noise);
        }
    }
}

/// Splits a write where sectors of the file meet.
fn atoms(mut offset: u64, mut data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        if data.is_empty() {
            return None;
        }
        let n = (ATOM_BYTES - offset % ATOM_BYTES).min(data.len() as u64);
        let (piece, rest) = data.split_at(n as usize);
        let atom = (offset, piece);
        (offset, data) = (offset + n, rest);
        Some(atom)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_sectors_of_the_file() {
        let lens = |offset, len| -> Vec<(u64, usize)> {
            atoms(offset, &vec![0; len]).map(|(at, piece)| (at, piece.len())).collect()
        };
        assert_eq!(lens(0, 512), [(0, 512)]);
        assert_eq!(lens(500, 600), [(500, 12), (512, 512), (1024, 76)]);
        assert_eq!(lens(7, 0), []);
    }

    #[test]
    fn a_later_durable_write_wins_over_an_earlier_pending_one() {
        let mut inode = Inode::default();
        inode.write(1, 0, b"old", false);
        inode.write(2, 0, b"new", true);
        for fate in [Fate::Kept, Fate::Dropped, Fate::Zeroed, Fate::Garbage(1)] {
            assert_eq!(inode.crash(0, &mut |_| fate).cache(), b"new");
        }
    }
}
