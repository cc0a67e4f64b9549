//! Records with their checksum into a buffer.

use std::hint::black_box;
use std::io;

use wal_load::{Sample, Timing, Workload, threads};

use super::file::Written;

/// The buffer is full, or written, at so many bytes.
const BUFFER: usize = 64 << 10;

/// Length and checksum stand before each record.
pub(super) const HEADER: usize = 8;

/// Fills a buffer again and again.
struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    /// Whether the buffer was full, and `spill` got it.
    #[inline]
    fn put(
        &mut self,
        record: &[u8],
        spill: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.bytes.len() + HEADER + record.len() > BUFFER {
            spill(&self.bytes)?;
            self.bytes.clear();
        }
        frame(&mut self.bytes, record);
        Ok(())
    }
}

/// Appends a record and what proves it whole.
pub(super) fn frame(out: &mut Vec<u8>, record: &[u8]) {
    out.extend_from_slice(&(record.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(record).to_le_bytes());
    out.extend_from_slice(record);
}

/// Never leaves memory.
pub(super) fn copy(load: &Workload, timing: &Timing) -> anyhow::Result<Sample> {
    let writer = || {
        spilling(load, |bytes| {
            black_box(bytes);
            Ok(())
        })
    };
    let writers = (0..load.writers.count()).map(|_| writer()).collect();
    threads(load, timing, writers)
}

/// Full buffers are written, and the last sync is left to nobody.
pub(super) fn unsynced(
    mut disk: Written,
    load: &Workload,
    timing: &Timing,
) -> anyhow::Result<Sample> {
    threads(load, timing, vec![spilling(load, move |bytes| disk.write(bytes))])
}

fn spilling(
    load: &Workload,
    mut spill: impl FnMut(&[u8]) -> io::Result<()>,
) -> impl FnMut() -> anyhow::Result<()> {
    let record = vec![b'r'; load.record];
    let count = load.records_per_call();
    let mut buffer = Buffer { bytes: Vec::with_capacity(BUFFER) };
    move || {
        for _ in 0..count {
            buffer.put(black_box(&record), &mut spill)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_is_spilled_whole() {
        let mut buffer = Buffer { bytes: Vec::new() };
        let mut spilled = Vec::new();
        let each = HEADER + 1000;
        for _ in 0..2 * BUFFER / each {
            let mut spill = |bytes: &[u8]| {
                spilled.push(bytes.len());
                Ok(())
            };
            buffer.put(&[7; 1000], &mut spill).unwrap();
        }
        assert_eq!(spilled, [BUFFER / each * each]);
        assert_eq!(buffer.bytes[..4], 1000_u32.to_le_bytes());
        assert_eq!(buffer.bytes[4..8], crc32c::crc32c(&[7; 1000]).to_le_bytes());
    }
}
