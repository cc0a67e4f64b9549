//! Opening compares what it was given with what the storage holds.

use std::sync::Arc;

use crate::support::*;
use bytes::Bytes;
use wal_core::format::*;
use wal_core::*;

/// Three durable records in one segment, which was not sealed.
fn three_records() -> (Probe, SegmentHeader, SegmentSummary) {
    let probe = Probe::default();
    let log = probe.open_still(always(), Settings::default());
    for _ in 0..3 {
        log.append(b"0123456789").unwrap();
    }
    let segment = probe.memory.open(Lsn::FIRST, Access::Read).wait().unwrap();
    let bytes = segment.read_at(0, SEGMENT_HEADER_LEN).wait().unwrap();
    let header = SegmentHeader::decode(&bytes, Lsn::FIRST).unwrap();
    let summary = summary(&probe, &header, 3);
    (probe, header, summary)
}

/// Of the first frames.
fn summary(probe: &Probe, header: &SegmentHeader, frames: u32) -> SegmentSummary {
    let segment = probe.memory.open(Lsn::FIRST, Access::Read).wait().unwrap();
    let data_end = SEGMENT_HEADER_LEN as u64;
    let mut summary = SegmentSummary { data_end, ..SegmentSummary::default() };
    let mut reader = FrameReader::new(segment, header, data_end, 1 << 20);
    for _ in 0..frames {
        let FrameStep::Frame(frame) = block_on(reader.next()).unwrap() else { panic!("a frame") };
        let at = summary.data_end;
        summary.add(&frame.header, 1, at);
    }
    summary
}

fn open(probe: &Probe, header: SegmentHeader, summary: SegmentSummary) -> Result<Wal> {
    let lock = probe.lock().wait()?;
    let mut parts = RecoveredParts::new(Arc::new(probe.clone()), lock, header.log_id);
    let last = header.first_lsn.advance(u64::from(summary.records)).prev();
    (parts.last_lsn, parts.next_lsn) = (last, last.next());
    parts.next_generation = header.generation + 1;
    parts.segments.push(RecoveredSegment::new(header, summary, last));
    Wal::builder(always()).manual_driver().open(Recovered::assert_recovered(parts))
}

fn refused(outcome: Result<impl std::fmt::Debug>, why: &str) {
    let error = outcome.expect_err(why);
    assert_eq!(error.kind(), ErrorKind::NotRecovered, "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn what_was_recovered_is_opened_and_goes_on() {
    let (probe, header, summary) = three_records();
    let log = open(&probe, header, summary).unwrap();
    assert_eq!(log.append(b"fourth").unwrap(), Lsn::new(4));
    assert_eq!(log.iter(Lsn::ZERO).unwrap().count(), 4);
}

#[test]
fn a_log_that_holds_records_is_not_taken_for_an_empty_one() {
    let (probe, header, _) = three_records();
    let (storage, lock) = (Arc::new(probe.clone()), probe.lock().wait().unwrap());
    refused(Recovered::empty(storage, lock, header.log_id), "a segment that was not recovered");
    assert_eq!(probe.list().wait().unwrap().segments, [Lsn::FIRST]);
}

#[test]
fn a_segment_more_or_less_is_seen() {
    let (probe, header, summary) = three_records();
    probe.create(Lsn::new(9), Bytes::from_static(b"stray"), 4096, Publish::New).wait().unwrap();
    refused(open(&probe, header.clone(), summary.clone()), "was not recovered (segment 9)");
    probe.remove(&[Lsn::new(9)]).wait().unwrap();
    probe.remove(&[Lsn::FIRST]).wait().unwrap();
    refused(open(&probe, header, summary), "is gone (segment 1)");
}

#[test]
fn another_segment_of_the_same_name_is_seen() {
    let (probe, header, summary) = three_records();
    let other = SegmentHeader { generation: header.generation + 1, ..header.clone() };
    let bytes = other.encode().to_vec().into();
    let how = Publish::Replace { generation: Some(header.generation) };
    probe.create(Lsn::FIRST, bytes, 4096, how).wait().unwrap();
    refused(open(&probe, header, summary), "another header");
}

#[test]
fn a_segment_that_grew_or_shrank_is_seen() {
    let (probe, header, _) = three_records();
    let two = summary(&probe, &header, 2);
    refused(open(&probe, header.clone(), two), "longer than when it was recovered");
    let three = summary(&probe, &header, 3);
    let segment = probe.memory.open(Lsn::FIRST, Access::Write).wait().unwrap();
    segment.truncate(three.data_end - 1).wait().unwrap();
    refused(open(&probe, header, three), "shorter than when it was recovered");
}
