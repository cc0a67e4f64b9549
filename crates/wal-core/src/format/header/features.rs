//! What a build has to know to read a segment, or to write behind it.

use std::fmt;

/// Bits that say what a segment needs. A registry: FORMAT.md has the bits, and none is given out twice.
///
/// A build that finds a bit that it does not know:
///
/// | mask | then |
/// | --- | --- |
/// | `incompatible` | it cannot read the segment |
/// | `read_only` | it can read the log, and must not write to it |
/// | `compatible` | it need not care |
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Features {
    /// Who does not know a bit of these cannot read the segment.
    pub incompatible: u32,
    /// Who does not know a bit of these may read the log, and must not write to it.
    pub read_only: u32,
    /// Who does not know a bit of these may do everything.
    pub compatible: u32,
}

impl Features {
    /// The bits that this build knows: none was given a meaning yet.
    pub const KNOWN: Features = Features { incompatible: 0, read_only: 0, compatible: 0 };

    /// Those that this build does not know.
    #[must_use]
    pub const fn unknown(self) -> Features {
        Features {
            incompatible: self.incompatible & !Self::KNOWN.incompatible,
            read_only: self.read_only & !Self::KNOWN.read_only,
            compatible: self.compatible & !Self::KNOWN.compatible,
        }
    }

    /// Whether no bit is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.incompatible | self.read_only | self.compatible == 0
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Features { incompatible, read_only, compatible } = self;
        write!(f, "Features({incompatible:#x}, {read_only:#x}, {compatible:#x})")
    }
}

/// How a segment came to be. For reports: nothing is refused because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Maker(pub u8);

impl Maker {
    /// Written by an open log, frame by frame.
    pub const WRITER: Maker = Maker(1);
    /// Made by a recovery, of records that a crash left unproven.
    pub const MOVED_END: Maker = Maker(2);
    /// Made by a recovery that ended the log earlier. It holds no record.
    pub const NEW_END: Maker = Maker(3);
    /// Made by a salvage, of what was readable.
    pub const SALVAGED: Maker = Maker(4);
    /// Made by a backup or a branch.
    pub const COPIED: Maker = Maker(5);
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WRITER => f.write_str("written"),
            Self::MOVED_END => f.write_str("moved end"),
            Self::NEW_END => f.write_str("new end"),
            Self::SALVAGED => f.write_str("salvaged"),
            Self::COPIED => f.write_str("copied"),
            Maker(number) => write!(f, "made in way {number}"),
        }
    }
}
