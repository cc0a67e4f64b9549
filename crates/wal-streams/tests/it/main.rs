//! Streams as a user sees them.
//!
//! | module | what is tested |
//! | --- | --- |
//! | `streams` | appending, reading, truncating and opening again, in memory and on files |
//! | `producers` | many producers, many streams, one log |
//!
//! `tests/allocations.rs` is a program of its own, as it replaces the allocator.

mod producers;
mod streams;
