#![doc = include_str!("../README.md")]
//!
//! # Map
//! | for | look at |
//! | --- | --- |
//! | the three traits, each with its contract | [`LogStorage`] (and [`Segment`]), [`SyncStrategy`], [`Codec`] |
//! | an open log | [`Wal`] for threads, [`AsyncWal`] for tasks, put together by [`Builder`] |
//! | the proof of a recovery | [`Recovered`], made by the crate `wal-recovery` |
//! | positions and times | [`Lsn`], [`Timestamp`], [`Clock`] |
//! | how safe | [`Durability`] of one append, [`Claim`] of a strategy |
//! | errors | [`Error`] with its [`ErrorKind`] |
//! | settings, events, counters | [`Settings`], [`Event`], [`Stats`] |
//! | the bytes | [`format`](mod@format), and [`FrameReader`] to read them |
//! | a storage for tests, a strategy | [`MemoryStorage`], [`Always`] |
#![cfg_attr(docsrs, feature(doc_cfg))]

mod always;
mod async_wal;
mod builder;
mod clock;
mod codec;
mod engine;
mod entry;
mod error;
mod events;
pub mod format;
mod inner;
mod io;
mod iter;
mod lsn;
mod memory;
mod read;
mod recovered;
mod settings;
mod storage;
mod strategy;
mod stream;
mod sync;
mod wal;

pub use always::Always;
pub use async_wal::AsyncWal;
pub use builder::Builder;
#[doc(hidden)]
pub use clock::Recent;
pub use clock::{Clock, SystemClock};
pub use codec::{Codec, CodecId, RawCodec};
#[doc(hidden)]
pub use engine::Pace;
pub use engine::{Acknowledged, Drive, Submitted};
pub use entry::Entry;
pub use error::{Error, ErrorKind, Result};
pub use events::{Event, Stats};
pub use io::Io;
#[doc(hidden)]
pub use io::block_on;
pub use iter::{Follow, Followed, Iter};
pub use lsn::{Lsn, LsnRange, Timestamp};
pub use memory::MemoryStorage;
pub use read::{Frame, FrameReader, FrameRef, FrameStep, FramesAhead};
pub use recovered::{Recovered, RecoveredParts, RecoveredSegment};
pub use settings::Settings;
pub use storage::{
    Access, Capabilities, Changes, Copied, Fence, Listing, LogStorage, OpenReserve, Publish,
    Segment, Staged, StagedSegment, Standing, StorageLock, WriteMode, copy_in_pieces,
};
pub use strategy::{Claim, Decision, Durability, Loss, SyncStrategy, SyncWhen, TailView, Trigger};
pub use stream::RecordStream;
pub use wal::Wal;
