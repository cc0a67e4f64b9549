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
//! | `kill` | `kill -9` at random moments |
//! | `common` | running the command, and looking at what it left |

mod append;
mod common;
mod dump;
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
