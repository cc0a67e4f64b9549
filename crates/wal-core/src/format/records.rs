//! The records in the body of a frame.

use bytes::{Buf, Bytes};

use super::{BATCH_COUNT_LEN, u32_at};
use crate::{Error, ErrorKind, Result};

/// The table in front of the records of a batch: their count, and the length of each but the last.
#[derive(Clone, Copy)]
pub(crate) struct BatchTable {
    count: usize,
}

impl BatchTable {
    pub(crate) const fn of(count: usize) -> Self {
        BatchTable { count }
    }

    /// Its length in bytes. The count takes the place of the length that follows from the others.
    pub(crate) const fn len(self) -> usize {
        BATCH_COUNT_LEN * self.count
    }

    /// Writes the count into the beginning of a body.
    pub(crate) fn put_count(self, body: &mut [u8]) {
        body[..BATCH_COUNT_LEN].copy_from_slice(&(self.count as u32).to_le_bytes());
    }

    /// Writes the length of record `at` into the beginning of a body; nothing for the last.
    #[inline]
    pub(crate) fn put_len(self, body: &mut [u8], at: usize, len: usize) {
        if at + 1 < self.count {
            let entry = BATCH_COUNT_LEN * (at + 1);
            body[entry..entry + BATCH_COUNT_LEN].copy_from_slice(&(len as u32).to_le_bytes());
        }
    }
}

/// The number of records of a batch, and where the first one begins.
pub(super) fn batch(body: &[u8]) -> Result<(u32, usize)> {
    let fail =
        |detail: String| Err(Error::new(ErrorKind::Corrupt, "read frame").with_detail(detail));
    if body.len() < BATCH_COUNT_LEN {
        return fail(format!("batch of {} bytes has no count", body.len()));
    }
    let count = u32_at(body, 0);
    let table_end = BATCH_COUNT_LEN as u64 + 4 * u64::from(count).saturating_sub(1);
    if count == 0 || table_end > body.len() as u64 {
        return fail(format!("batch of {} bytes claims {count} records", body.len()));
    }
    let table_end = usize::try_from(table_end).expect("not longer than the body");
    let (table, bodies) = body.split_at(table_end);
    let lens = table[BATCH_COUNT_LEN..].chunks_exact(4);
    let total: u64 = lens.map(|len| u64::from(u32_at(len, 0))).sum();
    if total > bodies.len() as u64 {
        return fail(format!("lengths add up to {total} bytes, the batch has {}", bodies.len()));
    }
    Ok((count, table_end))
}

/// The records of one frame, in order, without copying.
#[derive(Clone, Debug)]
pub struct Records {
    /// Lengths of all records but the last.
    table: Bytes,
    bodies: Bytes,
    left: u32,
}

impl Records {
    /// Of a body with so many records, the first of which begins there.
    pub(super) fn new(body: Bytes, count: u32, first: usize) -> Self {
        if first == 0 {
            return Records { table: Bytes::new(), bodies: body, left: count };
        }
        let table = body.slice(BATCH_COUNT_LEN..first);
        Records { table, bodies: body.slice(first..), left: count }
    }
}

impl Iterator for Records {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        match self.left {
            0 => None,
            1 => {
                self.left = 0;
                Some(std::mem::take(&mut self.bodies))
            }
            _ => {
                self.left -= 1;
                let len = self.table.get_u32_le() as usize;
                Some(self.bodies.split_to(len))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Records {}

/// The records of one frame, in order, lent.
#[derive(Clone, Debug)]
pub struct RecordsIn<'a> {
    /// Lengths of all records but the last.
    table: &'a [u8],
    bodies: &'a [u8],
    left: u32,
}

impl<'a> RecordsIn<'a> {
    /// Of a body with so many records, the first of which begins there.
    #[inline]
    pub(super) fn new(body: &'a [u8], count: u32, first: usize) -> Self {
        let (front, bodies) = body.split_at(first);
        RecordsIn { table: front.get(BATCH_COUNT_LEN..).unwrap_or_default(), bodies, left: count }
    }
}

impl<'a> Iterator for RecordsIn<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let Some((len, table)) = self.table.split_first_chunk().filter(|_| self.left > 0) else {
            return Some(std::mem::take(&mut self.bodies));
        };
        self.table = table;
        let (record, bodies) = self.bodies.split_at(u32::from_le_bytes(*len) as usize);
        self.bodies = bodies;
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for RecordsIn<'_> {}
