//! The codec of a shared log: bytes as they are, under an id of their own.

use bytes::{Bytes, BytesMut};
use wal_core::{Codec, CodecId, Result};

/// Bytes, as for [`wal_core::RawCodec`]. The id is in each segment's header, so a shared log cannot be
/// opened as a plain one by mistake, nor a plain one as a shared one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedCodec;

impl Codec for SharedCodec {
    type Record = [u8];
    type Decoded = Bytes;

    fn id(&self) -> CodecId {
        CodecId::STREAMS
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
