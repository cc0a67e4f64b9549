//! What a power loss does to each pending change, and who chooses it.

use std::ffi::OsString;

use crate::rng::Rng;

/// What becomes of one pending change.
///
/// A fate that does not suit the change counts as [`Dropped`](Fate::Dropped).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It reached the disk.
    Kept,
    /// It did not; the disk holds what it held.
    Dropped,
    /// Bytes: the place was assigned to the file, but its bytes never came.
    Zeroed,
    /// Bytes: the place holds nonsense made from this seed.
    Garbage(u64),
    /// Bytes: the place holds what stood there in the file that was removed last, as when its
    /// blocks are given to this file and the new bytes never came.
    Stale,
    /// Bytes: the whole sectors hold nonsense, with the durable neighbours in them. Only a device
    /// without power-safe overwrite does this.
    TornSectors(u64),
    /// A rename, or an exchange of names, that is not atomic: both names stand for the file.
    BothNames,
    /// A rename, or an exchange of names, that is not atomic: neither name stands for a file.
    NeitherName,
}

/// One pending change, of the size in which it is kept or lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Atom {
    /// When the change was made: ascending over the whole file system. The atoms of one write share
    /// theirs.
    pub seq: u64,
    /// The file, or the directory for entries; the root is 0.
    pub node: u64,
    /// What changed.
    pub kind: AtomKind,
}

/// The kinds of [`Atom`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtomKind {
    /// Bytes of a write, within one sector of [`ATOM_BYTES`](super::ATOM_BYTES).
    Bytes {
        /// Where in the file.
        offset: u64,
        /// How many.
        len: u64,
    },
    /// A new length of the file, independent of the bytes.
    Length {
        /// The length in bytes.
        len: u64,
    },
    /// One directory operation: the names that came or went. A rename is one atom, and so is an exchange.
    Entries {
        /// Each name, and whether it exists afterwards.
        names: Vec<(OsString, bool)>,
    },
}

/// Ready-made choices for [`ModelFs::crash`](super::ModelFs::crash).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrashPolicy {
    /// Everything pending is lost.
    DropUnsynced,
    /// Everything pending had just reached the disk.
    KeepAll,
    /// Every change made before this sequence number had reached the disk, and none after.
    Prefix(u64),
    /// Each change is kept or lost on its own. The seed also chooses how likely each is, so that
    /// many seeds cover nearly all, nearly none and everything between.
    Seeded(u64),
}

impl CrashPolicy {
    pub(crate) fn chooser(self) -> impl FnMut(&Atom) -> Fate {
        let mut rng = Rng::new(match self {
            CrashPolicy::Seeded(seed) => seed,
            _ => 0,
        });
        let kept_of_16 = rng.below(17);
        move |atom| {
            let kept = match self {
                CrashPolicy::DropUnsynced => false,
                CrashPolicy::KeepAll => true,
                CrashPolicy::Prefix(seq) => atom.seq < seq,
                CrashPolicy::Seeded(_) => rng.below(16) < kept_of_16,
            };
            if kept { Fate::Kept } else { Fate::Dropped }
        }
    }
}
