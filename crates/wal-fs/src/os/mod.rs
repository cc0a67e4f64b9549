//! The seam at which the storages meet the operating system.
//!
//! | file | idea |
//! | --- | --- |
//! | `fs` | the traits: the few calls that a log on files needs |
//! | `real` | those calls, made for real through the standard library |
//! | `mapping` | a piece of a real file in memory |
//! | `profile` | what is known of a file system by its type |
//! | `names` | what only Linux has: renames that replace nothing, and exchanges |
//! | `notice` | what only Linux has: being told that something changed |
//! | `through` | what only Linux has: write-through, direct I/O, write-back |
//! | `process` | which process this is, and whether it was forked |
//! | `dir` | calls put together: the directory of a log |
//! | `whole` | calls put together: reads and writes that may be short |

pub(crate) mod dir;
mod fs;
mod mapping;
#[cfg(target_os = "linux")]
mod names;
#[cfg(target_os = "linux")]
mod notice;
mod process;
mod profile;
mod real;
#[cfg(target_os = "linux")]
mod through;
pub(crate) mod whole;

pub use fs::{DirEntry, DirectFile, File, FileSystem, Links, Mapping, NodeKind};
pub use profile::FsProfile;
pub use real::{RealFile, RealFs};
