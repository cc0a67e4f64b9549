#![doc = include_str!("../README.md")]
//!
//! # Map
//! - [`ModelFs`]: a file system in memory that can lose whatever a power loss may lose. It stands
//!   below the real [`wal_fs::FileStorage`].
//! - [`FaultFs`]: any file system, real or model, with faults while the log runs, counters and a
//!   trace of every call.
//! - [`FaultStorage`]: any [`wal_core::LogStorage`] with failures, counters and a gate that holds syncs.
//! - [`CrashStorage`]: any [`wal_core::LogStorage`], below a cache that a power loss empties.
//! - [`Explorer`]: runs a [`Workload`] on a [`Subject`], crashes it at every change of the disk, and holds
//!   what comes back against the strategy's claim.
//! - [`conformance`]: whether your own strategy, storage or codec keeps its contract.
//! - [`Rng`]: the random numbers of all of them, the same everywhere for the same seed.
//!
//! # Where what lives
//! | folder | idea |
//! | --- | --- |
//! | `model` | the file system in memory, and what crashes leave of it |
//! | `inject` | wrappers that fail, shorten, count or hold calls |
//! | `crash_storage` | the model above any storage, as a cache |
//! | `promise` | what is known of a log, and whether what came back keeps its promise |
//! | `simulation` | a log under a workload, on one thread and a simulated clock |
//! | `explore` | every crash of it, and the smallest case that fails |
//! | `owners` | several owners of one log, in every order of their calls |
//! | `conformance` | the checks of the three traits |
//! | `mutants` | seeded mistakes, each of which the explorer must find: the kit's own proof |
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod conformance;
mod crash_storage;
mod explore;
mod inject;
mod model;
// For the kit's own tests and for `cargo xtask`: these mistakes prove the kit, not a strategy or a storage of
// one's own.
#[doc(hidden)]
pub mod mutants;
mod owners;
mod promise;
mod rng;
mod simulation;

pub use crash_storage::{CrashStorage, Reuse};
pub use explore::{Case, CrashSpec, Explorer, Failure, Outcome, Tightness, Worst, any_workload};
pub use inject::{
    Call, Counters, FaultFile, FaultFs, FaultStorage, Faults, Op, OpKind, StorageCall,
    StorageControl, StorageCounters,
};
pub use model::{
    ATOM_BYTES, Atom, AtomKind, CrashPolicy, Fate, ModelFile, ModelFs, Moment, Rot, SyncFault,
    SyncKind,
};
pub use owners::{Act, Grain, Orders, Scenario};
pub use promise::{FaultKind, Violation};
#[doc(no_inline)]
pub use proptest;
pub use rng::Rng;
pub use simulation::{
    LiveFault, OwnershipLoss, SimulatedClock, Step, StorageUnderTest, Subject, Tested, Workload,
};
