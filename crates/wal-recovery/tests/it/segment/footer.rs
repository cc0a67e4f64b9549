//! What is a footer and what only looks like one.

use crate::support::*;
use wal_core::format::{Footer, IndexEntry, SegmentSummary};
use wal_core::*;
use wal_recovery::{Inspect, Verify, View};

fn one_segment() -> (MemoryStorage, Wal) {
    let storage = MemoryStorage::new();
    let log = Wal::builder(always()).manual_driver();
    let log = log.open(storage.clone().into_empty_log().unwrap()).unwrap();
    (storage, log)
}

/// Somebody appends the body of the very footer that would be right at this place.
#[test]
fn a_record_that_reads_like_a_footer_is_a_record() {
    let (storage, log) = one_segment();
    log.append(b"first").unwrap();
    let image = image_of(&storage);
    let header = header_of(&image[&1], 1);
    let end = image[&1].len();
    let frame = format::FrameHeader::decode(&image[&1][512..]);
    let summary = SegmentSummary {
        records: 1,
        frames: 1,
        data_end: end as u64,
        chain_crc: crc32c::crc32c(&frame.crc.to_le_bytes()),
        last_time: frame.time_delta,
        min_time: frame.time_delta,
        max_time: frame.time_delta,
        index: vec![IndexEntry { lsn_delta: 0, offset: 512 }],
    };
    let salt = header.salt();
    let footer = Footer::new(summary, format::Ending::Rotated).encode(salt);
    log.append(&footer[24..]).unwrap();
    drop(log);
    assert_eq!(image_of(&storage)[&1].len(), end + footer.len());

    for verify in [Verify::Footers, Verify::All] {
        let report = Inspect::new(storage.clone()).verify(verify).threads(1).run().unwrap();
        assert_eq!((report.records, report.clean), (2, false), "{report}");
        assert!(report.damages.is_empty(), "{report}");
    }
    let view = View::open(storage.clone()).unwrap();
    assert_eq!(view.last_known_lsn(), Lsn::ZERO);
    assert_eq!(view.records(Lsn::ZERO).count(), 2);
    assert_eq!(try_content(&open(storage)).unwrap().len(), 2);
}

#[test]
fn a_footer_is_believed_however_few_its_index_entries_are() {
    for records in [vec![], vec![vec![1; 300 << 10]; 3], vec![vec![1; 100]; 3000]] {
        let (storage, log) = one_segment();
        for record in &records {
            log.append(record).unwrap();
        }
        log.close().unwrap();
        let inspect = Inspect::new(storage.clone()).verify(Verify::Footers).threads(1);
        let report = inspect.run().unwrap();
        assert_eq!((report.records, report.records_scanned), (records.len() as u64, 0));
        assert!(report.clean);
        let last = View::open(storage).unwrap().last_known_lsn();
        assert_eq!(last, Lsn::new(records.len() as u64));
    }
}
