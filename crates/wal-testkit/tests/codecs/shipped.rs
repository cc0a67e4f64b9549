//! The codecs of this project run the kit that downstream codecs run.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wal_codec::{Json, KeyValue, KvRecord, Postcard};
use wal_core::{RawCodec, Timestamp};
use wal_testkit::codec_conformance;
use wal_testkit::proptest::prelude::*;

/// A record type with a bit of everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Event {
    Nothing,
    Moved { by: (i64, i64), note: Option<String> },
    Measured { values: BTreeMap<String, u64>, raw: Vec<u8> },
    Nested(Box<Event>, bool, char),
}

fn events() -> impl Strategy<Value = Event> {
    let values = prop::collection::btree_map(".{0,4}", any::<u64>(), 0..4);
    let leaf = prop_oneof![
        Just(Event::Nothing),
        (any::<(i64, i64)>(), prop::option::of(".{0,8}"))
            .prop_map(|(by, note)| Event::Moved { by, note }),
        (values, bytes()).prop_map(|(values, raw)| Event::Measured { values, raw }),
    ];
    leaf.prop_recursive(3, 4, 1, |inner| {
        (inner, any::<bool>(), any::<char>())
            .prop_map(|(event, flag, c)| Event::Nested(Box::new(event), flag, c))
    })
}

/// None, few, many.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => Just(Vec::new()),
        8 => prop::collection::vec(any::<u8>(), 0..60),
        1 => prop::collection::vec(any::<u8>(), 4000..9000),
    ]
}

fn changes() -> impl Strategy<Value = KvRecord> {
    let expiry = prop::option::of(any::<u64>());
    let put = (bytes(), bytes(), any::<u64>(), expiry).prop_map(|(key, value, version, expiry)| {
        let put = KvRecord::put(key, value, version);
        match expiry {
            Some(micros) => put.expiring_at(Timestamp::from_micros(micros)),
            None => put,
        }
    });
    let delete = (bytes(), any::<u64>()).prop_map(|(key, version)| KvRecord::delete(key, version));
    prop_oneof![2 => put, 1 => delete]
}

codec_conformance!(raw, RawCodec, bytes(), skips: []);
codec_conformance!(postcard, Postcard::<Event>::new(), events(), skips: []);
codec_conformance!(postcard_of_strings, Postcard::<String>::new(), ".{0,40}", skips: []);
codec_conformance!(json, Json::<Event>::new(), events(), skips: []);
codec_conformance!(json_of_bytes, Json::<Vec<u8>>::new(), bytes(), skips: []);
codec_conformance!(key_value, KeyValue, changes(), skips: []);
codec_conformance!(key_value_shared, Arc::new(KeyValue), changes(), skips: []);
codec_conformance!(key_value_boxed, Box::new(KeyValue), changes(), skips: []);
