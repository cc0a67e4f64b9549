//! The conformance kit: whether an implementation of a trait keeps the trait's contract.
//!
//! | you wrote | run | you give it |
//! | --- | --- | --- |
//! | a [`LogStorage`](wal_core::LogStorage) | [`storage_conformance!`](crate::storage_conformance) | a [`Place`] to put it |
//! | a [`Codec`](wal_core::Codec) | [`codec_conformance!`](crate::codec_conformance) | a strategy that makes records |
//! | a [`SyncStrategy`](wal_core::SyncStrategy) | [`strategy_conformance!`](crate::strategy_conformance) | nothing else |
//!
//! Each macro makes a module of named tests, one for each sentence of the contract that can be seen
//! from outside. A test that cannot be run says so: it prints a line that the test harness does not
//! swallow, and the test `what_was_skipped` lists all of them with their reasons.
//!
//! Behind the macros are plain functions: [`storage`] and [`codec`] hold one for each test, and
//! [`examine`] and [`codec::examine`] run one and return what it found. A broken promise is a
//! [`Violation`]: what was promised, what was seen, and the calls that led there.
//!
//! # Inside
//! | file | idea |
//! | --- | --- |
//! | `place` | what the user says about where the storage lives |
//! | `bench` | runs one check of a storage: needs, skips, power losses |
//! | `witness` | writes down every call that a check makes |
//! | `outcome` | passed, skipped, violated |
//! | `storage` | the checks of a storage |
//! | `codec` | the checks of a codec |
//! | `strategy` | the checks of a sync strategy |
//! | `allocation` | an allocator that counts |

mod allocation;
mod bench;
pub mod codec;
mod outcome;
mod place;
pub mod storage;
pub mod strategy;
mod witness;

pub use allocation::AllocationWatch;
pub use bench::{Bench, examine, need_of};
pub use outcome::{Outcome, Stop, Violation, report, report_skips};
pub use place::{Need, Place};
pub use witness::Witness;
