//! `Json<T>`: a serde type as JSON.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wal_core::{Codec, CodecId, Error, ErrorKind, Result};

/// Records are values of the serde type `T`, in JSON without spaces.
///
/// For logs that people and other programs read as well; larger and slower than
/// [`Postcard`](crate::Postcard). Encoding writes straight into the log's buffer. Decoding is
/// strict: anything after the value is an error, a line end too.
///
/// What JSON cannot say must not be in a record: floats that are not finite become `null`, and a
/// value nested deeper than 127 levels can be written but not read. A map's keys must be strings or
/// numbers; others are an error when appended.
///
/// ```
/// use bytes::BytesMut;
/// use wal_codec::Json;
/// use wal_core::{Codec, CodecId};
///
/// let codec = Json::<(u32, String)>::new();
/// assert_eq!(codec.id(), CodecId::JSON);
/// let mut out = BytesMut::new();
/// codec.encode(&(300, "abc".into()), &mut out)?;
/// assert_eq!(&out[..], br#"[300,"abc"]"#);
/// assert_eq!(codec.decode(out.freeze())?, (300, "abc".into()));
/// # Ok::<(), wal_core::Error>(())
/// ```
pub struct Json<T> {
    id: CodecId,
    record: PhantomData<fn(&T) -> T>,
}

impl<T> Json<T> {
    /// With the common id [`CodecId::JSON`], which does not tell `T` from other types.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_id(CodecId::JSON)
    }

    /// With an id of the application's own, from [`CodecId::APPLICATION`] on.
    #[must_use]
    pub const fn with_id(id: CodecId) -> Self {
        Json { id, record: PhantomData }
    }
}

impl<T> Default for Json<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Json<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Json<T> {}

impl<T> fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json<{}>({})", type_name::<T>(), self.id)
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Codec for Json<T> {
    type Record = T;
    type Decoded = T;

    fn id(&self) -> CodecId {
        self.id
    }

    fn encode(&self, record: &T, out: &mut BytesMut) -> Result<()> {
        serde_json::to_writer(out.writer(), record).map_err(|error| {
            Error::new(ErrorKind::Codec, "encode record")
                .with_detail(format!("{} as JSON", type_name::<T>()))
                .with_source(error)
        })
    }

    fn decode(&self, bytes: Bytes) -> Result<T> {
        let failed = || Error::new(ErrorKind::Codec, "decode record");
        // serde_json refuses everything else that follows the value.
        if bytes.last().is_some_and(u8::is_ascii_whitespace) {
            return Err(failed().with_detail(format!(
                "{} bytes of JSON of a {} end in white space",
                bytes.len(),
                type_name::<T>()
            )));
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            failed()
                .with_detail(format!("{} bytes as JSON of a {}", bytes.len(), type_name::<T>()))
                .with_source(error)
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// A record type with a bit of everything.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(crate) enum Event {
        Nothing,
        Moved { by: (i64, i64), note: Option<String> },
        Measured { values: BTreeMap<String, u64>, raw: Vec<u8> },
        Nested(Box<Event>, bool, char),
    }

    pub(crate) fn any_event() -> impl Strategy<Value = Event> {
        let map = prop::collection::btree_map(".{0,4}", any::<u64>(), 0..4);
        let leaf = prop_oneof![
            Just(Event::Nothing),
            (any::<(i64, i64)>(), prop::option::of(".{0,8}"))
                .prop_map(|(by, note)| Event::Moved { by, note }),
            (map, prop::collection::vec(any::<u8>(), 0..9))
                .prop_map(|(values, raw)| Event::Measured { values, raw }),
        ];
        leaf.prop_recursive(3, 4, 1, |inner| {
            (inner, any::<bool>(), any::<char>())
                .prop_map(|(event, flag, c)| Event::Nested(Box::new(event), flag, c))
        })
    }

    pub(crate) fn encoded<C: Codec>(codec: &C, record: &C::Record) -> Bytes {
        let mut out = BytesMut::new();
        codec.encode(record, &mut out).unwrap();
        out.freeze()
    }

    proptest! {
        #[test]
        fn round_trip(event in any_event()) {
            let codec = Json::<Event>::new();
            let bytes = encoded(&codec, &event);
            prop_assert_eq!(&serde_json::to_vec(&event).unwrap(), &bytes);
            prop_assert_eq!(codec.decode(bytes).unwrap(), event);
        }

        #[test]
        fn different_records_differ(a in any_event(), b in any_event()) {
            let codec = Json::<Event>::new();
            prop_assert_eq!(a == b, encoded(&codec, &a) == encoded(&codec, &b));
        }

        #[test]
        fn every_truncation_and_extension_is_an_error(event in any_event(), more: u8) {
            let codec = Json::<Event>::new();
            let bytes = encoded(&codec, &event);
            for len in 0..bytes.len() {
                let error = codec.decode(bytes.slice(..len)).unwrap_err();
                prop_assert_eq!(error.kind(), ErrorKind::Codec);
            }
            for more in [more, b' ', b'\n'] {
                let longer = [&bytes[..], &[more]].concat();
                prop_assert!(codec.decode(longer.into()).is_err());
            }
        }

        #[test]
        fn decoding_anything_never_panics(bytes: Vec<u8>, text in "[\\[\\]{}\":,0-9a-z]{0,40}") {
            let _ = Json::<Event>::new().decode(bytes.into());
            let _ = Json::<Event>::new().decode(text.into());
        }
    }

    #[test]
    fn appends_in_place() {
        let mut out = BytesMut::with_capacity(64);
        out.extend_from_slice(b"before");
        let start = out.as_ptr();
        Json::<(u8, u8)>::new().encode(&(1, 2), &mut out).unwrap();
        assert_eq!(&out[..], b"before[1,2]");
        assert_eq!(out.as_ptr(), start);
    }

    #[test]
    fn a_record_without_encoding_is_an_error() {
        type Unwritable = BTreeMap<(u8, u8), u8>;
        let mut out = BytesMut::new();
        let record = Unwritable::from([((1, 2), 3)]);
        let error = Json::<Unwritable>::new().encode(&record, &mut out).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Codec);
        assert!(error.chain().to_string().contains("key must be a string"), "{error}");
    }
}
