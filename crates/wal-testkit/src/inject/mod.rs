//! Wrappers that pass every call on, unless a fault strikes: one for file systems, one for storages.
//!
//! | file | idea |
//! | --- | --- |
//! | `fault_fs` | any file system, with faults and a record of what was asked of it |
//! | `faults` | its controls: which calls fail, are short, are interrupted; when the power goes off |
//! | `trace` | what was asked of a file system: one entry a call, and counters |
//! | `fault_storage` | any storage, with failures, counters and a gate that holds syncs |
//! | `control` | its controls |
//! | `rules` | which calls fail, and when: for both |

mod control;
mod fault_fs;
mod fault_storage;
mod faults;
mod rules;
mod trace;

pub use control::{StorageCall, StorageControl, StorageCounters};
pub use fault_fs::{FaultFile, FaultFs};
pub use fault_storage::FaultStorage;
pub use faults::Faults;
pub use trace::{Call, Counters, Op, OpKind};
