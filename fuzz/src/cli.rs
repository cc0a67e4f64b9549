//! What people and programs give to the `wal` command: words, records, sizes, times, strategies.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use wal_command as command;
use wal_core::SyncStrategy;
use wal_sync::Policy;

/// What an input is: its first byte says so.
pub(crate) const KINDS: [fn(&[u8]); 8] = [arguments, policy, size, time, lines, jsonl, len32, dump];

/// One parser, fed with everything behind the first byte.
pub fn run(data: &[u8]) {
    if let Some((kind, input)) = data.split_first() {
        KINDS[usize::from(*kind) % KINDS.len()](input);
    }
}

/// A command line, its words apart by newlines: it is taken, or refused with a message.
fn arguments(input: &[u8]) {
    let words = input.split(|&byte| byte == b'\n').map(|word| OsString::from_vec(word.to_vec()));
    if let Err(message) = command::arguments(words.collect()) {
        assert!(!message.trim().is_empty(), "refused without a word");
    }
}

/// The spelling that is printed means what was read, and is printed again.
fn policy(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match text.parse::<Policy>() {
        Ok(policy) => {
            let canonical = policy.to_string();
            let again: Policy = canonical.parse().expect("the canonical spelling is read");
            assert_eq!((again, again.to_string()), (policy, canonical));
            assert_eq!(policy.into_strategy().claim(), policy.claim());
        }
        Err(error) => assert!(!error.detail().is_empty(), "refused without a word"),
    }
}

fn size(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(bytes) = command::size(text) {
        assert_eq!(command::size(&bytes.to_string()), Ok(bytes));
        assert!(bytes >= 1024 || command::show_size(bytes) == format!("{bytes} B"));
    }
}

/// A time comes back as it was, and any number of microseconds is printed.
fn time(input: &[u8]) {
    let micros = input.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let shown = command::show_time(micros);
    let read = command::time(&shown).expect("what is printed is read");
    assert!(same(micros, read), "{micros}: {shown}");
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(micros) = command::time(text) {
        let read = command::time(&command::show_time(micros)).expect("what is printed is read");
        assert!(same(micros, read), "{text:?}");
    }
}

/// From the last second of the calendar on, all times are printed as its end.
fn same(micros: u64, read: u64) -> bool {
    let end = command::time(&command::show_time(u64::MAX)).expect("what is printed is read");
    micros == read || micros > end - 1_000_000 && read == end
}

/// Reads with a limit and a buffer that the first two bytes say, and again with a large buffer: how the
/// input is cut up must not matter.
fn read<'a>(input: &'a [u8], format: &str) -> (&'a [u8], u64, Vec<Bytes>, Option<String>) {
    let [limit, piece, input @ ..] = input else { return (&[], 0, Vec::new(), None) };
    let limit = u64::from(*limit) * 4;
    let (records, error) = command::records(input, format, limit, usize::from(*piece) + 1);
    let whole = command::records(input, format, limit, input.len() + 1);
    assert_eq!((&records, &error), (&whole.0, &whole.1));
    assert!(records.iter().all(|record| record.len() as u64 <= limit));
    (input, limit, records, error)
}

/// Every byte of the input is in a record, or a newline, or behind an error.
fn lines(input: &[u8]) {
    let (input, limit, records, error) = read(input, "lines");
    let mut again = records.join(&b'\n');
    match error {
        None => {
            again.extend(input.ends_with(b"\n").then_some(b'\n'));
            assert_eq!(again, input);
        }
        Some(error) => {
            let number = records.len() + 1;
            assert!(error.starts_with(&format!("record {number} of the input: ")), "{error}");
            again.extend((!records.is_empty()).then_some(b'\n'));
            let rest = input.strip_prefix(&again[..]).expect("what was read came first");
            let line = rest.split(|&byte| byte == b'\n').next().expect("there is a piece");
            assert!(line.len() as u64 > limit);
        }
    }
}

/// As lines, and each of them is JSON.
fn jsonl(input: &[u8]) {
    let (input, limit, records, _) = read(input, "jsonl");
    let plain = command::records(input, "lines", limit, 4096).0;
    assert!(plain.starts_with(&records), "a record is not the line as it stands");
    for record in records {
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&record).is_ok());
    }
}

/// What was read prints as what it was read from.
fn len32(input: &[u8]) {
    let (input, _, records, error) = read(input, "len32");
    let again: Vec<u8> =
        records.iter().flat_map(|record| command::print("len32", 1, 0, record)).collect();
    assert!(input.starts_with(&again));
    assert_eq!(error.is_none(), again.len() == input.len(), "{error:?}");
}

/// What `wal dump` prints of a record gives the record back.
fn dump(input: &[u8]) {
    let Some((head, record)) = input.split_first_chunk::<16>() else { return };
    let number = |half: &[u8]| u64::from_le_bytes(half.try_into().expect("eight bytes"));
    let (lsn, micros) = (number(&head[..8]), number(&head[8..]));
    let print = |format| command::print(format, lsn, micros, record);
    assert_eq!(print("lines"), [record, b"\n"].concat());
    let hex = String::from_utf8(print("hex")).expect("hexadecimal digits are text");
    assert_eq!(hex.lines().count(), 1 + record.len().div_ceil(16));

    let line = print("jsonl");
    let body = line.strip_suffix(b"\n").expect("a whole line");
    assert!(!body.contains(&b'\n'), "a line in two");
    let json: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(json["lsn"], lsn);
    let back = match (json["record"].as_str(), json["record_base64"].as_str()) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(encoded)) => STANDARD.decode(encoded).expect("base64"),
        both => panic!("a record in two forms or none: {both:?}"),
    };
    assert_eq!(back, record);
}
