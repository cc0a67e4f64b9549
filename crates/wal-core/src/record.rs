//! From records to the body of a frame, outside every lock.

use std::borrow::Borrow;
use std::cell::Cell;

use bytes::{BufMut, BytesMut};

use crate::engine::Body;
use crate::{Codec, Error, ErrorKind, Lsn, Result, Timestamp};

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
        f: impl FnOnce(&Body<'_>) -> R,
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
        f: impl FnOnce(&Body<'_>) -> R,
    ) -> Result<R> {
        let lend = |bodies: &[u8]| {
            check_record(bodies.len(), body_limit, record_limit)?;
            let crc = crc32c::crc32c(bodies);
            Ok(f(&Body { records: 1, table: &[], bodies, crc }))
        };
        match self.codec.as_encoded(self.record) {
            Some(bytes) => lend(bytes),
            None => with_scratch(|scratch| {
                self.codec.encode(self.record, &mut scratch.bodies)?;
                lend(&scratch.bodies)
            }),
        }
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
        f: impl FnOnce(&Body<'_>) -> R,
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
        let count = self.records.len() as u64;
        if 4 * count > body_limit {
            return Err(too_large("batch", 4 * count, body_limit));
        }
        with_scratch(|scratch| {
            scratch.table.put_u32_le(count as u32);
            for (at, record) in self.records.iter().enumerate() {
                let before = scratch.bodies.len();
                match self.codec.as_encoded(record.borrow()) {
                    Some(bytes) => scratch.bodies.put_slice(bytes),
                    None => self.codec.encode(record.borrow(), &mut scratch.bodies)?,
                }
                let len = scratch.bodies.len() - before;
                check_record(len, body_limit, record_limit)?;
                let body = 4 * count + scratch.bodies.len() as u64;
                if body > body_limit {
                    return Err(too_large("batch", body, body_limit).detail(format!(
                        "record {at} of {count} makes it {body} bytes, allowed are {body_limit}"
                    )));
                }
                // The last length follows from the others.
                if at + 1 < self.records.len() {
                    scratch.table.put_u32_le(len as u32);
                }
            }
            let crc = crc32c::crc32c_append(crc32c::crc32c(&scratch.table), &scratch.bodies);
            let Scratch { table, bodies } = &*scratch;
            Ok(f(&Body { records: count as u32, table, bodies, crc }))
        })
    }
}

fn check_record(len: usize, body_limit: u64, record_limit: Option<u64>) -> Result<()> {
    let limit = record_limit.unwrap_or(body_limit).min(body_limit);
    if len as u64 > limit { Err(too_large("record", len as u64, limit)) } else { Ok(()) }
}

fn too_large(what: &str, len: u64, limit: u64) -> Error {
    Error::new(ErrorKind::TooLarge, "append")
        .detail(format!("the {what} has {len} bytes, allowed are {limit}"))
}

/// Where a thread encodes. Kept from record to record, so that encoding allocates nothing.
#[derive(Default)]
struct Scratch {
    table: BytesMut,
    bodies: BytesMut,
}

impl Scratch {
    /// More than this is given back, so that one huge record does not stay for good.
    const KEEP: usize = 1 << 20;
}

fn with_scratch<R>(f: impl FnOnce(&mut Scratch) -> Result<R>) -> Result<R> {
    std::thread_local! {
        static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
    }
    let mut scratch = SCRATCH.take().unwrap_or_default();
    scratch.table.clear();
    scratch.bodies.clear();
    let outcome = f(&mut scratch);
    if scratch.table.capacity() + scratch.bodies.capacity() <= Scratch::KEEP {
        SCRATCH.set(Some(scratch));
    }
    outcome
}
