//! `KeyValue`: put and delete, with version and expiry, in a fixed layout.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use wal_core::{Codec, CodecId, Error, ErrorKind, Result, Timestamp};

/// One change of a key-value store.
///
/// A new operation will be a breaking change: a replay that skips an operation it does not know is worse
/// than a compile error.
///
/// ```
/// use std::time::Duration;
/// use wal_codec::KvRecord;
/// use wal_core::Timestamp;
///
/// let now = Timestamp::from_micros(5_000_000);
/// let put = KvRecord::put("session", "alice", 1).expiring_after(now, Duration::from_secs(60));
/// assert!(!put.is_expired(now));
/// assert!(put.is_expired(Timestamp::from_micros(65_000_000)));
/// assert_eq!(KvRecord::delete("session", 2).version(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a replay has to know every operation")]
pub enum KvRecord {
    /// The key has this value from now on.
    Put {
        /// Any bytes, none included.
        key: Bytes,
        /// Any bytes, none included.
        value: Bytes,
        /// Of two changes to a key the one with the higher version holds.
        version: u64,
        /// From this moment on the key counts as absent; `None`: never. A moment instead of a time
        /// to live, so that a replay years later means the same.
        expires_at: Option<Timestamp>,
    },
    /// The key is absent from now on: a tombstone.
    Delete {
        /// Any bytes, none included.
        key: Bytes,
        /// Of two changes to a key the one with the higher version holds.
        version: u64,
    },
}

impl KvRecord {
    /// Sets `key` to `value`, for ever.
    #[must_use]
    pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>, version: u64) -> Self {
        KvRecord::Put { key: key.into(), value: value.into(), version, expires_at: None }
    }

    /// Removes `key`.
    #[must_use]
    pub fn delete(key: impl Into<Bytes>, version: u64) -> Self {
        KvRecord::Delete { key: key.into(), version }
    }

    /// Lets a put expire at a moment; a delete does not change.
    #[must_use]
    pub fn expiring_at(mut self, moment: Timestamp) -> Self {
        if let KvRecord::Put { expires_at, .. } = &mut self {
            *expires_at = Some(moment);
        }
        self
    }

    /// Lets a put expire when it has lived for `ttl` (time to live) from `now` on, to the
    /// microsecond below; a delete does not change. Beyond the end of time is the end of time.
    #[must_use]
    pub fn expiring_after(self, now: Timestamp, ttl: Duration) -> Self {
        let ttl = u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
        self.expiring_at(Timestamp::from_micros(now.as_micros().saturating_add(ttl)))
    }

    /// The key concerned.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        match self {
            KvRecord::Put { key, .. } | KvRecord::Delete { key, .. } => key,
        }
    }

    /// The version of the change.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            KvRecord::Put { version, .. } | KvRecord::Delete { version, .. } => *version,
        }
    }

    /// Whether this is a put whose time has come by `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self, KvRecord::Put { expires_at: Some(moment), .. } if *moment <= now)
    }
}

/// Layout version, the first byte.
const LAYOUT: u8 = 1;
const PUT: u8 = 1;
const PUT_EXPIRING: u8 = 2;
const DELETE: u8 = 3;

/// Records are [`KvRecord`]s.
///
/// | bytes | what | in |
/// | --- | --- | --- |
/// | 1 | layout version, 1 | all |
/// | 1 | operation: 1 put, 2 put that expires, 3 delete | all |
/// | 8 | version | all |
/// | 8 | expiry, microseconds since the Unix epoch | 2 |
/// | 4 | length of the key | all |
/// | 4 | length of the value | 1, 2 |
/// | … | key | all |
/// | … | value | 1, 2 |
///
/// Integers are little-endian. A put costs 18 bytes besides key and value, 26 if it expires, a
/// delete 14. There is one encoding for each record, and decoding accepts no other bytes.
///
/// Key and value are decoded as slices of what was read, without copying: each keeps its whole
/// read buffer in memory. Copy what you keep for long, as [`KvMap`](crate::KvMap) does. Appending
/// copies them into the log's buffer once; a `KvRecord` of `Bytes` that you hold already, or of
/// static ones, copies nothing before that.
///
/// ```
/// use bytes::BytesMut;
/// use wal_codec::{KeyValue, KvRecord};
/// use wal_core::{Codec, CodecId};
///
/// assert_eq!(KeyValue.id(), CodecId::KEY_VALUE);
/// let record = KvRecord::put("k", "v", 7);
/// let mut out = BytesMut::new();
/// KeyValue.encode(&record, &mut out)?;
/// assert_eq!(&out[..], b"\x01\x01\x07\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0kv");
/// assert_eq!(KeyValue.decode(out.freeze())?, record);
/// # Ok::<(), wal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to set")]
pub struct KeyValue;

impl Codec for KeyValue {
    type Record = KvRecord;
    type Decoded = KvRecord;

    fn id(&self) -> CodecId {
        CodecId::KEY_VALUE
    }

    fn encode(&self, record: &KvRecord, out: &mut BytesMut) -> Result<()> {
        let key_len = encoded_len("key", record.key())?;
        out.put_u8(LAYOUT);
        match record {
            KvRecord::Put { key, value, version, expires_at } => {
                let value_len = encoded_len("value", value)?;
                out.put_u8(if expires_at.is_some() { PUT_EXPIRING } else { PUT });
                out.put_u64_le(*version);
                if let Some(moment) = expires_at {
                    out.put_u64_le(moment.as_micros());
                }
                out.put_u32_le(key_len);
                out.put_u32_le(value_len);
                out.extend_from_slice(key);
                out.extend_from_slice(value);
            }
            KvRecord::Delete { key, version } => {
                out.put_u8(DELETE);
                out.put_u64_le(*version);
                out.put_u32_le(key_len);
                out.extend_from_slice(key);
            }
        }
        Ok(())
    }

    fn decode(&self, mut bytes: Bytes) -> Result<KvRecord> {
        let ends = |what: &str| undecodable(format!("it ends before its {what}"));
        let layout = bytes.try_get_u8().map_err(|_| ends("layout version"))?;
        if layout != LAYOUT {
            return Err(undecodable(format!("layout version {layout}, expected {LAYOUT}")));
        }
        let operation = bytes.try_get_u8().map_err(|_| ends("operation"))?;
        if !matches!(operation, PUT | PUT_EXPIRING | DELETE) {
            return Err(undecodable(format!("operation {operation}, expected 1 to 3")));
        }
        let version = bytes.try_get_u64_le().map_err(|_| ends("version"))?;
        let expires_at = match operation {
            PUT_EXPIRING => Some(bytes.try_get_u64_le().map_err(|_| ends("expiry"))?),
            _ => None,
        };
        let key_len = bytes.try_get_u32_le().map_err(|_| ends("key length"))?;
        let value_len = match operation {
            DELETE => 0,
            _ => bytes.try_get_u32_le().map_err(|_| ends("value length"))?,
        };
        // As u64 the sum cannot overflow, whatever the two say and on every platform.
        if u64::from(key_len) + u64::from(value_len) != bytes.len() as u64 {
            return Err(undecodable(format!(
                "key of {key_len} and value of {value_len} bytes, but {} follow",
                bytes.len()
            )));
        }
        let key = bytes.split_to(key_len as usize);
        Ok(if operation == DELETE {
            KvRecord::Delete { key, version }
        } else {
            let expires_at = expires_at.map(Timestamp::from_micros);
            KvRecord::Put { key, value: bytes, version, expires_at }
        })
    }
}

fn encoded_len(what: &str, bytes: &Bytes) -> Result<u32> {
    u32::try_from(bytes.len()).map_err(|_| {
        Error::new(ErrorKind::Codec, "encode record").with_detail(format!(
            "a {what} of {} bytes, allowed are {}",
            bytes.len(),
            u32::MAX
        ))
    })
}

fn undecodable(detail: String) -> Error {
    Error::new(ErrorKind::Codec, "decode record").with_detail(format!("key-value record: {detail}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json_codec::tests::encoded;

    pub(crate) fn any_record() -> impl Strategy<Value = KvRecord> {
        // Short and few, so that keys coincide and the borders between fields are tried.
        let bytes = || prop::collection::vec(0u8..4, 0..4).prop_map(Bytes::from);
        let number = || prop_oneof![0u64..4, any::<u64>()];
        (bytes(), prop::option::of(bytes()), number(), prop::option::of(number())).prop_map(
            |(key, value, version, expiry)| match value {
                Some(value) => {
                    let expires_at = expiry.map(Timestamp::from_micros);
                    KvRecord::Put { key, value, version, expires_at }
                }
                None => KvRecord::Delete { key, version },
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn round_trip(record in any_record()) {
            prop_assert_eq!(KeyValue.decode(encoded(&KeyValue, &record)).unwrap(), record);
        }

        #[test]
        fn different_records_differ(a in any_record(), b in any_record()) {
            prop_assert_eq!(a == b, encoded(&KeyValue, &a) == encoded(&KeyValue, &b));
        }

        #[test]
        fn every_truncation_and_extension_is_an_error(record in any_record(), more: u8) {
            let bytes = encoded(&KeyValue, &record);
            for len in 0..bytes.len() {
                let error = KeyValue.decode(bytes.slice(..len)).unwrap_err();
                prop_assert_eq!(error.kind(), ErrorKind::Codec);
            }
            prop_assert!(KeyValue.decode([&bytes[..], &[more]].concat().into()).is_err());
        }

        /// Whatever decodes is the one encoding of what it decodes to.
        #[test]
        fn decoding_anything_is_strict(
            any_bytes: Vec<u8>,
            operation in 0u8..5,
            rest in prop::collection::vec(0u8..3, 0..30),
            at in 0usize..30,
            flip: u8,
            record in any_record(),
        ) {
            let likely = [&[LAYOUT, operation][..], &rest].concat();
            let mut damaged = encoded(&KeyValue, &record).to_vec();
            let at = at % damaged.len();
            damaged[at] ^= flip;
            for bytes in [any_bytes, likely, damaged] {
                if let Ok(record) = KeyValue.decode(bytes.clone().into()) {
                    prop_assert_eq!(encoded(&KeyValue, &record), bytes);
                }
            }
        }
    }

    #[test]
    fn decoding_copies_nothing() {
        let bytes = encoded(&KeyValue, &KvRecord::put("key", "value", 1));
        let range = bytes.as_ptr_range();
        let KvRecord::Put { key, value, .. } = KeyValue.decode(bytes).unwrap() else { panic!() };
        assert!(range.contains(&key.as_ptr()) && range.contains(&value.as_ptr()));
    }

    #[test]
    fn errors_say_what_was_found() {
        for (bytes, expected) in [
            (&b""[..], "it ends before its layout version"),
            (b"\x02\x01", "layout version 2, expected 1"),
            (b"\x01\x09", "operation 9, expected 1 to 3"),
            (b"\x01\x03\0\0\0\0\0\0\0", "it ends before its version"),
            (
                b"\x01\x01\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xffab",
                "key of 4294967295 and value of 4294967295 bytes, but 2 follow",
            ),
        ] {
            let error = KeyValue.decode(Bytes::from_static(bytes)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    /// The layout is on disks: these bytes never change.
    #[test]
    fn golden_bytes() {
        let put = KvRecord::put("ab", "xyz", 0x0102).expiring_at(Timestamp::from_micros(0x0304));
        let golden = b"\x01\x02\x02\x01\0\0\0\0\0\0\x04\x03\0\0\0\0\0\0\x02\0\0\0\x03\0\0\0abxyz";
        assert_eq!(&encoded(&KeyValue, &put)[..], golden);
        let delete = KvRecord::delete("ab", 9);
        let golden = b"\x01\x03\x09\0\0\0\0\0\0\0\x02\0\0\0ab";
        assert_eq!(&encoded(&KeyValue, &delete)[..], golden);
    }

    #[test]
    fn expiry_saturates() {
        let now = Timestamp::from_micros(u64::MAX - 5);
        let put = KvRecord::put("k", "v", 1).expiring_after(now, Duration::MAX);
        assert!(!put.is_expired(now) && put.is_expired(Timestamp::MAX));
        assert!(!KvRecord::put("k", "v", 1).is_expired(Timestamp::MAX));
        assert!(!KvRecord::delete("k", 1).expiring_at(now).is_expired(Timestamp::MAX));
        let at_once = KvRecord::put("k", "v", 1).expiring_after(now, Duration::ZERO);
        assert!(at_once.is_expired(now));
    }
}
