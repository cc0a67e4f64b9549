//! What is known of a file system by its type: the one place that says what is trusted where.

/// What is known of the file system that a directory lies in.
///
/// A storage asks for it once, when it is made, and asks no file system for more than it is known to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FsProfile {
    /// Whether one call of [`write_through_at`](super::File::write_through_at) was seen to be durable when it
    /// returns. Otherwise a durable write is a write and a sync.
    ///
    /// f2fs is why this is asked: there the first write-through in place after the file was written and synced
    /// returns while its bytes are in the cache of the device only.
    pub write_through: bool,
    /// Whether bytes that are written again stay where they are on the device. A file system that copies on write
    /// finds a new place for them each time. Zeros that were written ahead of the data are of no use there.
    pub in_place: bool,
}

impl FsProfile {
    /// Nothing is known: no write-through is trusted.
    pub const UNKNOWN: FsProfile = FsProfile { write_through: false, in_place: true };

    /// Sets [`write_through`](Self::write_through).
    #[must_use]
    pub const fn write_through(mut self, trusted: bool) -> Self {
        self.write_through = trusted;
        self
    }

    /// Sets [`in_place`](Self::in_place).
    #[must_use]
    pub const fn in_place(mut self, in_place: bool) -> Self {
        self.in_place = in_place;
        self
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{of_directory, syncfs_covers_names};

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::path::Path;

    use rustix::fs::{fstatfs, statfs};

    use super::FsProfile;

    // The numbers of `statfs(2)`. All have 32 bits; the field has other lengths and signs on other processors.
    const EXT: u32 = 0xEF53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683E;
    const TMPFS: u32 = 0x0102_1994;
    const OVERLAY: u32 = 0x794C_7630;
    const ZFS: u32 = 0x2FC1_2FC1;
    const BCACHEFS: u32 = 0xCA45_1A4E;
    const NILFS: u32 = 0x3434;

    /// The file system that a path leads to. One that cannot be asked is not known.
    pub(crate) fn of_directory(path: &Path) -> FsProfile {
        statfs(path).map_or(FsProfile::UNKNOWN, |stat| of_type(stat.f_type as u32))
    }

    /// Whether `syncfs` of the directory's file system makes names durable, as far as is known.
    ///
    /// It says `Ok` also where nobody has implemented it: there it proves nothing.
    pub(crate) fn syncfs_covers_names(directory: &File) -> bool {
        fstatfs(directory).is_ok_and(|stat| is_whole_sync(stat.f_type as u32))
    }

    /// Trusted is what crash images were taken of: see ASSUMPTIONS.md. In tmpfs nothing is durable anyway.
    const fn of_type(number: u32) -> FsProfile {
        FsProfile {
            write_through: matches!(number, EXT | XFS | BTRFS | TMPFS),
            in_place: !matches!(number, BTRFS | ZFS | BCACHEFS | NILFS),
        }
    }

    /// These commit their journal or write all nodes. Overlayfs hands the call on to the file system that is written.
    const fn is_whole_sync(number: u32) -> bool {
        matches!(number, EXT | XFS | BTRFS | TMPFS | OVERLAY)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const F2FS: u32 = 0xF2F5_2010;
        const NFS: u32 = 0x6969;
        const CIFS: u32 = 0xFF53_4D42;
        const FUSE: u32 = 0x6573_5546;
        const VBOXSF: u32 = 0x786F_4256;

        #[test]
        fn only_what_was_tried_is_trusted() {
            for number in [EXT, XFS, BTRFS, TMPFS] {
                assert!(of_type(number).write_through && is_whole_sync(number), "{number:x}");
            }
            for number in [F2FS, NFS, CIFS, FUSE, VBOXSF, ZFS, BCACHEFS, NILFS, 0, u32::MAX] {
                assert!(!of_type(number).write_through && !is_whole_sync(number), "{number:x}");
            }
            // Its writes are those of another file system, which is not known.
            assert!(!of_type(OVERLAY).write_through && is_whole_sync(OVERLAY));
            assert_eq!(of_type(0), FsProfile::UNKNOWN);
        }

        #[test]
        fn what_copies_on_write_is_told_apart() {
            let in_place = |number| of_type(number).in_place;
            assert!([EXT, XFS, TMPFS, F2FS, OVERLAY, 0].into_iter().all(in_place));
            assert!(![BTRFS, ZFS, BCACHEFS, NILFS].into_iter().any(in_place));
        }

        #[test]
        fn the_directory_of_this_test_is_of_some_type_and_a_missing_one_of_none() {
            let dir = tempfile::tempdir().unwrap();
            let number = statfs(dir.path()).unwrap().f_type as u32;
            assert_eq!(of_directory(dir.path()), of_type(number));
            let opened = File::open(dir.path()).unwrap();
            assert_eq!(syncfs_covers_names(&opened), is_whole_sync(number));
            assert_eq!(of_directory(&dir.path().join("missing")), FsProfile::UNKNOWN);
        }
    }
}
