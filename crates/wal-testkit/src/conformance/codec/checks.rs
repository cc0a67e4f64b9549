//! The checks of a codec.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use bytes::{Bytes, BytesMut};
use proptest::strategy::Strategy;
use wal_core::{Codec, CodecId, ErrorKind};

use super::records::{decode, encode, encodings, for_all, garbage, hex, with_neighbours};
use super::{Bench, Testable};
use crate::conformance::allocation::AllocationWatch;
use crate::conformance::checked::{Stop, ensure};

/// Reading gives back what was written.
pub fn what_is_decoded_is_what_was_encoded<C: Testable, S: Strategy>(
    bench: &Bench<'_, C, S>,
) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record>,
{
    bench.promise("decode(encode(r)) == r for every record")?;
    for_all(bench.records, |record| {
        let bytes = encode(&bench.codec, record.borrow())?;
        match decode(&bench.codec, bytes.clone())? {
            Ok(decoded) if decoded == *record.borrow() => Ok(()),
            Ok(_) => Err(format!("its encoding, {}, is decoded as another record", hex(&bytes))),
            Err(error) => Err(format!("its encoding, {}, is refused: {error}", hex(&bytes))),
        }
    })
}

/// No two records share an encoding.
pub fn different_records_have_different_encodings<C: Testable, S: Strategy>(
    bench: &Bench<'_, C, S>,
) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record>,
{
    bench.promise("two different records never encode to the same bytes")?;
    let mut seen: HashMap<Bytes, S::Value> = HashMap::new();
    // The shortest story is told.
    let mut worst: Option<(usize, String)> = None;
    for record in with_neighbours(bench.records, 200) {
        let bytes = encode(&bench.codec, record.borrow()).map_err(Stop::Broken)?;
        let Some(earlier) = seen.get(&bytes) else {
            seen.insert(bytes, record);
            continue;
        };
        if *Borrow::<C::Record>::borrow(earlier) == *record.borrow() {
            continue;
        }
        let story = format!(
            "two records have the one encoding {}, so that a log gives one back as the other: \
             {earlier:?} and {record:?}",
            hex(&bytes)
        );
        if worst.as_ref().is_none_or(|(shortest, _)| story.len() < *shortest) {
            worst = Some((story.len(), story));
        }
    }
    worst.map_or(Ok(()), |(_, story)| Err(Stop::Broken(story)))
}

/// What is in the buffer stays, and does not matter.
pub fn encoding_only_appends<C: Testable, S: Strategy>(bench: &Bench<'_, C, S>) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record>,
{
    bench.promise("encode only appends to out")?;
    for_all(bench.records, |record| {
        let alone = encode(&bench.codec, record.borrow())?;
        for (before, room) in [(&b"before"[..], 0), (&[0; 300], 4096), (&[0xff; 5], 5)] {
            let mut out = BytesMut::with_capacity(before.len() + room);
            out.extend_from_slice(before);
            let encoded = bench.codec.encode(record.borrow(), &mut out);
            encoded.map_err(|error| format!("the second encoding fails: {error}"))?;
            let kept = out.get(..before.len()) == Some(before);
            if !kept {
                return Err(format!("the {} bytes that were in the buffer changed", before.len()));
            }
            if out[before.len()..] != alone[..] {
                return Err(format!(
                    "behind {} other bytes its encoding is {}, alone it is {}",
                    before.len(),
                    hex(&out[before.len()..]),
                    hex(&alone)
                ));
            }
        }
        Ok(())
    })
}

/// The shortcut gives what the long way gives.
pub fn as_encoded_is_the_encoding<C: Testable, S: Strategy>(
    bench: &Bench<'_, C, S>,
) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record>,
{
    bench.promise("as_encoded: the encoding itself")?;
    for_all(bench.records, |record| {
        let bytes = encode(&bench.codec, record.borrow())?;
        match bench.codec.as_encoded(record.borrow()) {
            Some(short) if short != bytes => {
                Err(format!("as_encoded gives {}, encode {}", hex(short), hex(&bytes)))
            }
            _ => Ok(()),
        }
    })
}

/// Whatever the bytes are, decoding ends with a record or an error.
pub fn decoding_garbage_never_panics<C: Testable, S: Strategy>(
    bench: &Bench<'_, C, S>,
) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record>,
{
    bench.promise("decode never panics, whatever the bytes")?;
    for bytes in garbage(&encodings(&bench.codec, bench.records), 4000) {
        drop(decode(&bench.codec, bytes).map_err(Stop::Broken)?);
    }
    Ok(())
}

/// An input of no bytes, and one of very many, end with a record or an error.
pub fn empty_and_huge_inputs_are_decoded_or_refused<C: Testable, S: Strategy>(
    bench: &Bench<'_, C, S>,
) -> Result<(), Stop> {
    bench.promise("decode never panics, whatever the bytes: none, or a million")?;
    for filler in [0, 1, b'0', b'"', 0x7f, 0x80, 0xff] {
        for len in [0, 1, 1 << 20] {
            drop(decode(&bench.codec, vec![filler; len].into()).map_err(Stop::Broken)?);
        }
    }
    Ok(())
}

/// A record that was cut is refused, or is another one.
pub fn a_cut_encoding_is_never_the_record<C: Testable, S: Strategy>(
    bench: &Bench<'_, C, S>,
) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record>,
{
    bench.promise("two different byte strings are not the same record: what is cut is an error, or another record")?;
    for_all(bench.records, |record| {
        let bytes = encode(&bench.codec, record.borrow())?;
        let step = bytes.len() / 200 + 1;
        for len in (0..bytes.len()).step_by(step) {
            if decode(&bench.codec, bytes.slice(..len))?.is_ok_and(|cut| cut == *record.borrow()) {
                return Err(format!(
                    "the first {len} bytes of its encoding, {}, are decoded as the whole record",
                    hex(&bytes)
                ));
            }
        }
        Ok(())
    })
}

/// What lies around the bytes in memory does not matter.
pub fn decoding_reads_only_its_input<C: Testable, S: Strategy>(
    bench: &Bench<'_, C, S>,
) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record>,
{
    bench.promise("decode turns these bytes into a record, and nothing that lies around them")?;
    let between = |bytes: &[u8], around: u8| -> Bytes {
        let whole = Bytes::from([&[around; 64], bytes, &[around; 64]].concat());
        whole.slice(64..64 + bytes.len())
    };
    for_all(bench.records, |record| {
        let bytes = encode(&bench.codec, record.borrow())?;
        for around in [0, 0xff, b'0'] {
            if !decode(&bench.codec, between(&bytes, around))?.is_ok_and(|r| r == *record.borrow())
            {
                return Err(format!("between bytes {around:#04x} it is not decoded as the record"));
            }
        }
        for len in 0..bytes.len().min(64) {
            let outcomes = [0, 0xff, b'0'].map(|around| {
                decode(&bench.codec, between(&bytes[..len], around)).map(|outcome| outcome.is_ok())
            });
            if outcomes[0] != outcomes[1] || outcomes[0] != outcomes[2] {
                return Err(format!(
                    "its first {len} bytes are decoded or refused depending on what follows them"
                ));
            }
        }
        Ok(())
    })
}

/// Bytes that are no record are refused as such.
pub fn refusals_are_of_the_kind_codec<C: Testable, S: Strategy>(
    bench: &Bench<'_, C, S>,
) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record>,
{
    bench.promise("decode, errors: Codec if the bytes are no encoding of a record")?;
    for bytes in garbage(&encodings(&bench.codec, bench.records), 1000) {
        if let Err(error) = decode(&bench.codec, bytes.clone()).map_err(Stop::Broken)? {
            ensure(error.kind() == ErrorKind::Codec, || {
                let kind = error.kind();
                format!("{} are refused with the kind \"{kind}\": {error}", hex(&bytes))
            })?;
        }
    }
    Ok(())
}

/// Few bytes do not make a decoder ask for much memory.
pub fn a_short_input_allocates_little<C: Testable, S: Strategy>(
    bench: &Bench<'_, C, S>,
) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record>,
{
    if AllocationWatch::count(|| ()).0.is_none() {
        return Err(Stop::Skip(
            "the test binary does not use AllocationWatch as its allocator".into(),
        ));
    }
    bench.promise("decode allocates nothing larger than its input justifies")?;
    /// Room for the message of an error.
    const BASE: u64 = 16 << 10;
    const PER_BYTE: u64 = 64;
    for bytes in garbage(&encodings(&bench.codec, bench.records), 4000) {
        let (allocated, outcome) = AllocationWatch::count(|| decode(&bench.codec, bytes.clone()));
        drop(outcome.map_err(Stop::Broken)?);
        let (allocated, justified) = (allocated.unwrap_or(0), BASE + PER_BYTE * bytes.len() as u64);
        ensure(allocated <= justified, || {
            format!("to decode {} it asked for {allocated} bytes of memory", hex(&bytes))
        })?;
    }
    Ok(())
}

/// The id is one number, which others may not have.
pub fn the_id_is_stable<C: Testable, S: Strategy>(bench: &Bench<'_, C, S>) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record>,
{
    bench.promise(
        "id: names a codec in every segment header. 0 to 0x7fff_ffff are given out by the project, \
         the rest belongs to applications",
    )?;
    let id = bench.codec.id();
    let given_out = [CodecId::RAW, CodecId::POSTCARD, CodecId::JSON, CodecId::KEY_VALUE];
    ensure(given_out.contains(&id) || id >= CodecId::APPLICATION, || {
        format!("the id {id} is reserved; take one from {} on", CodecId::APPLICATION)
    })?;
    for bytes in encodings(&bench.codec, bench.records) {
        drop(decode(&bench.codec, bytes).map_err(Stop::Broken)?);
        let now = bench.codec.id();
        ensure(now == id, || format!("the id was {id} and became {now}"))?;
    }
    Ok(())
}

/// Several threads may use the codec at once.
pub fn threads_share_the_codec<C: Testable, S: Strategy>(
    bench: &Bench<'_, C, S>,
) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record> + Sync,
{
    bench.promise("encode and decode are called on the caller's thread, outside every lock")?;
    let records = with_neighbours(bench.records, 4);
    let alone: Vec<_> =
        records.iter().map(|record| encode(&bench.codec, record.borrow())).collect();
    let (codec, records, alone) = (&bench.codec, &records, &alone);
    let all_same =
        || records.iter().zip(alone).all(|(r, bytes)| encode(codec, r.borrow()) == *bytes);
    let same = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(all_same)).collect();
        threads.into_iter().all(|thread| thread.join().unwrap_or(false))
    });
    ensure(same, || "while four threads encoded, a record got another encoding".into())
}

/// The pointers through which a codec is used change nothing.
pub fn arc_and_box_forward<C: Testable, S: Strategy>(bench: &Bench<'_, C, S>) -> Result<(), Stop>
where
    S::Value: Borrow<C::Record>,
{
    bench.promise("a codec works behind Arc and Box as it does bare")?;
    let (shared, boxed) = (Arc::new((bench.fresh)()), Box::new((bench.fresh)()));
    ensure(shared.id() == bench.codec.id() && boxed.id() == bench.codec.id(), || {
        "the id is another behind a pointer".into()
    })?;
    for_all(bench.records, |record| {
        let bytes = encode(&bench.codec, record.borrow())?;
        let same = encode(&shared, record.borrow())? == bytes
            && encode(&boxed, record.borrow())? == bytes
            && shared.as_encoded(record.borrow()) == bench.codec.as_encoded(record.borrow());
        let back = decode(&shared, bytes.clone())?.is_ok_and(|r| r == *record.borrow())
            && decode(&boxed, bytes)?.is_ok_and(|r| r == *record.borrow());
        if same && back { Ok(()) } else { Err("behind a pointer it is encoded otherwise".into()) }
    })
}
