//! Records from a stream of bytes.

use std::io::{self, BufRead};

use bytes::{Bytes, BytesMut};
use clap::ValueEnum;
use serde::de::IgnoredAny;

use crate::failure::Failure;

/// How records lie in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    /// One record a line; the newline is not part of it
    Lines,
    /// One JSON value a line, checked and stored as it stands
    Jsonl,
    /// A length (u32, little-endian), then that many bytes: any binary
    Len32,
}

/// Takes records out of a stream, one at a time.
///
/// Memory is bounded: no record may be longer than `limit` bytes, and a length that the input claims
/// is checked before it is believed.
pub(crate) struct RecordReader<R> {
    input: R,
    format: InputFormat,
    limit: u64,
    buf: BytesMut,
    /// Records taken so far.
    taken: u64,
}

/// Room is made for this many bytes of records at once, so that records share allocations.
const CHUNK: usize = 64 * 1024;

impl<R: BufRead> RecordReader<R> {
    pub(crate) fn new(input: R, format: InputFormat, limit: u64) -> Self {
        RecordReader { input, format, limit, buf: BytesMut::new(), taken: 0 }
    }

    /// The next record; `None` at the end of the input.
    ///
    /// # Errors
    /// A read error, a malformed or too long record: the message names the record by its number,
    /// counted from 1. Nothing can be read after that.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let outcome = match self.format {
            InputFormat::Lines => self.line(),
            InputFormat::Jsonl => self.json_line(),
            InputFormat::Len32 => self.prefixed(),
        };
        match outcome {
            Ok(record) => {
                self.taken += u64::from(record.is_some());
                Ok(record)
            }
            Err(what) => {
                Err(Failure::new(format!("record {} of the input: {what}", self.taken + 1)))
            }
        }
    }

    fn line(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            let available = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => outcome.map_err(|error| error.to_string())?,
            };
            let end = available.iter().position(|&byte| byte == b'\n');
            let piece = &available[..end.unwrap_or(available.len())];
            if (self.buf.len() + piece.len()) as u64 > self.limit {
                return Err(format!("the line is longer than {} bytes", self.limit));
            }
            if self.buf.capacity() - self.buf.len() < piece.len() {
                self.buf.reserve(piece.len().max(CHUNK));
            }
            self.buf.extend_from_slice(piece);
            let at_end = available.is_empty();
            let used = piece.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() || (at_end && !self.buf.is_empty()) {
                return Ok(Some(self.buf.split().freeze()));
            }
            if at_end {
                return Ok(None);
            }
        }
    }

    fn json_line(&mut self) -> Result<Option<Bytes>, String> {
        let Some(line) = self.line()? else { return Ok(None) };
        let text = std::str::from_utf8(&line).map_err(|error| format!("not JSON: {error}"))?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| format!("not JSON: {error}"))?;
        Ok(Some(line))
    }

    fn prefixed(&mut self) -> Result<Option<Bytes>, String> {
        let mut prefix = [0; 4];
        match self.read_up_to(&mut prefix)? {
            0 => return Ok(None),
            4 => {}
            n => return Err(format!("the input ends after {n} of the 4 bytes of its length")),
        }
        let len = u32::from_le_bytes(prefix);
        if u64::from(len) > self.limit {
            return Err(format!("its length is {len} bytes, allowed are {}", self.limit));
        }
        let len = len as usize;
        if self.buf.capacity() < len {
            self.buf.reserve(len.max(CHUNK));
        }
        let mut record = self.buf.split();
        record.resize(len, 0);
        let read = self.read_up_to(&mut record)?;
        if read < len {
            return Err(format!("the input ends after {read} of its {len} bytes"));
        }
        self.buf = record.split_off(len);
        Ok(Some(record.freeze()))
    }

    /// Fills `into`, unless the input ends before; returns how much came.
    fn read_up_to(&mut self, into: &mut [u8]) -> Result<usize, String> {
        let mut filled = 0;
        while filled < into.len() {
            match self.input.read(&mut into[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], format: InputFormat, limit: u64) -> (Vec<Vec<u8>>, Option<String>) {
        // Tiny pieces: records that straddle the reader's buffer are the rule.
        let input = io::BufReader::with_capacity(3, input);
        let mut reader = RecordReader::new(input, format, limit);
        let mut records = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(record)) => records.push(record.to_vec()),
                Ok(None) => return (records, None),
                Err(failure) => return (records, Some(failure.to_string())),
            }
        }
    }

    #[test]
    fn lines_keep_every_byte_but_the_newline() {
        let (records, error) = all(b"one\n\n\xff\r\nlast", InputFormat::Lines, 100);
        assert_eq!(records, [&b"one"[..], b"", b"\xff\r", b"last"]);
        assert_eq!(error, None);
        assert_eq!(all(b"", InputFormat::Lines, 100).0.len(), 0);
    }

    #[test]
    fn long_lines_are_refused_by_number() {
        let (records, error) = all(b"1234\n12345\n", InputFormat::Lines, 4);
        assert_eq!(records, [b"1234"]);
        assert_eq!(error.unwrap(), "record 2 of the input: the line is longer than 4 bytes");
    }

    #[test]
    fn json_is_checked_and_kept_as_it_stands() {
        let (records, error) = all(b"{\"a\" : [1,2]}\n 7\n{\"a\":\n", InputFormat::Jsonl, 100);
        assert_eq!(records, [&b"{\"a\" : [1,2]}"[..], b" 7"]);
        assert!(error.unwrap().starts_with("record 3 of the input: not JSON: "));
        assert!(all(b"\"\xff\"\n", InputFormat::Jsonl, 100).1.unwrap().contains("not JSON"));
    }

    #[test]
    fn prefixed_records_may_hold_anything() {
        let (records, error) =
            all(b"\0\0\0\0\x03\0\0\0a\n\xff\x01\0\0\0z", InputFormat::Len32, 100);
        assert_eq!(records, [&b""[..], b"a\n\xff", b"z"]);
        assert_eq!(error, None);
    }

    #[test]
    fn prefixed_input_that_ends_early_is_told_where() {
        let end = |input| all(input, InputFormat::Len32, 100).1.unwrap();
        assert_eq!(
            end(b"\0\0\0\0\x01\0"),
            "record 2 of the input: the input ends after 2 of the 4 bytes of its length"
        );
        assert_eq!(
            end(b"\x05\0\0\0abc"),
            "record 1 of the input: the input ends after 3 of its 5 bytes"
        );
        assert_eq!(
            end(b"\xff\xff\xff\xff"),
            "record 1 of the input: its length is 4294967295 bytes, allowed are 100"
        );
    }
}
