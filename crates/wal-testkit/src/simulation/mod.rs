//! A log under a workload, on one thread, a simulated clock and a model file system.
//!
//! The engine, the strategy, the storage and the recovery are the real ones. What an observer outside
//! can know is written down as it happens, and the file system keeps its state before every change:
//! so a workload runs once, and any number of crashes are looked at afterwards.
//!
//! - `subject`: what is put to the proof: a strategy and a storage
//! - `step`: what a workload consists of
//! - `workload`: a list of steps, and its text
//! - `clock`: time that moves when it is told to
//! - `history`: what happened, and what is known at any moment of it
//! - `world`: runs a workload
//! - `actor`: the part of it that can also act while a sync is in flight

mod actor;
mod clock;
mod history;
mod step;
mod subject;
mod workload;
mod world;

pub use clock::SimulatedClock;
pub(crate) use history::{Event, Knowledge};
pub use step::{LiveFault, Step};
pub use subject::{StorageUnderTest, Subject, Tested};
pub use workload::Workload;
pub(crate) use world::{Found, LOG_ID, Run, read_all, run, settings};
