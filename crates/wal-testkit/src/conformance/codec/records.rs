//! Records for the checks of a codec, and bytes that are none.

use std::borrow::Borrow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{Bytes, BytesMut};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use wal_core::{Codec, Error, Result};

use crate::Rng;
use crate::conformance::Stop;

/// A runner that makes the same records on every run, and leaves no files behind.
fn runner() -> TestRunner {
    let config = Config { failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Runs `check` on many records; a failure is shrunk to the smallest record that still fails.
pub(super) fn for_all<S: Strategy>(
    strategy: &S,
    check: impl Fn(&S::Value) -> Result<(), String>,
) -> Result<(), Stop> {
    let tried = runner().run(strategy, |record| check(&record).map_err(TestCaseError::fail));
    match tried {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, record)) => {
            Err(Stop::Broken(format!("{}. The record: {record:?}", why.message())))
        }
        Err(TestError::Abort(why)) => {
            Err(Stop::Broken(format!("the strategy makes no records: {}", why.message())))
        }
    }
}

/// Many records, and for each some that are nearly the same: by walking the ways in which it would be
/// shrunk, and taking only some of the steps.
pub(super) fn with_neighbours<S: Strategy>(strategy: &S, records: usize) -> Vec<S::Value> {
    const STEPS: usize = 150;
    let (mut runner, mut rng) = (runner(), Rng::new(1));
    let mut all = Vec::new();
    for _ in 0..records {
        let Ok(mut tree) = strategy.new_tree(&mut runner) else { continue };
        all.push(tree.current());
        // Few steps taken lead to pairs that differ far behind, many to the smallest records.
        let taken_of_8 = [1, 4, 7, 8][rng.below(4) as usize];
        for _ in 0..STEPS {
            if !tree.simplify() {
                break;
            }
            all.push(tree.current());
            if rng.below(8) >= taken_of_8 && !tree.complicate() {
                break;
            }
        }
    }
    all
}

/// The encodings of some records.
pub(super) fn encodings<C: Codec, S: Strategy>(codec: &C, strategy: &S) -> Vec<Bytes>
where
    S::Value: Borrow<C::Record>,
{
    let records = with_neighbours(strategy, 4);
    records.iter().filter_map(|record| encode(codec, record.borrow()).ok()).collect()
}

/// The encoding of a record, alone in a buffer.
pub(super) fn encode<C: Codec>(codec: &C, record: &C::Record) -> Result<Bytes, String> {
    let mut out = BytesMut::new();
    match catch(|| codec.encode(record, &mut out)) {
        Ok(Ok(())) => Ok(out.freeze()),
        Ok(Err(error)) => Err(format!("the record has no encoding: {error}")),
        Err(panic) => Err(format!("encode panicked: {panic}")),
    }
}

/// Decodes; `Err` with the message if that panics.
pub(super) fn decode<C: Codec>(
    codec: &C,
    bytes: Bytes,
) -> Result<Result<C::Decoded, Error>, String> {
    let shown = hex(&bytes);
    catch(|| codec.decode(bytes)).map_err(|panic| format!("decode panicked on {shown}: {panic}"))
}

fn catch<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_string()
    })
}

/// Bytes for a message: the first few, and how many there are.
pub(super) fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 32;
    let mut text: String = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > SHOWN {
        text.push('…');
    }
    format!("{} bytes [{text}]", bytes.len())
}

/// Bytes that are hardly a record: noise, and encodings with something wrong in them.
pub(super) fn garbage(encodings: &[Bytes], count: usize) -> Vec<Bytes> {
    let mut rng = Rng::new(1);
    let mut all = vec![Bytes::new()];
    while all.len() < count {
        let mut bytes = match encodings.len() {
            0 => Vec::new(),
            n => encodings[rng.below(n as u64) as usize].to_vec(),
        };
        let at = rng.below(bytes.len() as u64 + 1) as usize;
        match rng.below(6) {
            0 => bytes = (0..rng.below(200)).map(|_| rng.next() as u8).collect(),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, rng.next() as u8),
            3 => bytes.extend_from_within(at..),
            // Where a length is, the largest there is: of 1, 2, 4 or 8 bytes, or of variable length.
            4 => {
                let (len, filler) =
                    (1 << rng.below(4), if rng.below(2) == 0 { 0xff } else { 0x7f });
                bytes.iter_mut().skip(at).take(len).for_each(|byte| *byte = filler);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.below(8);
                }
            }
        }
        all.push(bytes.into());
    }
    all
}
