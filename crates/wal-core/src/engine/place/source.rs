//! From records to the body of a frame, outside every lock.

use std::borrow::Borrow;
use std::cell::Cell;

use bytes::BytesMut;

use super::body::{Body, BodyBytes};
use super::buffer::{KEEP_BYTES, new_buffer};
use crate::format::{BatchTable, FRAME_HEADER_LEN};
use crate::{Codec, Error, ErrorKind, Result};

/// How large a body may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) body: u64,
    /// One record; `body` if that is less.
    pub(crate) record: u64,
}

impl Limits {
    #[inline]
    fn check_record(self, len: usize) -> Result<()> {
        if len as u64 > self.record {
            return Err(too_large("record", len as u64, self.record));
        }
        Ok(())
    }
}

#[cold]
fn too_large(what: &str, len: u64, limit: u64) -> Error {
    Error::new(ErrorKind::TooLarge, "append")
        .with_detail(format!("the {what} has {len} bytes, allowed are {limit}"))
}

/// Something that can be encoded into the body of one frame.
pub(crate) trait Source {
    /// Encodes, and checks the bounds.
    fn encode<'a>(&'a self, memory: &'a mut EncodeMemory, limits: Limits) -> Result<Body<'a>>;
}

/// One record.
pub(crate) struct One<'a, C: Codec> {
    pub(crate) codec: &'a C,
    pub(crate) record: &'a C::Record,
}

impl<C: Codec> Source for One<'_, C> {
    #[inline]
    fn encode<'a>(&'a self, memory: &'a mut EncodeMemory, limits: Limits) -> Result<Body<'a>> {
        encode_one(self.codec, self.record, memory, limits)
    }
}

/// An atomic batch.
pub(crate) struct Many<'a, C, R> {
    pub(crate) codec: &'a C,
    pub(crate) records: &'a [R],
}

impl<C: Codec, B: Borrow<C::Record>> Source for Many<'_, C, B> {
    fn encode<'a>(&'a self, memory: &'a mut EncodeMemory, limits: Limits) -> Result<Body<'a>> {
        match self.records {
            [] => {
                Err(Error::new(ErrorKind::Invalid, "append batch")
                    .with_detail("the batch is empty"))
            }
            // A batch of one record has no table.
            [record] => encode_one(self.codec, record.borrow(), memory, limits),
            records => encode_many(self.codec, records, memory, limits),
        }
    }
}

#[inline]
fn encode_one<'a, C: Codec>(
    codec: &C,
    record: &'a C::Record,
    memory: &'a mut EncodeMemory,
    limits: Limits,
) -> Result<Body<'a>> {
    if let Some(bytes) = codec.as_encoded(record) {
        limits.check_record(bytes.len())?;
        let (record_bytes, crc) = (bytes.len() as u64, crc32c::crc32c(bytes));
        return Ok(Body { records: 1, record_bytes, crc, bytes: BodyBytes::Lent(bytes) });
    }
    let frame = memory.begin(FRAME_HEADER_LEN);
    let len = encode(codec, record, frame)?;
    limits.check_record(len)?;
    Ok(framed(frame, 1, len))
}

fn encode_many<'a, C: Codec, B: Borrow<C::Record>>(
    codec: &C,
    records: &[B],
    memory: &'a mut EncodeMemory,
    limits: Limits,
) -> Result<Body<'a>> {
    let count = records.len();
    let table = BatchTable::of(count);
    if table.len() as u64 > limits.body {
        return Err(too_large("batch", table.len() as u64, limits.body));
    }
    let first = FRAME_HEADER_LEN + table.len();
    let frame = memory.begin(first);
    table.put_count(&mut frame[FRAME_HEADER_LEN..]);
    for (at, record) in records.iter().enumerate() {
        let len = encode(codec, record.borrow(), frame)?;
        limits.check_record(len)?;
        let body = (frame.len() - FRAME_HEADER_LEN) as u64;
        if body > limits.body {
            return Err(too_large("batch", body, limits.body).with_detail(format!(
                "record {at} of {count} makes it {body} bytes, allowed are {}",
                limits.body
            )));
        }
        table.put_len(&mut frame[FRAME_HEADER_LEN..], at, len);
    }
    let record_bytes = frame.len() - first;
    Ok(framed(frame, count as u32, record_bytes))
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
            .with_detail("the codec took bytes away instead of appending its own")
    })
}

/// The body that lies in `frame` behind the room for its header.
fn framed(frame: &mut BytesMut, records: u32, record_bytes: usize) -> Body<'_> {
    let crc = crc32c::crc32c(&frame[FRAME_HEADER_LEN..]);
    Body { records, record_bytes: record_bytes as u64, crc, bytes: BodyBytes::Framed(frame) }
}

std::thread_local! {
    static KEPT: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// The memory in which a thread encodes. It is taken when it is needed and kept from call to call, so that
/// encoding allocates nothing.
#[derive(Default)]
pub(crate) struct EncodeMemory(Option<BytesMut>);

impl EncodeMemory {
    /// An empty frame, with so many zeros in it.
    fn begin(&mut self, zeros: usize) -> &mut BytesMut {
        let frame = self.0.insert(KEPT.take().unwrap_or_else(new_buffer));
        frame.clear();
        frame.resize(zeros, 0);
        frame
    }
}

impl Drop for EncodeMemory {
    fn drop(&mut self) {
        // One huge record does not stay for good.
        if let Some(frame) = self.0.take().filter(|frame| frame.capacity() <= KEEP_BYTES) {
            KEPT.set(Some(frame));
        }
    }
}
