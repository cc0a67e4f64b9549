#![doc = include_str!("../README.md")]
//!
//! # Which storage
//! | storage | a write that only has to survive the process | a durable write | choose it |
//! | --- | --- | --- | --- |
//! | [`FileStorage`] | one call, into the cache | a write and an `fdatasync`, or one call (`write_through`, on file systems that are trusted with it) | by default: everywhere, for everything |
//! | [`DirectStorage`] | one call, to the device | *one* call, past the cache | on Linux, for records that are synced one by one or by group commit, and where the log should not fill the page cache |
//! | [`MmapStorage`] | a copy in memory, *no* call | a copy and an `fdatasync` | for records that need to survive a kill at once and a power loss later (`os`, `interval`, `batch`), on a file system that overwrites in place |
//! | `UringStorage` (feature `uring`, Linux) | one call, into the cache | an operation of an io_uring, *pending* meanwhile | for programs that poll the syncs of many segments or logs from few threads |
//!
//! All of them keep the same files, and each opens what another wrote. They differ only in how the bytes
//! of a segment that is being written reach its file; names, spares, locks and everything below are
//! the same code. Tools that read a log (`View`, `Inspect`, the `wal` command) need not know which one
//! wrote it. `docs/storages.md` of the project compares them, with figures.
//!
//! # The directory
//! A log lives in one directory:
//!
//! | name | what it is |
//! | --- | --- |
//! | `00000000000000000001.wal` | a segment, named by the LSN of its first record in 20 digits |
//! | `LOCK` | locked by the one writer, whose process id it holds |
//! | `OWNER-00000000000000000007` | says that the seventh opening owns the log; each opening renames it |
//! | `spare-00000000000000000007-00000000000000000001.tmp` | a file that is to become a segment; of no value once the writer is gone |
//! | `RESERVE-1`, `RESERVE-2`, `RESERVE-3` | zeros, which hold space for when the disk is full: [`reserve_bytes`](FileSettings::reserve_bytes) |
//! | `<label>-<n>.cut` | bytes that were cut or found damaged, kept for people to look at |
//!
//! Everything else is listed as foreign and left alone.
//!
//! # How a segment comes and goes
//! A segment is staged under a spare's name: its bytes, then zeros, then `fsync`; only then it is renamed
//! to its own name, and then the directory is synced. So whatever a power loss leaves, a name that
//! ends in `.wal` has a whole header. What is staged and given up is removed.
//!
//! The rename of a new segment replaces nothing. One that takes the place of another looks at the header of
//! that one first; then the two files exchange their names in one step, and the header of what came out is
//! looked at again. If it is not what was to go, the names are exchanged back; otherwise it is removed. A crash
//! leaves the old file or the new one under the name, and the other one under a spare's name or none.
//!
//! A removed segment is renamed to a spare, up to
//! [`max_spares`](FileSettings::max_spares), and keeps its old bytes when it becomes a segment again. However many
//! segments are removed in one call, the directory is synced once.
//! A file that has a second name is never recycled, as in a backup made of links (`cp -al`): what is written to it
//! would be written there, too. That is looked at when the segment is removed, and again before the spare is used.
//! (Windows does not tell; there such a file is recycled.)
//!
//! Spares go when the lock is let go of, and their space is free. Those that a killed process left
//! are removed when the lock is taken next, as only one process can
//! promise that their old frames belong to an older generation of the same log.
//!
//! # Filling ahead
//! A sync is cheap if it need not allocate blocks or change the file's length: 1.3 to 2.4 times as
//! many per second, measured. `fallocate` does not achieve that (its blocks have to be marked as
//! written, which is a metadata change for each), writing zeros does. So as soon as a write leaves
//! the part of the file that was written before, the rest of the next
//! [`preallocate_bytes`](FileSettings::preallocate_bytes) is filled with zeros behind the data, up to
//! the capacity that the segment was created with. A segment that is opened again is not filled: nothing is
//! appended to it. Nor is any where a file system copies on write: there zeros gain nothing. If the disk has no room for the zeros, the segment goes on without them. `DirectStorage` fills ahead for
//! the same reason, and because a direct write beyond the end of a file is slow; `MmapStorage` because
//! memory may only be mapped to bytes that exist.
//!
//! # Platform notes
//! - **Linux**: `fdatasync` and `fsync`; the directory is opened and synced with `fsync`. Where that is
//!   refused (`EINVAL`, `EBADF`, `ENOTSUP`) the whole file system is synced instead (`syncfs`), if it is one of which
//!   is known that this makes names durable: ext2, ext3, ext4, XFS, btrfs, tmpfs, overlayfs. Elsewhere (CIFS, vboxsf,
//!   some virtiofs) opening fails as `Unsupported`, or goes on with
//!   [`allow_unsynced_names`](FileSettings::allow_unsynced_names), which says what that costs. Write-through
//!   is one `pwritev2` with `RWF_DSYNC` on ext2, ext3, ext4, XFS, btrfs and tmpfs. It is a write and an `fdatasync`
//!   on every other file system, and where the flag is not known
//!   ([`trust_write_through`](FileSettings::trust_write_through)). Locking is `flock`, which belongs to the open file: a second storage in the same
//!   process is refused like any other. On NFS a lock may be local to the machine, and a sync is
//!   what the server makes of it.
//!   A rename that replaces nothing and an exchange of names are `renameat2`, which ext4, XFS, btrfs, tmpfs and most
//!   others know. NFS does not: see "plain renames" below.
//!   Direct writes (`O_DIRECT`) are up to the file system: ext4, XFS, btrfs and, since Linux 6.6, tmpfs
//!   take them; others refuse, which taking the lock tells. A mapping and the cache of a file are one,
//!   so `fdatasync` covers what was copied; on btrfs and ZFS it needs space even to overwrite (see
//!   [a store cannot fail](MmapStorage#a-store-cannot-fail)).
//!   `UringStorage` needs Linux 5.6 or newer, and a system that allows io_uring. Otherwise opening it fails as
//!   `Unsupported`.
//! - **macOS, iOS**: `fsync` leaves the bytes in the drive's own cache there. The standard library calls
//!   `fcntl(F_FULLFSYNC)` for both `sync_data` and `sync_all`, on files and directories, which is what
//!   counts; a volume that does not support it (some network shares) answers with an error, which is
//!   passed on.
//! - **Windows**: `FlushFileBuffers` makes the bytes, the length and the metadata of a *file* durable.
//!   There is no documented way to make a *name* durable: a directory cannot be flushed, so
//!   `sync_dir` does nothing. NTFS writes creations, renames and removals to its journal in order, and
//!   flushing any file of the volume later writes the journal out; so a segment's name is in practice
//!   durable with the first sync of its records, but a rename or removal alone may be undone by a
//!   power loss. After that a removed segment may be back, which the log above has to bear, and
//!   the segment created last may be missing only if none of its records was ever synced.
//!   Locks are mandatory: nobody else can read the process id in `LOCK`.
//!   A file cannot be cut while it is mapped; `MmapStorage` unmaps first.
//! - **Everywhere but Linux** a durable write is a write and a sync (unless
//!   [`trust_write_through`](FileSettings::trust_write_through) says otherwise, which gains nothing), [`DirectStorage`] is unsupported, `UringStorage` does not exist, and a sync of [`MmapStorage`] first
//!   flushes the mapping (`msync`, `FlushViewOfFile`).
//! - **Plain renames**, where the system has no others (NFS, and everything but Linux): a new segment looks
//!   whether its name is free and is then renamed; one that replaces another looks at what it is going to replace
//!   and is then renamed over it. Each is one step for readers and for a crash. But a second writer that ignores the
//!   lock could put a segment there between the look and the rename, and it would be replaced unseen.
//! - **Elsewhere** (other Unix): `fsync` or `fdatasync` as the standard library does. Where it knows
//!   no file locks, taking the lock is refused as unsupported.
//!
//! The standard library repeats an interrupted `fsync` (`EINTR`): that says that the wait was cut
//! short, not that a write failed. No other failed sync is ever repeated, see [`File::sync_data`].
//!
//! # Another file system
//! [`FileSystem`] and [`File`] are the calls this crate makes, [`RealFs`] makes them for real. A model
//! that implements them can crash the very code that runs in production.
//!
//! # Inside
//! | folder | idea |
//! | --- | --- |
//! | `os` | the seam: the calls of the operating system, real or modelled |
//! | `file` | `FileStorage`: the directory, the segments in it, spares, lock and names |
//! | `layer` | what the three storages above it share |
//! | `direct`, `mmap`, `uring` | one storage each, and its settings |
//!
//! Imports go one way: from a storage to `layer`, `file` and `os`, and from `file` to `os`.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod direct;
mod file;
mod layer;
mod mmap;
mod os;
#[cfg(all(target_os = "linux", feature = "uring"))]
mod uring;

pub use direct::{DirectSettings, DirectStorage, LastBlock};
pub use file::{FileSettings, FileStorage, NewDirectory};
pub use mmap::{MmapSettings, MmapStorage};
pub use os::{
    DirEntry, DirectFile, File, FileSystem, FsProfile, Links, Mapping, NodeKind, RealFile, RealFs,
};
#[cfg(all(target_os = "linux", feature = "uring"))]
pub use uring::{UringSettings, UringStorage};
