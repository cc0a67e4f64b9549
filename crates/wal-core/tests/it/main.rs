//! The log under test, as its users see it: one module for each thing that it does.
//!
//! | module | holds |
//! | --- | --- |
//! | `pipeline` | commits under threads: when appends are acknowledged, who syncs, what a failure does |
//! | `panics` | what becomes of a log whose storage or strategy panics, or whose caller does |
//! | `tasks`, `in_place`, `polling_thread` | the same for tasks; on which thread their work is done |
//! | `commit_groups`, `handover`, `written` | who waits for what, and how work goes from one caller to the next |
//! | `buffer`, `limits` | the memory for frames, and what exceeds a bound |
//! | `deadlines`, `tail_view`, `time` | what is done later, what a strategy sees of the tail, the time of records |
//! | `truncation` | what a truncation takes, in which calls, and beside what |
//! | `segments`, `padding`, `golden_bytes`, `frames` | the bytes |
//! | `reading`, `following` | reading an open log |
//! | `recovered` | opening holds what it was given against the storage |
//! | `pace` | the folder of the sources that changes only the speed knows nothing of the engine |
//! | `counters`, `errors`, `refusals` | what a log tells of itself |
//!
//! `support` has a storage in memory with gates, failures and counters.

mod buffer;
mod commit_groups;
mod counters;
mod deadlines;
mod errors;
mod following;
mod frames;
mod golden_bytes;
mod handover;
mod in_place;
mod limits;
mod pace;
mod padding;
mod panics;
mod pipeline;
mod polling_thread;
mod reading;
mod recovered;
mod refusals;
mod segments;
mod tail_view;
mod tasks;
mod time;
mod truncation;
mod written;

#[path = "../support/mod.rs"]
mod support;
