//! A log under a workload, on one thread, a simulated clock and a model file system.
//!
//! The engine, the strategy, the storage and the recovery are the real ones. What an observer outside
//! can know is written down as it happens, and the file system keeps its state before every change:
//! so a workload runs once, and any number of crashes are looked at afterwards.
//!
//! | file | idea |
//! | --- | --- |
//! | `subject` | what is put to the proof: a strategy and a storage |
//! | `step` | what a workload consists of |
//! | `workload` | a list of steps, and its text |
//! | `world` | runs a workload |
//! | `actor` | the part of it that can also act while a sync is in flight |
//! | `lose` | what takes the log away from its owner |
//! | `opening` | opens the log, as a new process would |
//! | `below` | what the log stands on: a disk, and the faults on it |
//! | `history` | what is written down, and the bytes of the records |
//! | `clock` | time that moves when it is told to |

mod actor;
mod below;
mod clock;
mod history;
mod lose;
mod opening;
mod step;
mod subject;
mod workload;
mod world;

pub use clock::SimulatedClock;
pub(crate) use opening::{Opened, open, open_by};
pub use step::{LiveFault, OwnershipLoss, Step};
pub use subject::{StorageUnderTest, Subject, Tested};
pub use workload::Workload;
pub(crate) use world::{Run, run};
