//! From records to the body of a frame, outside every lock.

use std::borrow::Borrow;
use std::cell::Cell;

use bytes::BytesMut;

use crate::engine::{Body, BodyBytes, KEEP, new_buffer};
use crate::format::FRAME_HEADER_LEN;
use crate::{Codec, Error, ErrorKind, Lsn, Result, Timestamp};

/// Bytes of a number in the table of a batch.
const LEN: usize = 4;

/// A record that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<T> {
    /// The record's position.
    pub lsn: Lsn,
    /// When it was appended.
    pub timestamp: Timestamp,
    /// The record, decoded.
    pub record: T,
}

impl<T> Entry<T> {
    /// Puts an entry together; for implementors of readers.
    pub const fn new(lsn: Lsn, timestamp: Timestamp, record: T) -> Self {
        Entry { lsn, timestamp, record }
    }

    /// Decodes an entry whose record is still bytes.
    ///
    /// # Errors
    /// `Codec`, naming the LSN.
    pub fn decode<C: Codec<Decoded = T>>(raw: Entry<bytes::Bytes>, codec: &C) -> Result<Self> {
        let Entry { lsn, timestamp, record } = raw;
        let record = codec.decode(record).map_err(|e| e.lsn(lsn))?;
        Ok(Entry { lsn, timestamp, record })
    }
}

/// Something that can be encoded into the body of one frame.
pub(crate) trait Source {
    /// Encodes, checks the bounds, and lends the body to `f`.
    fn with_body<R>(
        &self,
        body_limit: u64,
        record_limit: Option<u64>,
        f: impl FnOnce(&mut Body<'_>) -> R,
    ) -> Result<R>;
}

/// One record.
pub(crate) struct One<'a, C: Codec> {
    pub(crate) codec: &'a C,
    pub(crate) record: &'a C::Record,
}

impl<C: Codec> Source for One<'_, C> {
    fn with_body<R>(
        &self,
        body_limit: u64,
        record_limit: Option<u64>,
        f: impl FnOnce(&mut Body<'_>) -> R,
    ) -> Result<R> {
        if let Some(bytes) = self.codec.as_encoded(self.record) {
            check_record(bytes.len(), body_limit, record_limit)?;
            let (record_bytes, crc) = (bytes.len() as u64, crc32c::crc32c(bytes));
            let bytes = BodyBytes::Lent(bytes);
            return Ok(f(&mut Body { records: 1, record_bytes, crc, bytes }));
        }
        with_frame(FRAME_HEADER_LEN, |frame| {
            let len = encode(self.codec, self.record, frame)?;
            check_record(len, body_limit, record_limit)?;
            Ok(f(&mut framed(frame, 1, len)))
        })
    }
}

/// An atomic batch.
pub(crate) struct Many<'a, C, R> {
    pub(crate) codec: &'a C,
    pub(crate) records: &'a [R],
}

impl<C: Codec, B: Borrow<C::Record>> Source for Many<'_, C, B> {
    fn with_body<R>(
        &self,
        body_limit: u64,
        record_limit: Option<u64>,
        f: impl FnOnce(&mut Body<'_>) -> R,
    ) -> Result<R> {
        let [first, rest @ ..] = self.records else {
            return Err(Error::new(ErrorKind::Invalid, "append batch").detail("the batch is empty"));
        };
        if rest.is_empty() {
            return One { codec: self.codec, record: first.borrow() }.with_body(
                body_limit,
                record_limit,
                f,
            );
        }
        // The last length follows from the others, but there is the count.
        let table_len = LEN * self.records.len();
        if table_len as u64 > body_limit {
            return Err(too_large("batch", table_len as u64, body_limit));
        }
        let first = FRAME_HEADER_LEN + table_len;
        with_frame(first, |frame| {
            let count = self.records.len();
            let tabulate = |frame: &mut BytesMut, entry: usize, number: usize| {
                let at = FRAME_HEADER_LEN + LEN * entry;
                frame[at..at + LEN].copy_from_slice(&(number as u32).to_le_bytes());
            };
            tabulate(frame, 0, count);
            for (at, record) in self.records.iter().enumerate() {
                let len = encode(self.codec, record.borrow(), frame)?;
                check_record(len, body_limit, record_limit)?;
                let body = (frame.len() - FRAME_HEADER_LEN) as u64;
                if body > body_limit {
                    return Err(too_large("batch", body, body_limit).detail(format!(
                        "record {at} of {count} makes it {body} bytes, allowed are {body_limit}"
                    )));
                }
                if at + 1 < count {
                    tabulate(frame, at + 1, len);
                }
            }
            let record_bytes = frame.len() - first;
            Ok(f(&mut framed(frame, count as u32, record_bytes)))
        })
    }
}

/// Puts a record behind what is in `frame`; returns its length.
#[inline]
fn encode<C: Codec>(codec: &C, record: &C::Record, frame: &mut BytesMut) -> Result<usize> {
    if let Some(bytes) = codec.as_encoded(record) {
        frame.extend_from_slice(bytes);
        return Ok(bytes.len());
    }
    let before = frame.len();
    codec.encode(record, frame)?;
    frame.len().checked_sub(before).ok_or_else(|| {
        Error::new(ErrorKind::Codec, "append")
            .detail("the codec took bytes away instead of appending its own")
    })
}

/// The body that lies in `frame` behind the room for its header.
fn framed(frame: &mut BytesMut, records: u32, record_bytes: usize) -> Body<'_> {
    let crc = crc32c::crc32c(&frame[FRAME_HEADER_LEN..]);
    Body { records, record_bytes: record_bytes as u64, crc, bytes: BodyBytes::Framed(frame) }
}

#[inline]
fn check_record(len: usize, body_limit: u64, record_limit: Option<u64>) -> Result<()> {
    let limit = record_limit.unwrap_or(body_limit).min(body_limit);
    if len as u64 > limit { Err(too_large("record", len as u64, limit)) } else { Ok(()) }
}

#[cold]
fn too_large(what: &str, len: u64, limit: u64) -> Error {
    Error::new(ErrorKind::TooLarge, "append")
        .detail(format!("the {what} has {len} bytes, allowed are {limit}"))
}

/// Lends the memory in which this thread encodes, with so many zeros in it. It is kept from call to call, so
/// that encoding allocates nothing.
fn with_frame<R>(zeros: usize, f: impl FnOnce(&mut BytesMut) -> Result<R>) -> Result<R> {
    std::thread_local! {
        static FRAME: Cell<Option<BytesMut>> = const { Cell::new(None) };
    }
    let mut frame = FRAME.take().unwrap_or_else(new_buffer);
    frame.clear();
    frame.resize(zeros, 0);
    let outcome = f(&mut frame);
    // One huge record does not stay for good.
    if frame.capacity() <= KEEP {
        FRAME.set(Some(frame));
    }
    outcome
}
