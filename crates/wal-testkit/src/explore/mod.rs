//! The crash explorer: every claim of a strategy on a storage, held against every crash.
//!
//! A workload runs once ([`crate::simulation`]). For every state that it left behind, images of the
//! disk are built as a power loss or the death of the process may leave them; on each the real
//! recovery runs, and all oracles ([`crate::promise`]) are checked; and again inside that recovery.
//!
//! | file | idea |
//! | --- | --- |
//! | `explorer` | which workloads, and for how long |
//! | `directed`, `generate` | written and random workloads |
//! | `sweep` | all crashes of one workload; counts, and the worst loss seen |
//! | `fates` | which fates of the pending changes are tried |
//! | `images` | what a crash leaves of a moment |
//! | `examine` | one image: recover, check, crash again, append, crash again |
//! | `at_rest` | damage to bytes that were durable |
//! | `full_disk` | a disk without room at every step |
//! | `salvage` | keeping what is left of them |
//! | `case` | one crash of one workload as a line of text |
//! | `replay` | runs a case again |
//! | `shrink` | the smallest case that still fails |
//! | `story` | a case, told line by line |
//! | `outcome` | what was found |

mod at_rest;
mod case;
mod directed;
mod examine;
mod explorer;
mod fates;
mod full_disk;
mod generate;
mod images;
mod outcome;
mod replay;
mod salvage;
mod shrink;
mod story;
mod sweep;

pub use case::{Case, CrashSpec};
pub use explorer::Explorer;
pub use generate::any_workload;
pub use outcome::{Failure, Outcome, Tightness, Worst};
