//! Reading records in large pieces, and checking each.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, ensure};
use wal_core::{Clock, SystemClock};
use wal_load::Sample;

use super::copy::{HEADER, frame};

/// Read at a time.
const PIECE: usize = 1 << 20;

/// Writes a file of so many bytes of records.
pub(in super::super) fn build(path: &Path, records: u64, record: usize) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    let mut bytes = Vec::new();
    let record = vec![b'r'; record];
    for n in 0..records {
        frame(&mut bytes, &record);
        if bytes.len() >= PIECE || n + 1 == records {
            file.write_all(&bytes)?;
            bytes.clear();
        }
    }
    Ok(file.sync_all()?)
}

/// Checks every record of the file, and hands it on.
pub(in super::super) fn scan(path: &Path) -> anyhow::Result<Sample> {
    let clock = SystemClock::new();
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut memory = vec![0; PIECE];
    let (mut filled, mut records) = (0, 0);
    loop {
        let read = file.read(&mut memory[filled..])?;
        if read == 0 {
            ensure!(filled == 0, "{} ends within a record", path.display());
            return Ok(Sample::once(records, clock.monotonic()));
        }
        filled += read;
        let mut at = 0;
        while let Some(whole) = first(&memory[at..filled])? {
            black_box(&memory[at + HEADER..at + whole]);
            records += 1;
            at += whole;
        }
        memory.copy_within(at..filled, 0);
        filled -= at;
    }
}

/// The length of the first record with its header, if it is all there.
fn first(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
    let number = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let Some(record) = rest.get(..number(&header[..4]) as usize) else { return Ok(None) };
    ensure!(crc32c::crc32c(record) == number(&header[4..]), "a record of the raw file is damaged");
    Ok(Some(HEADER + record.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_read_and_checked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records");
        build(&path, 30_000, 100).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 30_000 * 108);
        assert_eq!(scan(&path).unwrap().records, 30_000);

        let mut bytes = std::fs::read(&path).unwrap();
        bytes[2_000_050] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(scan(&path).unwrap_err().to_string().contains("is damaged"));
    }
}
