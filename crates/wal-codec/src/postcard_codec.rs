//! `Postcard<T>`: a serde type in postcard's compact binary format.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wal_core::{Codec, CodecId, Error, ErrorKind, Result};

/// Records are values of the serde type `T`, in [postcard](https://postcard.jamesmunns.com)'s
/// format: integers of variable length, no names, no type information.
///
/// Encoding writes straight into the log's buffer. Decoding copies what `T` owns, and is strict:
/// bytes left over are an error.
///
/// The format does not describe itself: a log read as another `T` may give nonsense instead of an
/// error. Tell types apart by [`with_id`](Self::with_id). `T` must serialize what it deserializes
/// (mind `#[serde(skip)]`), and be no self-describing oddity such as an untagged enum. A recursive
/// `T` is decoded by recursion without a limit of its own; don't read such logs from strangers.
///
/// ```
/// use bytes::BytesMut;
/// use wal_codec::Postcard;
/// use wal_core::{Codec, CodecId};
///
/// let codec = Postcard::<(u32, String)>::new();
/// assert_eq!(codec.id(), CodecId::POSTCARD);
/// let mut out = BytesMut::new();
/// codec.encode(&(300, "abc".into()), &mut out)?;
/// assert_eq!(&out[..], b"\xac\x02\x03abc");
/// assert_eq!(codec.decode(out.freeze())?, (300, "abc".into()));
/// # Ok::<(), wal_core::Error>(())
/// ```
pub struct Postcard<T> {
    id: CodecId,
    record: PhantomData<fn(&T) -> T>,
}

impl<T> Postcard<T> {
    /// With the common id [`CodecId::POSTCARD`], which does not tell `T` from other types.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_id(CodecId::POSTCARD)
    }

    /// With an id of the application's own, from [`CodecId::APPLICATION`] on.
    #[must_use]
    pub const fn with_id(id: CodecId) -> Self {
        Postcard { id, record: PhantomData }
    }
}

impl<T> Default for Postcard<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Postcard<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Postcard<T> {}

impl<T> fmt::Debug for Postcard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postcard<{}>({})", type_name::<T>(), self.id)
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Codec for Postcard<T> {
    type Record = T;
    type Decoded = T;

    fn id(&self) -> CodecId {
        self.id
    }

    fn encode(&self, record: &T, out: &mut BytesMut) -> Result<()> {
        postcard::serialize_with_flavor(record, Appender(out)).map_err(|error| {
            Error::new(ErrorKind::Codec, "encode record")
                .with_detail(format!("{} as postcard", type_name::<T>()))
                .with_source(error)
        })
    }

    fn decode(&self, bytes: Bytes) -> Result<T> {
        let failed = || Error::new(ErrorKind::Codec, "decode record");
        match postcard::take_from_bytes(&bytes) {
            Ok((record, [])) => Ok(record),
            Ok((_, rest)) => Err(failed().with_detail(format!(
                "{} of {} bytes are left over after the postcard of a {}",
                rest.len(),
                bytes.len(),
                type_name::<T>()
            ))),
            Err(error) => Err(failed()
                .with_detail(format!("{} bytes as postcard of a {}", bytes.len(), type_name::<T>()))
                .with_source(error)),
        }
    }
}

/// Lets postcard write into the log's buffer, slices at once.
struct Appender<'a>(&'a mut BytesMut);

impl Flavor for Appender<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.extend_from_slice(&[byte]);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::json_codec::tests::{Event, any_event, encoded};

    proptest! {
        #[test]
        fn round_trip(event in any_event()) {
            let codec = Postcard::<Event>::new();
            let bytes = encoded(&codec, &event);
            prop_assert_eq!(&postcard::to_stdvec(&event).unwrap(), &bytes);
            prop_assert_eq!(codec.decode(bytes).unwrap(), event);
        }

        #[test]
        fn different_records_differ(a in any_event(), b in any_event()) {
            let codec = Postcard::<Event>::new();
            prop_assert_eq!(a == b, encoded(&codec, &a) == encoded(&codec, &b));
        }

        #[test]
        fn every_truncation_and_extension_is_an_error(event in any_event(), more: u8) {
            let codec = Postcard::<Event>::new();
            let bytes = encoded(&codec, &event);
            for len in 0..bytes.len() {
                let error = codec.decode(bytes.slice(..len)).unwrap_err();
                prop_assert_eq!(error.kind(), ErrorKind::Codec);
            }
            let longer = [&bytes[..], &[more]].concat();
            let error = codec.decode(longer.into()).unwrap_err();
            prop_assert!(error.to_string().contains("1 of "), "{}", error);
        }

        #[test]
        fn decoding_anything_never_panics(bytes: Vec<u8>) {
            let _ = Postcard::<Event>::new().decode(bytes.into());
        }
    }

    /// Appending after other records must leave these alone, and need no memory beside the buffer.
    #[test]
    fn appends_in_place() {
        let mut out = BytesMut::with_capacity(64);
        out.extend_from_slice(b"before");
        let start = out.as_ptr();
        Postcard::<(u8, [u8; 4])>::new().encode(&(1, *b"abcd"), &mut out).unwrap();
        assert_eq!(&out[..], b"before\x01abcd");
        assert_eq!(out.as_ptr(), start);
    }

    #[test]
    fn ids_tell_types_apart() {
        let id = CodecId(CodecId::APPLICATION.0 + 7);
        let codec = Postcard::<u8>::with_id(id);
        assert_eq!(codec.id(), id);
        assert_eq!(format!("{codec:?}"), "Postcard<u8>(0x80000007)");
    }

    #[test]
    fn a_record_without_encoding_is_an_error() {
        #[derive(Deserialize)]
        struct Stubborn;
        impl Serialize for Stubborn {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no"))
            }
        }
        let mut out = BytesMut::new();
        let error = Postcard::<Stubborn>::new().encode(&Stubborn, &mut out).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(error.to_string().contains("Stubborn as postcard"), "{error}");
    }
}
