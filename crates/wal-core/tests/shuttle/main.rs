//! Models of the commit pipeline for shuttle: five to eight threads, under schedules drawn at random.
//!
//! Where loom goes through all interleavings of few threads, these have the crowd that loom cannot: leads
//! handed from one to the next, tasks between threads, truncation and close in the middle of it.
//! shuttle takes every atomic operation for sequentially consistent, so weak memory is loom's part.
//!
//! Run with `cargo xtask shuttle`, which also replays a schedule that failed.
//!
//! | file | idea |
//! | --- | --- |
//! | `crowd` | every strategy with threads, tasks, syncs and a crash |
//! | `ends` | truncation, rotation, failure and close in the crowd |
//! | `check` | runs a model and reports it |
#![cfg(wal_shuttle)]

mod check;
mod crowd;
mod ends;
#[path = "../models/mod.rs"]
mod models;
