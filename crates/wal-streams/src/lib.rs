#![doc = include_str!("../README.md")]
//!
//! # Map
//! | to | use |
//! | --- | --- |
//! | open a log for streams, close it, list them | [`Streams`], [`Settings`] |
//! | append, read, truncate one of them | [`Stream`], named by its [`StreamId`] |
//! | append now and wait later, on a thread or in a task | [`Submitted`] |
//! | read one stream, or all in one pass | [`Iter`], [`IterAll`] |
//! | know which stream keeps how much of the shared log | [`Stats`], [`StreamStats`] |
//!
//! # What is promised
//! - **Order.** The records of a stream are in the order of their LSNs, in the shared log too. Between
//!   streams: if an append to one was placed before an append to another, a crash never keeps the second
//!   and loses the first.
//! - **Atomicity.** A batch of one stream is one frame: after a crash all of it is there, or nothing.
//! - **Durability.** What the strategy of the shared log claims, counted over all streams together: a
//!   record of a stream is one record of the shared log, with the bytes of its lead added.
//! - **Numbers.** An LSN under which a record was ever durable is never given to another record of the
//!   stream: not after truncation, not after the stream was emptied, not after the segments with its
//!   records are gone.
//! - **Truncation** is exact, durable on return, and of one stream only. Whole segments go back to the
//!   storage when no stream needs them: the one that lags behind keeps the others' old records on the disk.
//!
//! Cutting the *shared* log at its back (a recovery up to a point in time, a truncation with the command
//! line) gives out again the numbers of the appends that were cut.
//!
//! # What it costs
//! - An append or batch: a lead of 4 to 26 bytes beside the frame's own 24, and 4 for each further record,
//!   as in any log. The first record is copied once more. Nothing is allocated per record.
//! - Reading a stream reads the shared log from the nearest indexed place on and passes over what belongs
//!   to others: of 32 even streams, one costs the reading of all 32. To replay all of them,
//!   [`Streams::iter`] reads everything once. The example `partitions` measures both.
//! - Opening reads one record after a clean close; else every record that is left in the shared log, once.
//! - Memory: at most 96 KiB for each stream, whatever the size of the log.
//!
//! # Inside
//! | file | idea |
//! | --- | --- |
//! | `id`, `settings` | the name of a stream; the numbers of a shared log |
//! | `positions`, with `index` and `marks` | what is remembered of a stream in memory |
//! | `inventory` | the same of all streams: what an opening begins with |
//! | `layout` | the bytes of the shared log's records |
//! | `codec` | makes a shared log and a plain log refuse each other |
//! | `shared` | what all handles share: the log, the streams, counters |
//! | `demux` | the shared log, record by record, each with its stream |
//! | `scan` | the inventory, learned from the whole log |
//! | `closing` | the inventory, learned from what a clean close left |
//! | `append`, `read`, `truncate`, `stats` | what is done with one stream, or with all |
//! | `stream`, `streams` | the handles |
//!
//! Imports go one way: a file imports files of the rows above its own; `streams` also imports `stream`.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod append;
mod closing;
#[cfg(test)]
mod crash;
mod demux;
mod id;
mod index;
mod inventory;
mod layout;
mod marks;
mod positions;
mod read;
mod scan;
mod settings;
mod shared;
mod stats;
mod stream;
mod streams;
mod truncate;

pub use append::{Acknowledged, Submitted};
pub use id::StreamId;
pub use read::{Iter, IterAll};
pub use settings::Settings;
pub use stats::{Stats, StreamStats};
pub use stream::Stream;
pub use streams::Streams;
