//! Models of the commit pipeline for loom: two and three threads. Small models run under every schedule, larger ones
//! under every schedule with few preemptions.
//!
//! Run with `cargo xtask loom`, which prints how many executions each model had.
//!
//! | file | idea |
//! | --- | --- |
//! | `strategies` | every strategy keeps its claim, whenever the disk freezes |
//! | `rotation` | the old segment is synced before the new one counts |
//! | `failure` | a failed sync acknowledges nobody, hangs nobody and is not tried again |
//! | `tasks` | tasks, the driver, dropped futures |
//! | `room` | threads that find the buffer full |
//! | `ends` | close and truncation beside appends |
//! | `check` | runs a model and reports it |
#![cfg(wal_loom)]

mod check;
mod ends;
mod failure;
#[path = "../models/mod.rs"]
mod models;
mod room;
mod rotation;
mod strategies;
mod tasks;
