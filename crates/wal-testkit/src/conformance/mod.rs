//! The conformance kit: whether an implementation of a trait keeps the trait's contract.
//!
//! | you wrote | run | you give it |
//! | --- | --- | --- |
//! | a [`LogStorage`](wal_core::LogStorage) | [`storage_conformance!`](crate::storage_conformance) | a [`Medium`] to put it on |
//! | a [`Codec`](wal_core::Codec) | [`codec_conformance!`](crate::codec_conformance) | a strategy that makes records |
//! | a [`SyncStrategy`](wal_core::SyncStrategy) | [`strategy_conformance!`](crate::strategy_conformance) | nothing else |
//!
//! Each macro makes a module of named tests, one for each sentence of the contract that can be seen
//! from outside. A test that cannot be run says so: it prints a line that the test harness does not
//! swallow, and the test `what_was_skipped` lists all of them with their reasons.
//!
//! Behind the macros are plain functions: [`storage`] and [`codec`] hold one for each test, and
//! [`examine`] and [`codec::examine`] run one and return what it found. A broken promise is a
//! [`Breach`] of contract: what was promised, what was seen, and the calls that led there.
//!
//! # Inside
//! | file | idea |
//! | --- | --- |
//! | `medium` | what the user says about what the storage lives on |
//! | `bench` | runs one check of a storage: needs, skips, power losses |
//! | `witness` | writes down every call that a check makes |
//! | `checked` | passed, skipped, or a breach |
//! | `storage` | the checks of a storage |
//! | `codec` | the checks of a codec |
//! | `strategy` | the checks of a sync strategy |
//! | `allocation` | an allocator that counts |

mod allocation;
mod bench;
mod checked;
pub mod codec;
mod medium;
pub mod storage;
pub mod strategy;
mod witness;

pub use allocation::AllocationWatch;
pub use bench::{Bench, examine, need_of};
pub use checked::{Breach, Checked, Stop, report, report_skips};
pub use medium::{Medium, Need};
pub use witness::Witness;
