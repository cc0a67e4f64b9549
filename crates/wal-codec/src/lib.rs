#![doc = include_str!("../README.md")]
//!
//! # Which codec
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
//! Both serde formats survive new enum variants at the end. JSON survives new fields with
//! `#[serde(default)]` as well; postcard does not, as it does not name its fields.
//!
//! # Where what lives
//! `postcard_codec` and `json_codec` hold one codec each; `kv` the key-value record and its layout;
//! `kv_map` what replaying such records builds.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod json_codec;
mod kv;
mod kv_map;
mod postcard_codec;

pub use json_codec::Json;
pub use kv::{KeyValue, KvRecord};
pub use kv_map::KvMap;
pub use postcard_codec::Postcard;
