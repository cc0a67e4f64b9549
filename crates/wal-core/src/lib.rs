//! The traits, byte format and commit pipeline of a composable write-ahead log.

mod clock;
mod codec;
mod error;
mod events;
pub mod format;
mod io;
mod lsn;
mod settings;
mod storage;
mod strategy;

pub use clock::{Clock, SystemClock};
pub use codec::{Codec, CodecId, RawCodec};
pub use error::{Error, ErrorKind, Result};
pub use events::{Event, Stats};
pub use io::{Io, block_on};
pub use lsn::{Lsn, LsnRange, Timestamp};
pub use settings::Settings;
pub use storage::{Access, Capabilities, Listing, LogStorage, Segment, StorageLock, WriteMode};
pub use strategy::{Claim, Decision, Durability, Loss, SyncStrategy, SyncWhen, TailView, Trigger};
