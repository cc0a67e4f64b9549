//! A record that was read back.

use crate::{Codec, Lsn, Result, Timestamp};

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
        let record = codec.decode(record).map_err(|e| e.with_lsn(lsn))?;
        Ok(Entry { lsn, timestamp, record })
    }
}
