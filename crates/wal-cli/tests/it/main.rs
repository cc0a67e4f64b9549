//! The tests of the command, in one program: each runs the real `wal`.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `append`, `dump`, `verify` | what the subcommands do |
//! | `shell` | help texts and completions |
//! | `readme` | the commands in the README |
//! | `syncs` | how often the command really syncs |
//! | `hostile` | bad input and hostile surroundings |
//! | `places` | file systems that refuse to sync a directory or to lock a file |
//! | `hints` | what a message says that one may do, done |
//! | `backup` | copies of a log, made beside its writer |
//! | `copies` | copies of a log that are not whole |
//! | `bounded` | every command in little memory |
//! | `full_disk` | disks without room, which the log makes room on |
//! | `kill` | `kill -9` at random moments |
//! | `common` | running the command, and looking at what it left |

mod append;
mod backup;
#[cfg(target_os = "linux")]
mod bounded;
mod common;
mod copies;
mod dump;
#[cfg(target_os = "linux")]
mod full_disk;
mod hints;
mod hostile;
#[cfg(unix)]
mod kill;
#[cfg(target_os = "linux")]
mod places;
#[cfg(unix)]
mod readme;
mod shell;
mod syncs;
mod verify;
