//! The bytes, as specified in FORMAT.md: segment header, frames, footer.
//!
//! Everything here is pure: bytes in, values out; but [`write_footer`] and [`shorten`], which end a
//! segment. All integers are little-endian.
//!
//! For tools that read or write a log's bytes themselves. These items change with the format's version, and are
//! not covered by semantic versioning. Nor is what is made of them elsewhere, such as
//! [`FrameReader`](crate::FrameReader) and the fields of [`RecoveredSegment`](crate::RecoveredSegment). [`LogId`] is
//! covered.

#![expect(
    clippy::exhaustive_structs,
    reason = "values of the format, made by those who write its bytes"
)]

mod crc;
mod footer;
mod frame;
mod header;
mod identity;
mod log_clock;
mod padding;
mod records;
mod seal;

pub use footer::{Ending, FOOTER_TRAILER_LEN, Footer, IndexEntry, SegmentSummary};
pub use frame::{
    BATCH_COUNT_LEN, FRAME_HEADER_LEN, Flags, FrameHeader, FrameKind, Salt, UNKNOWN_LAG,
    record_overhead,
};
pub(crate) use header::MAX_DATA_OFFSET;
pub use header::{
    FORMAT_VERSION, Features, LayerId, Layers, Maker, SEGMENT_HEADER_LEN, SEGMENT_MAGIC,
    SegmentHeader,
};
pub use identity::{LogId, Owner};
pub use log_clock::log_clock;
pub use padding::Padding;
pub(crate) use records::BatchTable;
pub use records::{Records, RecordsIn};
pub use seal::{read_footer, shorten, write_footer};

/// A fixed-size piece of a slice whose length was checked before.
#[inline]
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a slice of N bytes is an array of N bytes")
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}
