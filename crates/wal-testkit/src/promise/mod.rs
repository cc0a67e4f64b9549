//! What a log promises, and whether what an observer saw keeps it.
//!
//! A leaf: nothing here runs a log, or crashes one. [`crate::simulation`] tells it what happens while a
//! workload runs, [`crate::explore`] shows it what comes back after a crash.
//!
//! | file | idea |
//! | --- | --- |
//! | `knowledge` | what an observer outside learns, and what is known at any moment of it |
//! | `oracle` | what must hold of the records that come back |
//! | `fault_kind` | what can befall a log |
//! | `violation` | a promise that was not kept |

mod fault_kind;
mod knowledge;
pub(crate) mod oracle;
mod violation;

pub use fault_kind::FaultKind;
pub(crate) use knowledge::{Event, Found, Knowledge};
pub(crate) use oracle::{Crash, Lost};
pub use violation::Violation;
