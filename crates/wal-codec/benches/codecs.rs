//! What each codec costs, for the same kind of record.
//!
//! `cargo bench -p wal-codec`.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use wal_codec::{Json, KeyValue, KvRecord, Postcard};
use wal_core::{Codec, RawCodec};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Payment {
    account: u64,
    cents: i64,
    memo: String,
}

fn payment() -> Payment {
    Payment { account: 77_123, cents: -1250, memo: "tea and biscuits, ".repeat(4) }
}

/// Encodes into a buffer that is kept, as a log does, and decodes from shared bytes.
fn both<C: Codec>(c: &mut Criterion, name: &str, codec: &C, record: &C::Record)
where
    C::Record: Sync,
{
    let mut out = BytesMut::new();
    codec.encode(record, &mut out).expect("the record can be encoded");
    let encoded: Bytes = out.split().freeze();
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Bytes(encoded.len() as u64));
    group.bench_function("encode", |b| {
        b.iter(|| {
            out.clear();
            codec.encode(black_box(record), &mut out).expect("it could be encoded before");
            black_box(out.len())
        });
    });
    group.bench_function("decode", |b| {
        b.iter(|| {
            let decoded = codec.decode(black_box(encoded.clone()));
            decoded.expect("what was encoded can be decoded")
        });
    });
    group.finish();
}

fn codecs(c: &mut Criterion) {
    both(c, "raw", &RawCodec, &[b'r'; 100][..]);
    both(c, "key-value", &KeyValue, &KvRecord::put("account-77123", vec![b'v'; 80], 9));
    both(c, "postcard", &Postcard::<Payment>::default(), &payment());
    both(c, "json", &Json::<Payment>::default(), &payment());
}

criterion_group!(benches, codecs);
criterion_main!(benches);
