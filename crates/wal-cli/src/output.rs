//! Records to a stream of bytes.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::ValueEnum;
use serde::Serialize;
use wal_core::Entry;

use crate::failure::Failure;
use crate::time;

/// How records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// The record and a newline
    Lines,
    /// {"lsn":1,"time":"2026-01-31T12:00:00.000001Z","record":"text"}, with record_base64 if the record is not UTF-8
    Jsonl,
    /// A length (u32, little-endian), then the record; `wal append --input len32` reads it back
    Len32,
    /// LSN, time, length, then the bytes in hexadecimal and as text
    Hex,
}

#[derive(Serialize)]
struct Line<'a> {
    lsn: u64,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_base64: Option<String>,
}

/// Writes one record.
pub(crate) fn write(
    out: &mut impl Write,
    format: OutputFormat,
    entry: &Entry<Bytes>,
) -> io::Result<()> {
    let record = &entry.record;
    match format {
        OutputFormat::Lines => {
            out.write_all(record)?;
            out.write_all(b"\n")
        }
        OutputFormat::Jsonl => {
            let text = std::str::from_utf8(record).ok();
            let line = Line {
                lsn: entry.lsn.get(),
                time: time::show(entry.timestamp),
                record: text,
                record_base64: text.is_none().then(|| STANDARD.encode(record)),
            };
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")
        }
        OutputFormat::Len32 => {
            let len = u32::try_from(record.len()).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("record {} of {} bytes has no u32 length", entry.lsn, record.len()),
                )
            })?;
            out.write_all(&len.to_le_bytes())?;
            out.write_all(record)
        }
        OutputFormat::Hex => hex(out, entry),
    }
}

/// Prints a report in one write: it is short, and should not be torn by somebody else's output. That
/// nobody reads it is no failure: the exit code still tells the verdict.
pub(crate) fn report(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::output(&error)),
        _ => Ok(()),
    }
}

fn hex(out: &mut impl Write, entry: &Entry<Bytes>) -> io::Result<()> {
    let (lsn, len) = (entry.lsn, entry.record.len());
    writeln!(out, "LSN {lsn}  {}  {len} bytes", time::show(entry.timestamp))?;
    for (row, bytes) in entry.record.chunks(16).enumerate() {
        write!(out, "  {:08x} ", row * 16)?;
        for at in 0..16 {
            let gap = if at == 8 { " " } else { "" };
            match bytes.get(at) {
                Some(byte) => write!(out, "{gap} {byte:02x}")?,
                None => write!(out, "{gap}   ")?,
            }
        }
        let text: String = bytes
            .iter()
            .map(|&byte| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' })
            .collect();
        writeln!(out, "  |{text}|")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wal_core::{Lsn, Timestamp};

    use super::*;

    fn print(format: OutputFormat, record: &'static [u8]) -> Vec<u8> {
        let time = Timestamp::from_micros(1_769_860_800_000_001);
        let entry = Entry::new(Lsn::new(1), time, Bytes::from_static(record));
        let mut out = Vec::new();
        write(&mut out, format, &entry).unwrap();
        out
    }

    #[test]
    fn json_lines_have_the_documented_form() {
        assert_eq!(
            print(OutputFormat::Jsonl, b"text"),
            b"{\"lsn\":1,\"time\":\"2026-01-31T12:00:00.000001Z\",\"record\":\"text\"}\n"
        );
        assert_eq!(
            print(OutputFormat::Jsonl, b"\xff\x00\x01"),
            b"{\"lsn\":1,\"time\":\"2026-01-31T12:00:00.000001Z\",\"record_base64\":\"/wAB\"}\n"
        );
    }

    #[test]
    fn the_other_forms() {
        assert_eq!(print(OutputFormat::Lines, b"a\xff"), b"a\xff\n");
        assert_eq!(print(OutputFormat::Len32, b"ab"), b"\x02\0\0\0ab");
        assert_eq!(print(OutputFormat::Len32, b""), b"\0\0\0\0");
        let text = String::from_utf8(print(OutputFormat::Hex, b"0123456789abcdef\n\xff")).unwrap();
        assert_eq!(
            text,
            "LSN 1  2026-01-31T12:00:00.000001Z  18 bytes\n  \
             00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n  \
             00000010  0a ff                                             |..|\n"
        );
    }
}
