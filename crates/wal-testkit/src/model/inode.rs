//! A file's bytes: what is durable, what reads see, and the changes between.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::SyncFault;
use super::crash::{Atom, AtomKind, CrashPolicy, Fate};
use crate::rng::Rng;

/// The smallest piece that a device without power-safe overwrite spoils, in bytes.
const SECTOR: u64 = 512;

/// One file.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// Shared with the images of earlier crashes until it changes.
    durable: Arc<Vec<u8>>,
    cache: Arc<Vec<u8>>,
    pending: Vec<Pending>,
    /// What the cache loses when it is dropped: the seed of which bytes reached the disk.
    reverts_when_evicted: Option<u64>,
    /// It was synced, and nothing was written through since.
    just_synced: bool,
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

/// How a crash sees one file: what is asked about, and in which pieces.
pub(super) struct Lens<'a> {
    pub(super) node: u64,
    /// The size of the pieces in which a write is kept or lost.
    pub(super) atom_bytes: u64,
    /// What stood on the blocks that the file was given.
    pub(super) stale: &'a [u8],
    pub(super) choose: &'a mut dyn FnMut(&Atom) -> Fate,
}

impl Inode {
    pub(super) fn cache(&self) -> &[u8] {
        &self.cache
    }

    pub(super) fn fingerprint(&self, into: &mut impl Hasher) {
        self.durable.hash(into);
        // Mostly they are one.
        if !Arc::ptr_eq(&self.durable, &self.cache) && self.durable != self.cache {
            self.cache.hash(into);
        }
    }

    pub(super) fn shared_cache(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.cache)
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn write(&mut self, seq: u64, offset: u64, data: &[u8]) {
        let change = Change::Write { offset, data: data.into() };
        change.apply(Arc::make_mut(&mut self.cache));
        self.pending.push(Pending { seq, change, standing: Standing::Dirty });
    }

    /// Makes a range durable, with the bytes that write number `seq` wrote there, and no other.
    pub(super) fn make_durable(&mut self, seq: u64, offset: u64, data: &[u8]) {
        let change = Change::Write { offset, data: data.into() };
        self.pending.retain(|pending| pending.seq != seq);
        self.pending.push(Pending { seq, change, standing: Standing::Synced });
        self.settle();
    }

    pub(super) fn set_len(&mut self, seq: u64, len: u64) {
        let change = Change::SetLen(len);
        change.apply(Arc::make_mut(&mut self.cache));
        self.pending.push(Pending { seq, change, standing: Standing::Dirty });
    }

    /// Replaces bytes on the disk and in the cache: rot, not a change that anybody made.
    pub(super) fn rot(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(Arc::make_mut(&mut self.durable));
        self.cache = Arc::clone(&self.durable);
        self.pending.clear();
    }

    /// Makes durable what was changed up to `seq`.
    pub(super) fn sync(&mut self, seq: u64) {
        self.mark(seq, Standing::Synced);
        self.settle();
        self.just_synced = true;
    }

    /// Whether a device that is lazy with it leaves a write-through that ends at `end` in its cache: the first one
    /// after a sync, if it is in place.
    pub(super) fn is_lazy(&mut self, end: u64) -> bool {
        end <= self.durable.len() as u64 && std::mem::take(&mut self.just_synced)
    }

    pub(super) fn fail_sync(&mut self, seq: u64, fault: SyncFault) {
        match fault {
            SyncFault::StillDirty => {}
            SyncFault::MarkedClean | SyncFault::ReadOnly => self.mark(seq, Standing::Abandoned),
            SyncFault::Reverted(seed) => {
                self.mark(seq, Standing::Abandoned);
                self.revert(seed);
            }
            SyncFault::RevertedWhenEvicted(seed) => {
                self.mark(seq, Standing::Abandoned);
                self.reverts_when_evicted = Some(seed);
            }
        }
    }

    fn mark(&mut self, seq: u64, standing: Standing) {
        for pending in &mut self.pending {
            if pending.standing == Standing::Dirty && pending.seq <= seq {
                pending.standing = standing;
            }
        }
    }

    /// The last handle is gone, and with it the cached pages.
    pub(super) fn evict(&mut self) {
        if let Some(seed) = self.reverts_when_evicted.take() {
            self.revert(seed);
        }
    }

    /// What a failed sync abandoned is decided now: some of it reached the disk, the cache shows
    /// what the disk holds.
    fn revert(&mut self, seed: u64) {
        let pending = std::mem::take(&mut self.pending);
        let (decided, rest): (Vec<_>, _) =
            pending.into_iter().partition(|p| p.standing != Standing::Dirty);
        self.pending = decided;
        let mut choose = CrashPolicy::Seeded(seed).chooser();
        let lens = Lens { node: 0, atom_bytes: SECTOR, stale: &[], choose: &mut choose };
        self.durable = Arc::new(self.after_crash(lens));
        let mut cache = self.durable.to_vec();
        rest.iter().for_each(|pending| pending.change.apply(&mut cache));
        (self.cache, self.pending) = (Arc::new(cache), rest);
    }

    /// Moves the changes that are certain, and before which nothing is uncertain, into the image.
    fn settle(&mut self) {
        let certain =
            self.pending.iter().take_while(|pending| pending.standing == Standing::Synced).count();
        if certain == 0 {
            return;
        }
        if certain == self.pending.len() {
            self.pending.clear();
            self.durable = Arc::clone(&self.cache);
            return;
        }
        let durable = Arc::make_mut(&mut self.durable);
        for pending in self.pending.drain(..certain) {
            pending.change.apply(durable);
        }
    }

    /// The file after a power loss.
    pub(super) fn crash(&self, lens: Lens<'_>) -> Inode {
        if self.pending.is_empty() {
            return Self::settled(Arc::clone(&self.durable));
        }
        Self::settled(Arc::new(self.after_crash(lens)))
    }

    /// The file after the death of its process: the cache reaches the disk some time.
    pub(super) fn written_back(&self) -> Inode {
        let mut inode = self.clone();
        inode.evict();
        if inode.pending.iter().any(|p| p.standing == Standing::Abandoned) {
            return Inode { lock: None, handles: 0, ..inode };
        }
        Self::settled(inode.cache)
    }

    /// Bytes and length are lost independently: bytes that were kept behind the kept length are
    /// gone, and a kept length without its bytes shows zeros.
    fn after_crash(&self, lens: Lens<'_>) -> Vec<u8> {
        let Lens { node, atom_bytes, stale, choose } = lens;
        let mut disk = self.durable.to_vec();
        let mut len = disk.len() as u64;
        for Pending { seq, change, standing } in &self.pending {
            let mut fate = |kind| match standing {
                Standing::Synced => Fate::Kept,
                Standing::Dirty | Standing::Abandoned => choose(&Atom { seq: *seq, node, kind }),
            };
            match change {
                Change::Write { offset, data } => {
                    for (at, piece) in atoms(*offset, data, atom_bytes) {
                        let kind = AtomKind::Bytes { offset: at, len: piece.len() as u64 };
                        write_atom(&mut disk, at, piece, stale, fate(kind));
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
        disk
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

fn write_atom(disk: &mut Vec<u8>, offset: u64, data: &[u8], stale: &[u8], fate: Fate) {
    match fate {
        Fate::Kept => put(disk, offset, data),
        Fate::Dropped | Fate::BothNames | Fate::NeitherName => {}
        Fate::Zeroed => put(disk, offset, &vec![0; data.len()]),
        Fate::Garbage(seed) => put(disk, offset, &noise(seed, data.len())),
        Fate::Stale => {
            let from = stale.get(offset as usize..).unwrap_or_default();
            let mut old = from[..from.len().min(data.len())].to_vec();
            old.resize(data.len(), 0);
            put(disk, offset, &old);
        }
        Fate::TornSectors(seed) => {
            let start = offset / SECTOR * SECTOR;
            let end = (offset + data.len() as u64).next_multiple_of(SECTOR);
            let end = end.min((disk.len() as u64).max(offset + data.len() as u64));
            put(disk, start, &noise(seed, (end - start) as usize));
        }
    }
}

pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    (0..len).map(|_| rng.next() as u8).collect()
}

/// Splits a write where multiples of `size` in the file meet.
fn atoms(mut offset: u64, mut data: &[u8], size: u64) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        if data.is_empty() {
            return None;
        }
        let n = (size - offset % size).min(data.len() as u64);
        let (piece, rest) = data.split_at(n as usize);
        let atom = (offset, piece);
        (offset, data) = (offset + n, rest);
        Some(atom)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crash(inode: &Inode, mut choose: impl FnMut(&Atom) -> Fate) -> Inode {
        inode.crash(Lens { node: 0, atom_bytes: 512, stale: b"removed", choose: &mut choose })
    }

    #[test]
    fn splits_at_sectors_of_the_file() {
        let lens = |offset, len, size| -> Vec<(u64, usize)> {
            atoms(offset, &vec![0; len], size).map(|(at, piece)| (at, piece.len())).collect()
        };
        assert_eq!(lens(0, 512, 512), [(0, 512)]);
        assert_eq!(lens(500, 600, 512), [(500, 12), (512, 512), (1024, 76)]);
        assert_eq!(lens(7, 0, 512), []);
        assert_eq!(lens(7, 3, 1), [(7, 1), (8, 1), (9, 1)]);
    }

    #[test]
    fn a_later_durable_write_wins_over_an_earlier_pending_one() {
        let mut inode = Inode::default();
        inode.write(1, 0, b"old");
        inode.write(2, 0, b"new");
        inode.make_durable(2, 0, b"new");
        for fate in [Fate::Kept, Fate::Dropped, Fate::Zeroed, Fate::Garbage(1), Fate::Stale] {
            assert_eq!(crash(&inode, |_| fate).cache(), b"new");
        }
    }

    #[test]
    fn stale_bytes_are_those_of_the_removed_file() {
        let mut inode = Inode::default();
        inode.write(1, 2, b"abcdefgh");
        let kept = |atom: &Atom| match atom.kind {
            AtomKind::Length { .. } => Fate::Kept,
            _ => Fate::Stale,
        };
        assert_eq!(crash(&inode, kept).cache(), b"\0\0moved\0\0\0");
    }

    #[test]
    fn a_torn_sector_takes_its_durable_neighbours() {
        let mut inode = Inode::default();
        inode.write(1, 0, &[7; 600]);
        inode.sync(1);
        inode.write(2, 550, b"x");
        let torn = crash(&inode, |_| Fate::TornSectors(3));
        assert_eq!(torn.cache()[..512], [7; 512]);
        assert!(torn.cache()[512..600].iter().filter(|byte| **byte == 7).count() < 10);
        assert_eq!(torn.cache().len(), 600);
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_began() {
        let mut inode = Inode::default();
        inode.write(1, 0, b"before");
        inode.write(2, 6, b"during");
        inode.sync(1);
        assert_eq!(crash(&inode, |_| Fate::Dropped).cache(), b"before");
    }

    #[test]
    fn a_failed_sync_reverts_at_once_or_when_the_pages_are_dropped() {
        for seed in 0..20 {
            let mut inode = Inode::default();
            inode.write(1, 0, &[1; 2048]);
            inode.sync(1);
            inode.write(2, 0, &[2; 2048]);
            let mut later = inode.clone();
            inode.fail_sync(2, SyncFault::Reverted(seed));
            assert!(!inode.has_pending());
            later.fail_sync(2, SyncFault::RevertedWhenEvicted(seed));
            assert_eq!(later.cache(), [2; 2048]);
            later.evict();
            assert_eq!(later.cache(), inode.cache());
            if seed == 5 {
                let old = inode.cache().iter().filter(|byte| **byte == 1).count();
                assert!(old % 512 == 0 && old < 2049, "{old}");
            }
        }
    }
}
