//! The records of the shared log, byte by byte.
//!
//! One append or batch of a stream is one frame of the shared log, with as many records. The first one
//! begins with a *lead*, the others are the caller's bytes as they are. Other frames hold one record of
//! this crate's own. All numbers but the first byte are LEB128.
//!
//! | first byte | what follows |
//! | --- | --- |
//! | `51` records | stream, LSN of the first record, how many; then the bytes of the first record |
//! | `52` start | stream, LSN: its records before this LSN were truncated |
//! | `53` checkpoint | how many streams; then for each, ascending: stream, where it starts, records that it holds |
//! | `54` closing checkpoint | a checkpoint with the indexes, left by a clean close; see `closing` |
//!
//! | file | idea |
//! | --- | --- |
//! | here | the leads |
//! | `closing` | the body of a closing checkpoint |
//! | `fields` | numbers, LSNs and standings, each checked when it is read |
//! | `varint` | LEB128 |
//!
//! A lead thus costs 4 bytes in a young log, and 26 at most. No record is added, so a bound on the loss
//! of records that a strategy claims for the shared log is true for the records of streams as it stands.

mod closing;
mod fields;
mod varint;

use bytes::{Buf, Bytes};
pub(crate) use closing::{CLOSING, put_closing, take_closing};
use fields::{lsn, malformed, nothing_behind, number, take_standing};
use wal_core::{Error, ErrorKind, Lsn, Result};

use crate::id::StreamId;
use crate::positions::Standing;

const RECORDS: u8 = 0x51;
const START: u8 = 0x52;
const CHECKPOINT: u8 = 0x53;

/// What the first record of a frame says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// This record and `count - 1` more belong to `stream`.
    Records { stream: StreamId, first: Lsn, count: u64 },
    /// The stream starts here.
    Start { stream: StreamId, start: Lsn },
    /// Where all streams that ever had a record stood.
    Checkpoint(Vec<Standing>),
}

pub(crate) fn put_records(out: &mut Vec<u8>, stream: StreamId, first: Lsn, count: u64) {
    out.push(RECORDS);
    [stream.0, first.get(), count].into_iter().for_each(|number| varint::put(out, number));
}

pub(crate) fn start(stream: StreamId, start: Lsn) -> Vec<u8> {
    let mut out = vec![START];
    varint::put(&mut out, stream.0);
    varint::put(&mut out, start.get());
    out
}

pub(crate) fn checkpoint(standings: &[Standing]) -> Vec<u8> {
    let mut out = vec![CHECKPOINT];
    varint::put(&mut out, standings.len() as u64);
    for standing in standings {
        varint::put(&mut out, standing.stream.0);
        varint::put(&mut out, standing.start.get());
        varint::put(&mut out, standing.next.since(standing.start));
    }
    out
}

/// Reads the lead, and leaves in `record` what follows it: the bytes of a stream's record.
pub(crate) fn take_lead(record: &mut Bytes) -> Result<Lead> {
    let Some(&kind) = record.first() else { return Err(malformed("an empty record")) };
    record.advance(1);
    match kind {
        RECORDS => {
            let stream = StreamId(number(record, "a stream")?);
            let first = lsn(record)?;
            let count = number(record, "a count")?;
            if count == 0 || first.get().checked_add(count).is_none() {
                return Err(malformed(format!("{count} records from LSN {first} on")));
            }
            Ok(Lead::Records { stream, first, count })
        }
        START => {
            let stream = StreamId(number(record, "a stream")?);
            let start = lsn(record)?;
            nothing_behind(record, "a start")?;
            Ok(Lead::Start { stream, start })
        }
        CHECKPOINT => take_standings(record).map(Lead::Checkpoint),
        CLOSING => take_closing(record).map(|inventory| Lead::Checkpoint(inventory.standings())),
        other => Err(Error::new(ErrorKind::Unsupported, "read shared log").with_detail(format!(
            "the record begins with {other:#04x}, which no record of a stream does"
        ))),
    }
}

fn take_standings(record: &mut Bytes) -> Result<Vec<Standing>> {
    let count = number(record, "a count of streams")?;
    // Each takes 3 bytes at least: nothing is reserved that the bytes do not justify.
    if count > record.len() as u64 / 3 {
        return Err(malformed(format!("{count} streams in {} bytes", record.len())));
    }
    let mut standings = Vec::<Standing>::with_capacity(count as usize);
    for _ in 0..count {
        let standing = take_standing(record)?;
        if standings.last().is_some_and(|last| last.stream >= standing.stream) {
            return Err(malformed(format!("stream {} out of order", standing.stream)));
        }
        standings.push(standing);
    }
    nothing_behind(record, "a checkpoint")?;
    Ok(standings)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lead(bytes: &[u8]) -> (Result<Lead>, Bytes) {
        let mut bytes = Bytes::copy_from_slice(bytes);
        (take_lead(&mut bytes), bytes)
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let mut out = Vec::new();
        put_records(&mut out, StreamId(7), Lsn::new(300), 2);
        assert_eq!(out, [0x51, 7, 0xac, 0x02, 2]);
        out.extend(b"first");
        let (found, rest) = lead(&out);
        let expected = Lead::Records { stream: StreamId(7), first: Lsn::new(300), count: 2 };
        assert_eq!((found.unwrap(), &rest[..]), (expected, &b"first"[..]));

        assert_eq!(start(StreamId(7), Lsn::new(300)), [0x52, 7, 0xac, 0x02]);
        let standings = [
            Standing { stream: StreamId(1), start: Lsn::new(3), next: Lsn::new(3) },
            Standing { stream: StreamId(9), start: Lsn::new(1), next: Lsn::new(6) },
        ];
        let bytes = checkpoint(&standings);
        assert_eq!(bytes, [0x53, 2, 1, 3, 0, 9, 1, 5]);
        assert_eq!(lead(&bytes).0.unwrap(), Lead::Checkpoint(standings.to_vec()));
        out.clear();
        put_records(&mut out, StreamId(u64::MAX), Lsn::new(u64::MAX), u64::from(u32::MAX));
        assert_eq!(out.len(), 26);
    }

    #[test]
    fn what_is_not_ours_is_named() {
        for (bytes, kind, says) in [
            (&b""[..], ErrorKind::Codec, "an empty record"),
            (b"hello", ErrorKind::Unsupported, "0x68"),
            (&[0x51], ErrorKind::Codec, "a stream was expected"),
            (&[0x51, 1, 0, 1], ErrorKind::Codec, "LSN 0"),
            (&[0x51, 1, 1, 0], ErrorKind::Codec, "0 records from LSN 1 on"),
            (&[0x52, 1, 1, 9], ErrorKind::Codec, "1 bytes behind a start"),
            (&[0x53, 200, 1, 1], ErrorKind::Codec, "200 streams in 1 bytes"),
            (&[0x53, 2, 5, 1, 0, 5, 1, 0], ErrorKind::Codec, "stream 5 out of order"),
            (&[0x53, 0, 0], ErrorKind::Codec, "1 bytes behind a checkpoint"),
            (&[0x54, 9, 1, 5, 1, 1, 1, 0], ErrorKind::Codec, "0 places of stream 5"),
            (&[0x54, 9, 1, 5, 1, 1, 1, 1, 2, 1, 0], ErrorKind::Codec, "places of stream 5 outside"),
            (&[0x54, 9, 1, 5, 1, 1, 0, 1, 1, 1, 0], ErrorKind::Codec, "a distance of 0"),
            (&[0x54, 9, 0, 1], ErrorKind::Codec, "1 bytes behind a closing checkpoint"),
        ] {
            let error = lead(bytes).0.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind in 0x50u8..0x56, bytes: Vec<u8>) {
            let mut record = vec![kind];
            record.extend(bytes);
            let (found, rest) = lead(&record);
            // What is understood is what would be written.
            let again = match found {
                Ok(Lead::Records { stream, first, count }) => {
                    let mut out = Vec::new();
                    put_records(&mut out, stream, first, count);
                    out
                }
                Ok(Lead::Start { stream, start }) => super::start(stream, start),
                Ok(Lead::Checkpoint(standings)) if kind == CHECKPOINT => checkpoint(&standings),
                Ok(Lead::Checkpoint(_)) | Err(_) => return Ok(()),
            };
            prop_assert_eq!([&again[..], &rest[..]].concat(), record);
        }
    }
}
