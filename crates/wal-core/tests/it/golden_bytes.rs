//! The bytes of a small log, held by a golden hash: a change of format cannot slip in.

use std::time::Duration;

use crate::support::*;
use wal_core::format::LogId;
use wal_core::*;

struct FixedClock;

impl Clock for FixedClock {
    fn monotonic(&self) -> Duration {
        Duration::from_secs(5)
    }
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000)
    }
}

/// 64-bit FNV-1a: enough to notice a change.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
}

fn segment_bytes(memory: &MemoryStorage) -> Vec<Vec<u8>> {
    let names = memory.list().wait().unwrap().segments;
    let read = |name| {
        let segment = memory.open(name, Access::Read).wait().unwrap();
        let len = segment.len().wait().unwrap() as usize;
        segment.read_at(0, len).wait().unwrap().to_vec()
    };
    names.into_iter().map(read).collect()
}

/// FORMAT.md has these bytes in a picture, in boxes of so many bytes.
fn is_pictured(bytes: &[u8], boxes: &[usize]) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../FORMAT.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut rest = bytes;
    let row: Vec<String> = boxes
        .iter()
        .map(|&len| {
            let (these, behind) = rest.split_at(len);
            rest = behind;
            these.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let squeezed = |line: &str| {
        line.split('|').map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
    };
    let found = page.lines().any(|line| {
        let cells: Vec<String> = squeezed(line);
        cells == row
    });
    assert!(found, "a picture of FORMAT.md should show | {} |", row.join(" | "));
}

/// A log that holds nothing yet, with an id that is the same each time.
fn golden(storage: impl LogStorage) -> Recovered {
    let (storage, lock) = (std::sync::Arc::new(storage), StorageLock::new(()));
    Recovered::empty(storage, lock, LogId(*b"golden-log-id-16")).unwrap()
}

#[test]
fn golden_bytes() {
    let memory = MemoryStorage::new();
    let recovered = golden(memory.clone());
    let log = Wal::builder(os()).clock(FixedClock).open(recovered).unwrap();
    log.append(b"hello").unwrap();
    log.append(b"").unwrap();
    log.sync().unwrap();
    log.append_batch(&[b"a".to_vec(), b"".to_vec(), b"ccc".to_vec()]).unwrap();
    log.truncate_after(Lsn::new(4)).unwrap();
    log.append(b"next").unwrap();
    log.close().unwrap();

    let segments = segment_bytes(&memory);
    let shape: Vec<_> = segments.iter().map(Vec::len).collect();
    // 512 header; 24+5, 24, 24+12+4; footer 24 + 72 + 8 + 12.
    assert_eq!(shape, [512 + 29 + 24 + 40 + 116, 512 + 28 + 116]);

    // The second frame starts at 541: an empty record, LSN delta 1, durable lag 1, kind 1, no flags.
    assert_eq!(segments[0][541 + 4..541 + 24], {
        let mut frame = [0; 20];
        frame[4] = 1;
        frame[8] = 1;
        frame[18] = 1;
        frame
    });
    // The batch: 16 bytes of body, flag 1; count 3, lengths 1 and 0, bodies.
    assert_eq!(segments[0][565 + 24..605], *b"\x03\0\0\0\x01\0\0\0\0\0\0\0accc");

    is_pictured(&segments[0][512..541], &[4, 4, 4, 4, 6, 1, 1, 5]);
    is_pictured(&segments[0][565..589], &[4, 4, 4, 4, 6, 1, 1]);
    is_pictured(&segments[0][589..605], &[4, 4, 4, 4]);

    let hashes: Vec<_> = segments.iter().map(|bytes| format!("{:016x}", hash(bytes))).collect();
    assert_eq!(
        hashes,
        ["e716d599c669c031", "2a46e7344207057e"],
        "the format changed: raise the version, or undo it"
    );
}

#[test]
fn golden_bytes_of_a_padded_log() {
    let probe = Probe { pad_to: 256, ..Probe::default() };
    let memory = probe.memory.clone();
    let recovered = golden(probe);
    let log = Wal::builder(os()).clock(FixedClock).open(recovered).unwrap();
    log.append(b"hello").unwrap();
    log.sync().unwrap();
    log.append(&[7; 220]).unwrap();
    log.close().unwrap();

    let segments = segment_bytes(&memory);
    // 512 header; 24+5 and padding; 24+220, too little for a header, so a block more; footer.
    assert_eq!(segments[0].len(), 512 + 256 + 512 + 116);
    // The first padding, 203 bytes of body: LSN delta 1, durable lag 1, kind 8, no flags.
    assert_eq!(segments[0][541 + 4..541 + 24], {
        let mut frame = [0; 20];
        frame[0] = 203;
        frame[4] = 1;
        frame[8] = 1;
        frame[18] = 8;
        frame
    });
    assert!(segments[0][541 + 24..768].iter().all(|&byte| byte == 0));
    let hashes: Vec<_> = segments.iter().map(|bytes| format!("{:016x}", hash(bytes))).collect();
    assert_eq!(hashes, ["e022cb879ec01a81"], "the format changed: raise the version, or undo it");
}
