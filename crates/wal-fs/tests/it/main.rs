//! The storages on files, as a log uses them.
//!
//! | module | what is tested |
//! | --- | --- |
//! | `changes` | who waits for changes is told of them |
//! | `files` | `FileStorage`: what it keeps, lists and refuses |
//! | `order` | which calls reach the file system, and in which order |
//! | `staged` | what is published over what, and what is left of what was not |
//! | `trouble` | full disks, short and interrupted calls, failed syncs |
//! | `fence` | what holds if the lock does not |
//! | `lock` | one writer, in this process and among others |
//! | `links` | files with a second name, and spares that go with the lock |
//! | `reserve` | space that is kept for when there is none |
//! | `places` | what file systems differ in, and what must not depend on settings |
//! | `direct` | `DirectStorage`: whole blocks in one call |
//! | `mmap` | `MmapStorage`: copies, and ordinary writes at the end of a window |
//! | `mmap_helper` | the thread of `MmapStorage` |
//! | `uring` | `UringStorage`: futures that are pending, and futures that are dropped |
//! | `disks` | disks of their own, which only root can mount |
//!
//! `tests/allocations.rs` is a program of its own, as it replaces the allocator.

#[cfg(target_os = "linux")]
mod changes;
#[cfg(target_os = "linux")]
mod direct;
#[cfg(target_os = "linux")]
mod disks;
mod fence;
mod files;
mod links;
mod lock;
mod mmap;
mod mmap_helper;
mod order;
mod places;
mod reserve;
mod staged;
mod trouble;
#[cfg(all(target_os = "linux", feature = "uring"))]
mod uring;
