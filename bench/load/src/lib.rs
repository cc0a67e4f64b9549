//! Workloads, and time-boxed measuring of them: the same for the log, for raw loops and for peers.
//!
//! | | |
//! | --- | --- |
//! | what is done | [`Workload`]: how many [`Writers`], records of which size, how many at once |
//! | for how long | [`Timing`] |
//! | by whom | [`threads`] and [`tasks`], which call a writer again and again |
//! | what came out | [`Sample`], with its [`Latency`] |
//!
//! Only what ends within the measured time counts for the rate. A call that begins in it is waited for
//! and counts for the latency, however long it takes: a starved writer cannot hide.

#![expect(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "only the benches of this repository use it, and they change with it"
)]

mod meter;
mod sample;
mod tasks;
mod threads;
mod timing;
mod workload;

pub use sample::{Latency, QUANTILES, Sample};
pub use tasks::{AsyncWriter, tasks};
pub use threads::threads;
pub use timing::Timing;
pub use workload::{Workload, Writers};
