//! `Codec`: how a record becomes bytes and comes back.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::Result;

/// Names a codec in every segment header, so that opening a log with another one is an error
/// instead of garbage.
///
/// 0 to 0x7fff_ffff are given out by this project, the rest belongs to applications. 4 is never given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
#[expect(clippy::exhaustive_structs, reason = "a number and nothing else")]
pub struct CodecId(pub u32);

impl CodecId {
    /// Uninterpreted bytes.
    pub const RAW: CodecId = CodecId(0);
    /// Postcard of a serde type.
    pub const POSTCARD: CodecId = CodecId(1);
    /// JSON of a serde type.
    pub const JSON: CodecId = CodecId(2);
    /// Key-value operations with version and expiry.
    pub const KEY_VALUE: CodecId = CodecId(3);
    /// The first id that is free for applications.
    pub const APPLICATION: CodecId = CodecId(0x8000_0000);
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            CodecId::RAW => f.write_str("raw"),
            CodecId::POSTCARD => f.write_str("postcard"),
            CodecId::JSON => f.write_str("json"),
            CodecId::KEY_VALUE => f.write_str("key-value"),
            CodecId(id) => write!(f, "{id:#010x}"),
        }
    }
}

/// Turns records into bytes and back.
///
/// # Contract
/// - `decode(encode(r)) == r` for every record, and two different records never encode to the same
///   bytes.
/// - `encode` only appends to `out`; on `Err` the log discards what was appended. It may allocate
///   inside `out` only, whose capacity the log keeps from record to record.
/// - `decode` never panics, whatever the bytes, and allocates nothing larger than its input justifies.
///   It may keep slices of `bytes`; cloning [`Bytes`] copies nothing.
/// - Both are called on the caller's thread, outside every lock.
pub trait Codec: Send + Sync + 'static {
    /// What is appended; may be unsized (`[u8]`, `str`).
    type Record: ?Sized;
    /// What reading gives back.
    type Decoded;

    /// The id in the segment header. Change it when the encoding changes.
    fn id(&self) -> CodecId;

    /// Appends the encoding of `record` to `out`.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) if the record has no encoding; it is then not appended.
    fn encode(&self, record: &Self::Record, out: &mut BytesMut) -> Result<()>;

    /// Reads a record back.
    ///
    /// # Errors
    /// [`Codec`](crate::ErrorKind::Codec) if the bytes are no encoding of a record.
    fn decode(&self, bytes: Bytes) -> Result<Self::Decoded>;

    /// The encoding itself, for a codec whose records already are their encoding. Spares a copy.
    fn as_encoded<'a>(&self, record: &'a Self::Record) -> Option<&'a [u8]> {
        let _ = record;
        None
    }
}

/// Records are uninterpreted bytes.
///
/// ```
/// use wal_core::{Codec, RawCodec};
/// assert_eq!(RawCodec.as_encoded(b"abc"), Some(&b"abc"[..]));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
pub struct RawCodec;

impl Codec for RawCodec {
    type Record = [u8];
    type Decoded = Bytes;

    fn id(&self) -> CodecId {
        CodecId::RAW
    }

    fn encode(&self, record: &[u8], out: &mut BytesMut) -> Result<()> {
        out.extend_from_slice(record);
        Ok(())
    }

    fn decode(&self, bytes: Bytes) -> Result<Bytes> {
        Ok(bytes)
    }

    fn as_encoded<'a>(&self, record: &'a [u8]) -> Option<&'a [u8]> {
        Some(record)
    }
}

macro_rules! forward_codec {
    ($($pointer:ty),*) => {$(
        impl<C: Codec + ?Sized> Codec for $pointer {
            type Record = C::Record;
            type Decoded = C::Decoded;

            fn id(&self) -> CodecId {
                (**self).id()
            }
            fn encode(&self, record: &Self::Record, out: &mut BytesMut) -> Result<()> {
                (**self).encode(record, out)
            }
            fn decode(&self, bytes: Bytes) -> Result<Self::Decoded> {
                (**self).decode(bytes)
            }
            fn as_encoded<'a>(&self, record: &'a Self::Record) -> Option<&'a [u8]> {
                (**self).as_encoded(record)
            }
        }
    )*};
}

forward_codec!(Arc<C>, Box<C>);
