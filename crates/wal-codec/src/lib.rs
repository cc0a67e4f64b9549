//! Codecs beyond raw bytes.
//!
//! | codec | records | encoding | take it when |
//! | --- | --- | --- | --- |
//! | [`wal_core::RawCodec`] | bytes | as they are | they are encoded already |
//! | [`Postcard<T>`](Postcard) | any serde type | compact binary | the program is the only reader |
//! | [`Json<T>`](Json) | any serde type | JSON | people and other programs read it, too |
//! | [`KeyValue`] | [`KvRecord`]: put, delete | fixed binary layout | the log is that of a key-value store |
//!
//! # A record type of your own
//! Anything that derives `Serialize` and `Deserialize` is a record. Give each record type of an
//! application an id of its own: the id is in every segment header, and a log that is opened as
//! another type is refused instead of misread.
//!
//! ```
//! use bytes::BytesMut;
//! use serde::{Deserialize, Serialize};
//! use wal_codec::Postcard;
//! use wal_core::{Codec, CodecId};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! enum Payment {
//!     Authorized { account: u64, cents: i64, memo: String },
//!     Settled { account: u64 },
//! }
//!
//! /// Change it when the type changes in a way that old records do not survive.
//! const PAYMENTS_V1: CodecId = CodecId(CodecId::APPLICATION.0 + 1);
//!
//! let codec = Postcard::<Payment>::with_id(PAYMENTS_V1);
//! let payment = Payment::Authorized { account: 7, cents: -1250, memo: "tea".into() };
//!
//! // What the log does when it appends, and when it reads:
//! let mut buffer = BytesMut::new();
//! codec.encode(&payment, &mut buffer)?;
//! assert_eq!(buffer.len(), 8);
//! assert_eq!(codec.decode(buffer.freeze())?, payment);
//! # Ok::<(), wal_core::Error>(())
//! ```
//!
//! Both serde formats survive new enum variants at the end. JSON survives new fields with
//! `#[serde(default)]` as well; postcard does not, as it does not name its fields.
//!
//! # Where what lives
//! `postcard_codec` and `json_codec` hold one codec each; `kv` the key-value record and its layout;
//! `kv_map` what replaying such records builds.

mod json_codec;
mod kv;
mod kv_map;
mod postcard_codec;

pub use json_codec::Json;
pub use kv::{KeyValue, KvRecord};
pub use kv_map::KvMap;
pub use postcard_codec::Postcard;
