//! The kit catches codecs that break their contract, and says so in words that a newcomer understands.
//! And no check of it is for show: each is failed by some codec.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::{Bytes, BytesMut};
use wal_core::{Codec, CodecId, Error, ErrorKind, Result};
use wal_testkit::conformance::{Checked, codec};
use wal_testkit::proptest::prelude::*;

/// What a codec of byte strings does wrong. Without a lie it writes the length in 4 bytes, and the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    DropsTrailingZeros,
    ForgetsBytesAbove,
    ClearsTheBuffer,
    OtherShortcut,
    TrustsTheLength,
    IgnoresTheEnd,
    WrongKind,
    AllocatesWhatItIsTold,
    CountsIds,
    ReservedId,
    KeepsState,
    BoxesDiffer,
    RefusesTheSecondTime,
}

struct Lying {
    lie: Lie,
    /// Which of the codecs that were made for a check this is.
    number: u32,
    id: AtomicU32,
    busy: AtomicBool,
    /// What was decoded last.
    last: Mutex<Bytes>,
}

static MADE: AtomicU32 = AtomicU32::new(0);

fn lying(lie: Lie) -> Lying {
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    Lying {
        lie,
        number,
        id: AtomicU32::new(0),
        busy: AtomicBool::new(false),
        last: Mutex::default(),
    }
}

fn refused(detail: &'static str) -> Error {
    Error::new(ErrorKind::Codec, "decode record").with_detail(detail)
}

impl Codec for Lying {
    type Record = [u8];
    type Decoded = Vec<u8>;

    fn id(&self) -> CodecId {
        match self.lie {
            Lie::ReservedId => CodecId(77),
            Lie::CountsIds => {
                CodecId(CodecId::APPLICATION.0 + self.id.fetch_add(1, Ordering::Relaxed))
            }
            _ => CodecId::APPLICATION,
        }
    }

    fn encode(&self, record: &[u8], out: &mut BytesMut) -> Result<()> {
        let mut record = record.to_vec();
        match self.lie {
            Lie::DropsTrailingZeros => {
                let kept = record.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                record.truncate(kept);
            }
            Lie::ForgetsBytesAbove => record.truncate(40),
            Lie::ClearsTheBuffer => out.clear(),
            Lie::KeepsState if self.busy.swap(true, Ordering::Relaxed) => record.push(1),
            Lie::BoxesDiffer => record.push(self.number as u8),
            _ => {}
        }
        std::thread::yield_now();
        out.extend_from_slice(&(record.len() as u32).to_le_bytes());
        out.extend_from_slice(&record);
        self.busy.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn decode(&self, bytes: Bytes) -> Result<Vec<u8>> {
        let last = std::mem::replace(&mut *self.last.lock().unwrap(), bytes.clone());
        if self.lie == Lie::RefusesTheSecondTime && last == bytes {
            return Err(refused("that was decoded already"));
        }
        let Some((len, rest)) = bytes.split_first_chunk::<4>() else {
            return Err(match self.lie {
                Lie::WrongKind => Error::new(ErrorKind::Corrupt, "decode record"),
                _ => refused("it ends in its length"),
            });
        };
        let len = u32::from_le_bytes(*len) as usize;
        match self.lie {
            Lie::TrustsTheLength => return Ok(rest[..len].to_vec()),
            Lie::IgnoresTheEnd => {
                let mut record = rest.to_vec();
                record.resize(len.min(1 << 16), 0);
                return Ok(record);
            }
            Lie::AllocatesWhatItIsTold => {
                let mut record = Vec::with_capacity(len.min(1 << 28));
                record.extend_from_slice(&rest[..rest.len().min(len)]);
                if rest.len() == len {
                    return Ok(record);
                }
            }
            _ => {}
        }
        match rest.len() == len {
            true => Ok(rest.to_vec()),
            false => Err(refused("other bytes than its length says")),
        }
    }

    fn as_encoded<'a>(&self, record: &'a [u8]) -> Option<&'a [u8]> {
        (self.lie == Lie::OtherShortcut).then_some(record)
    }
}

fn records() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..60)
}

/// Whatever strategy is given, the checks can be listed.
fn checks<S: Strategy<Value = Vec<u8>>>(_: &S) -> Vec<(&'static str, codec::Check<Lying, S>)> {
    codec::all()
}

fn found(lie: Lie, name: &str) -> Option<String> {
    let records = records();
    let all = checks(&records);
    let (_, check) = all.iter().find(|(known, _)| *known == name).expect(name);
    let outcome = codec::examine(&|| lying(lie), &records, *check);
    outcome.err().map(|breach| breach.to_string())
}

#[test]
fn a_codec_that_is_not_injective_is_told_so() {
    let text =
        found(Lie::DropsTrailingZeros, "different_records_have_different_encodings").unwrap();
    let (head, tail) = text.split_once(": [").unwrap();
    assert_eq!(
        head,
        "the codec codecs::lies::Lying breaks its contract
  promised: two different records never encode to the same bytes
  seen:     two records have the one encoding 4 bytes [00000000], so that a log gives one back as the other"
    );
    assert!(tail == "0] and []" || tail == "] and [0]", "{tail}");
    let text = found(Lie::DropsTrailingZeros, "what_is_decoded_is_what_was_encoded").unwrap();
    assert_eq!(
        text,
        "the codec codecs::lies::Lying breaks its contract
  promised: decode(encode(r)) == r for every record
  seen:     its encoding, 4 bytes [00000000], is decoded as another record. The record: [0]"
    );
}

#[test]
fn an_honest_codec_passes() {
    let records = records();
    for (name, check) in checks(&records) {
        let outcome = codec::examine(&|| lying(Lie::None), &records, check);
        assert_eq!(outcome, Ok(Checked::Passed), "{name}");
    }
}

/// Each lie, and the checks that are about it; others may find it as well.
const LIES: &[(Lie, &[&str])] = &[
    (Lie::DropsTrailingZeros, &["what_is_decoded_is_what_was_encoded"]),
    (Lie::ForgetsBytesAbove, &["different_records_have_different_encodings"]),
    (Lie::ClearsTheBuffer, &["encoding_only_appends"]),
    (Lie::OtherShortcut, &["as_encoded_is_the_encoding"]),
    (
        Lie::TrustsTheLength,
        &["decoding_garbage_never_panics", "empty_and_huge_inputs_are_decoded_or_refused"],
    ),
    (Lie::IgnoresTheEnd, &["a_cut_encoding_is_never_the_record"]),
    (Lie::WrongKind, &["refusals_are_of_the_kind_codec"]),
    (Lie::AllocatesWhatItIsTold, &["a_short_input_allocates_little"]),
    (Lie::CountsIds, &["the_id_is_stable"]),
    (Lie::ReservedId, &["the_id_is_stable"]),
    (Lie::KeepsState, &["threads_share_the_codec"]),
    (Lie::BoxesDiffer, &["arc_and_box_forward"]),
    // The outcome depends on something else than the bytes.
    (Lie::RefusesTheSecondTime, &["decoding_reads_only_its_input"]),
];

#[test]
fn every_lie_is_found_by_the_checks_that_are_about_it() {
    for &(lie, names) in LIES {
        for name in names {
            assert!(found(lie, name).is_some(), "{lie:?} is not found by {name}");
        }
    }
}

#[test]
fn every_check_is_failed_by_somebody() {
    let caught: BTreeSet<&str> = LIES.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let all: BTreeSet<&str> = checks(&records()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(caught, all);
}
