#![doc = include_str!("../README.md")]
//!
//! # What a strategy is
//! A strategy answers two questions about every append: when is its caller acknowledged, and when
//! must the records that are not durable yet be synced? It answers from a
//! [`TailView`](wal_core::TailView) alone; the log acts. What may be lost is stated as data, the
//! strategy's [`Claim`](wal_core::Claim).
//!
//! | strategy | acknowledged | synced | process crash loses | power loss loses |
//! | --- | --- | --- | --- | --- |
//! | [`Always`] | when durable | at once | nothing | nothing |
//! | [`GroupCommit`] | when durable | at once, or after a group wait | nothing | nothing |
//! | [`Adaptive`] | when durable | as group commit, with a wait that tunes itself | nothing | nothing |
//! | [`Batch`] | when written; when durable at a bound | at `n` records, `b` bytes or an age | nothing | at most `n-1` records, `b-1` bytes, a window of time |
//! | [`Interval`] | when written; when durable if overdue | at an age | nothing | a window of time |
//! | [`Os`] | when written | on request only | nothing | whatever was not synced by request |
//!
//! "Written" means handed to the operating system, which survives the process but not a loss of
//! power. Bounds in records and bytes hold also while a sync is slow, because they count what is
//! in flight: the append that would exceed the bound waits. What a bound in time means is written
//! at [`Loss::window`](wal_core::Loss::window). Whatever the strategy, a caller can ask for more
//! with [`Durability`](wal_core::Durability) on a single append.
//!
//! # Which one
//! - Nothing may be lost: [`GroupCommit::new`]. With one writer it does what [`Always`] does, with
//!   many they share syncs. [`Always`] says so in its name; take it where that is worth something.
//! - Nothing may be lost, many writers, slow syncs, and the number of syncs matters: [`Adaptive`],
//!   or a `GroupCommit` with a wait that was measured.
//! - A counted loss is acceptable: [`Batch`]. It is the only one that bounds the loss in numbers.
//! - The last second may be lost: [`Interval`].
//! - The application syncs at its own points, or the data can be had again: [`Os`].
//!
//! [`Policy`] reads any of them from text such as `batch:1000,1MiB,10ms`, for configuration files
//! and command lines.
//!
//! # Where what lives
//! One file per strategy (`always`, `group`, `adaptive`, `batch`, `interval`, `os`), `policy` and
//! its `units`, `limits` for the ranges. The claims are tested on `simulated_log`, a small
//! discrete-event simulation of the log with crashes at every moment; `wrong_strategies` are the
//! mistakes that it must find.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod adaptive;
mod always;
mod batch;
mod group;
mod interval;
mod limits;
mod os;
mod policy;
mod units;

#[cfg(test)]
mod simulated_log;
#[cfg(test)]
mod wrong_strategies;

pub use adaptive::Adaptive;
pub use always::Always;
pub use batch::Batch;
pub use group::GroupCommit;
pub use interval::Interval;
pub use os::Os;
pub use policy::Policy;
