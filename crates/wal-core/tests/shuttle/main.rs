//! Models of the commit pipeline for shuttle: five to eight threads, under schedules drawn at random.
//!
//! Loom can only have few threads. These models have more: the role of the syncer goes from one thread to the next,
//! tasks come between threads, and truncation and close happen in the middle of it.
//! shuttle takes every atomic operation for sequentially consistent, so weak memory is loom's part.
//!
//! Run with `cargo xtask shuttle`, which also replays a schedule that failed.
//!
//! | file | idea |
//! | --- | --- |
//! | `contention` | every strategy with threads, tasks, syncs and a crash |
//! | `ends` | truncation, rotation, failure and close beside many threads |
//! | `check` | runs a model and reports it |
#![cfg(wal_shuttle)]

mod check;
mod contention;
mod ends;
#[path = "../models/mod.rs"]
mod models;
